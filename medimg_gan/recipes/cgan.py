"""A conditional GAN for a few hundred slices: the default recipe.

==================  =====================================================
here                papers
==================  =====================================================
``generator``       G(z, c); style modulation on pixel norm (Karras 2018, 2019)
``critic``          D(x, c) = psi(phi(x)) + <W c, phi(x)> (Miyato & Koyama 2018, eq. 3)
``critic_loss``     L = softplus(-(D(x) - D(G(z)))) (R3GAN, Huang 2024, eq. 2)
``penalty_loss``    R1 + R2 = gamma / 2 (|grad D(x)|^2 + |grad D(G(z))|^2) (R3GAN, eq. 4)
settings            other games and remedies: ``recipes.game``
==================  =====================================================

Real and fake of a pair have the same condition c: class, and numbers such as the slice's position
(as continuous conditions in CcGAN, Ding 2021, but without their kernel smoothing). Departs from
R3GAN: the penalties are lazy (StyleGAN2's, every few steps, weight scaled up), gamma is constant
and far smaller (R3GAN's 2 at 64 pixels held the critic back on small data), plain convolutions, a
projection head, and DiffAugment, at a constant probability unless ``ada`` steers it. Without
classes it is the same GAN with a single class.
"""

from __future__ import annotations

from dataclasses import dataclass

from medimg_gan.nets.residual import ProjectionCritic, ResidualGenerator
from medimg_gan.recipes.base import Adam, Spec
from medimg_gan.recipes.game import GameConfig, GameRecipe


@dataclass(frozen=True)
class CganConfig(GameConfig):
    """Settings of :class:`Cgan`."""

    latent: int = 64
    """Length of the noise."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to ``widest``."""
    widest: int = 96
    """The most feature channels."""
    learning_rate: float = 4e-4
    """Adam's step, for both networks."""
    gamma: float = 0.2
    """Weight of R1 and R2 at 64 pixels; grows with the number of pixels. 0 turns them off."""
    penalty_every: int = 4
    """Steps between penalties; the weight is scaled up by it."""


class Cgan(GameRecipe):
    """Images of an asked class from noise."""

    Config = CganConfig

    def __init__(self, config: CganConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        image, widths = (spec.channels, spec.size), (config.width, config.widest)
        self.generator = ResidualGenerator(config.latent, self._condition_length, *image, *widths)
        critic = ProjectionCritic(*self._pack_shape, *widths, minibatch=config.minibatch)
        self.critic = self._regular(critic)

    def adam(self, net: str) -> Adam:
        """R3GAN's: no momentum."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

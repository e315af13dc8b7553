"""A StyleGAN3-class GAN (Karras 2021), class-conditional: no detail is glued to the pixels.

==================  =====================================================
here                papers
==================  =====================================================
``generator``       g(w), w = f(z, y); Fourier features, filtered nonlinearities (sec. 3)
``critic``          D(x, y), the projection critic of ``cgan``
==================  =====================================================

How far it keeps its promise is measured: EQ-T, ``metrics.equivariance``. Departs from the paper:
two layers a scale with one filter for all scales (the paper lays out 14 layers by frequency), far
fewer channels, translation only (config T), a mapping of two layers at the common learning rate,
tanh at the end, the relativistic loss with lazy R1 and R2 of ``cgan``, DiffAugment. Truncation is
``recipes.knobs``', as for every generator.
"""

from __future__ import annotations

from dataclasses import dataclass

from medimg_gan.nets.alias_free import AliasFreeGenerator
from medimg_gan.nets.residual import ProjectionCritic
from medimg_gan.recipes.base import Adam, Spec
from medimg_gan.recipes.game import GameConfig, GameRecipe


@dataclass(frozen=True)
class StyleGan3Config(GameConfig):
    """Settings of :class:`StyleGan3`."""

    latent: int = 64
    """Length of the noise."""
    width: int = 32
    """Feature channels of the generator at half the image's size; fourfold with every halving."""
    critic_width: int = 16
    """Feature channels of the critic at half the image's size; doubles with every halving."""
    widest: int = 64
    """The most feature channels."""
    learning_rate: float = 4e-4
    """Adam's step, for both networks."""


class StyleGan3(GameRecipe):
    """Images of an asked class from noise, by an alias-free generator."""

    Config = StyleGan3Config

    def __init__(self, config: StyleGan3Config, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        image = (self._condition_length, spec.channels, spec.size)
        self.generator = AliasFreeGenerator(config.latent, *image, config.width, config.widest)
        widths = (config.critic_width, config.widest)
        critic = ProjectionCritic(*self._pack_shape, *widths, minibatch=config.minibatch)
        self.critic = self._regular(critic)

    def adam(self, net: str) -> Adam:
        """The paper's betas."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

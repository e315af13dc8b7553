"""A class-conditional GAN for a few hundred slices: the default recipe.

==================  =====================================================
here                papers
==================  =====================================================
``generator``       G(z, y); style modulation on pixel norm (Karras 2018, 2019)
``critic``          D(x, y) = psi(phi(x)) + <embed(y), phi(x)> (Miyato & Koyama 2018, eq. 3)
``critic_loss``     L = softplus(-(D(x) - D(G(z)))) (R3GAN, Huang 2024, eq. 2)
``penalty_loss``    R1 + R2 = gamma / 2 (|grad D(x)|^2 + |grad D(G(z))|^2) (R3GAN, eq. 4)
==================  =====================================================

Real and fake of a pair have the same class. Departs from R3GAN: the penalties are lazy
(StyleGAN2's, every few steps, weight scaled up), gamma is constant and far smaller (R3GAN's 2 at
64 pixels held the critic back on small data), plain convolutions, a projection head, and
DiffAugment, at a constant probability unless ``ada`` steers it. Without classes it is the same GAN
with a single class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan.nets.residual import ProjectionCritic, ResidualGenerator
from medimg_gan.recipes.adaptive import AugmentConfig
from medimg_gan.recipes.base import Adam, Spec
from medimg_gan.recipes.conditional import RelativisticGan

if TYPE_CHECKING:
    from medimg_gan.types import Batch


@dataclass(frozen=True)
class CganConfig(AugmentConfig):
    """Settings of :class:`Cgan`."""

    latent: int = 64
    """Length of the noise."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to ``widest``."""
    widest: int = 96
    """The most feature channels."""
    learning_rate: float = 4e-4
    """Adam's step, for both networks."""
    gamma: float = 0.02
    """Weight of R1 and R2 at 64 pixels; grows with the number of pixels."""
    penalty_every: int = 16
    """Steps between penalties; the weight is scaled up by it."""


class Cgan(RelativisticGan):
    """Images of an asked class from noise."""

    Config = CganConfig

    def __init__(self, config: CganConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        shape = (self._class_count, spec.channels, spec.size, config.width, config.widest)
        self.generator = ResidualGenerator(config.latent, *shape)
        self.critic = ProjectionCritic(*shape)

    def adam(self, net: str) -> Adam:
        """R3GAN's: no momentum."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

    def _both_scored(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,) of real and fake images in one pass: this critic compares no images."""
        images = self.augment(torch.cat([batch["image"], fake]))
        real_scores, fake_scores = self.critic(images, self._label(batch).repeat(2)).chunk(2)
        return real_scores, fake_scores

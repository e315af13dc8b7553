"""A class-conditional GAN for a few hundred slices: the default recipe.

==================  =====================================================
here                papers
==================  =====================================================
``generator``       G(z, y); style modulation on pixel norm (Karras 2018, 2019)
``critic``          D(x, y) = psi(phi(x)) + <embed(y), phi(x)> (Miyato & Koyama 2018, eq. 3)
``relativistic``    L = softplus(-(D(x) - D(G(z)))) (R3GAN, Huang 2024, eq. 2)
``penalty_loss``    R1 + R2 = gamma / 2 (|grad D(x)|^2 + |grad D(G(z))|^2) (R3GAN, eq. 4)
==================  =====================================================

Real and fake of a pair have the same class. Departs from R3GAN: the penalties are lazy
(StyleGAN2's, every few steps, weight scaled up), gamma is constant and far smaller (R3GAN's 2 at
64 pixels held the critic back on small data), plain convolutions, a projection head, and
DiffAugment at a constant probability. Without classes it is the same GAN with a single class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan import losses
from medimg_gan.augmentations import DiffAugment
from medimg_gan.nets.residual import ProjectionCritic, ResidualGenerator
from medimg_gan.recipes.base import Adam, NoiseRecipe, Phase, Spec

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class CganConfig:
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
    augment: float = 0.3
    """Chance that DiffAugment moves an image before the critic sees it."""


class Cgan(NoiseRecipe):
    """Images of an asked class from noise."""

    Config = CganConfig
    conditional = True

    def __init__(self, config: CganConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        classes = max(1, len(spec.classes))
        shape = (classes, spec.channels, spec.size, config.width, config.widest)
        self.generator = ResidualGenerator(config.latent, *shape)
        self.critic = ProjectionCritic(*shape)
        self.augment = DiffAugment(config.augment, spec.mirror)

    def phases(self) -> list[Phase]:
        """Critic, its lazy penalty, generator."""
        return [
            Phase("critic", ("critic",), self.critic_loss),
            Phase("penalty", ("critic",), self.penalty_loss, every=self.config.penalty_every),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def adam(self, net: str) -> Adam:
        """R3GAN's: no momentum."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-(D(x) - D(G(z))))."""
        with torch.no_grad():
            fake = self._fake(batch)
        real_scores, fake_scores = self._critic_scores(batch, fake)
        loss = losses.relativistic(real_scores, fake_scores)
        return loss, {"critic/loss": loss.detach()}

    def penalty_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """R1 + R2, times the steps that they are skipped on."""
        label = self._label(batch)
        with torch.no_grad():
            images = self.augment(torch.cat([batch["image"], self._fake(batch)]))
        # The mean over real and fake together is half of R1 + R2.
        half = losses.zero_centred_penalty(lambda both: self.critic(both, label.repeat(2)), images)
        gamma = self.config.gamma * (self.spec.size / 64) ** 2
        return self.config.penalty_every * gamma * half, {"critic/r1_r2": 2 * half.detach()}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-(D(G(z)) - D(x)))."""
        label = self._label(batch)
        fake_scores = self.critic(self.augment(self._fake(batch)), label)
        with torch.no_grad():
            real_scores = self.critic(self.augment(batch["image"]), label)
        loss = losses.relativistic(fake_scores, real_scores)
        return loss, {"generator/loss": loss.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real and fake, and the share of pairs ranked right."""
        return losses.summary(*self._critic_scores(batch, self._fake(batch)))

    def sample(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of the classes asked for.

        Raises:
            ValueError: If there are classes and no label.
        """
        if label is None:
            if self.spec.classes:
                raise ValueError("a class-conditional recipe needs a label for every sample")
            label = torch.zeros(len(noise), dtype=torch.int64, device=noise.device)
        return self.generator(noise, label)

    def _label(self, batch: Batch) -> Tensor:
        """The batch's classes (N,); zeros when there are none."""
        if self.spec.classes:
            return batch["label"]
        images = batch["image"]
        return torch.zeros(len(images), dtype=torch.int64, device=images.device)

    def _fake(self, batch: Batch) -> Tensor:
        """A fake for every real image, of its class."""
        return self.generator(self.noise_for(batch), self._label(batch))

    def _critic_scores(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,) of real and fake images, in one pass."""
        images = self.augment(torch.cat([batch["image"], fake]))
        real_scores, fake_scores = self.critic(images, self._label(batch).repeat(2)).chunk(2)
        return real_scores, fake_scores

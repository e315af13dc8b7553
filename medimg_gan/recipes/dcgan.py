"""DCGAN (Radford, Metz & Chintala 2016), with what keeps it alive on a few hundred slices.

==================  =====================================================
here                paper
==================  =====================================================
``generator``       G, strided transposed convolutions
``critic``          D, strided convolutions
``noise``           z (normal here, uniform there)
==================  =====================================================

Departs from the paper: no batch norm (in the critic it collapsed to one image per class on real
brain slices; in the generator pixel norm replaces it), He initialisation, lazy R1 (Mescheder
2018), a critic that sees the deviation within its batch (Karras 2018), DiffAugment (Zhao 2020;
at 0.8 in place of 0.3, heads came to share one outline), samples from a moving average.
Kept: the strided convolutions, the non-saturating loss, Adam at 2e-4 with betas (0.5, 0.999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan import losses
from medimg_gan.nets.convolutional import ConvolutionalCritic, ConvolutionalGenerator
from medimg_gan.recipes.adaptive import AugmentConfig, AugmentedRecipe
from medimg_gan.recipes.base import Adam, Phase, Spec

if TYPE_CHECKING:
    from medimg_gan.nets.blocks import Readers
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class DcganConfig(AugmentConfig):
    """Settings of :class:`Dcgan`."""

    latent: int = 100
    """Length of the noise."""
    width: int = 32
    """Feature channels at half the image's size; doubles with every halving, up to 256."""
    learning_rate: float = 2e-4
    """Adam's step, for both networks."""
    gamma: float = 0.1
    """Weight of R1 at 64 pixels; grows with the number of pixels."""


class Dcgan(AugmentedRecipe):
    """Unconditional images from noise; the plain baseline."""

    Config = DcganConfig
    WIDEST = 256
    PENALTY_EVERY = 16

    def __init__(self, config: DcganConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        shape = (spec.channels, spec.size, config.width, self.WIDEST)
        self.generator = ConvolutionalGenerator(config.latent, *shape)
        self.critic = ConvolutionalCritic(*shape, compares=True)

    def phases(self) -> list[Phase]:
        """Critic, its lazy penalty, generator."""
        return [
            Phase("critic", ("critic",), self.critic_loss),
            Phase("penalty", ("critic",), self.penalty_loss, every=self.PENALTY_EVERY),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def adam(self, net: str) -> Adam:
        """The paper's, sec. 4."""
        return Adam(self.config.learning_rate, (0.5, 0.999))

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-D(x)) + softplus(D(G(z)))."""
        real, fake = self._critic_scores(batch)
        loss = losses.non_saturating_critic(real, fake)
        return loss, {"critic/loss": loss.detach(), **self.judged(real)}

    def penalty_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """R1 = gamma / 2 |grad D(x)|^2, times the steps that it is skipped on."""
        penalty = losses.zero_centred_penalty(self.critic, self.augment(batch["image"]))
        gamma = self.config.gamma * (self.spec.size / 64) ** 2
        return self.PENALTY_EVERY * gamma / 2 * penalty, {"critic/r1": penalty.detach()}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-D(G(z)))."""
        fake = self.generator(self.noise_for(batch))
        loss = losses.non_saturating_generator(self.critic(self.augment(fake)))
        return loss, {"generator/loss": loss.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real and fake, and the share of pairs ranked right."""
        return losses.summary(*self._critic_scores(batch))

    def sample(
        self, noise: Tensor, label: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]; a condition is ignored."""
        return self.generator(noise)

    def style_like(self, batch: Batch, noise: Tensor) -> Tensor:
        """The generator's coarsest features (N, c, 4, 4); a condition is ignored."""
        return self.generator.style(noise)

    def from_style(self, style: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1]."""
        return self.generator.from_style(style)

    def readers(self) -> Readers:
        """The generator's own."""
        return self.generator.readers()

    def _critic_scores(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores (N,) of the real images and of as many fakes, which must not meet in a group."""
        with torch.no_grad():
            fake = self.generator(self.noise_for(batch))
        return self.critic(self.augment(batch["image"])), self.critic(self.augment(fake))

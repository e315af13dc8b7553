"""WGAN-GP (Gulrajani et al. 2017, Algorithm 1).

==================  =====================================================
here                paper
==================  =====================================================
``generator``       G
``critic``          D
``critic_steps``    n_critic = 5
``penalty_weight``  lambda = 10
==================  =====================================================

Departs from the paper: DiffAugment (Zhao 2020) on what the critic sees, pixel norm in the
generator, samples from a moving average of it, and, for budgets of minutes on a CPU, a narrow
pair and Adam at 5e-4 in place of 1e-4 (betas kept). The penalty is taken in float32.
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
class WganGpConfig(AugmentConfig):
    """Settings of :class:`WganGp`."""

    latent: int = 100
    """Length of the noise."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to 256."""
    learning_rate: float = 5e-4
    """Adam's step, for both networks; the paper's is 1e-4."""
    critic_steps: int = 5
    """Updates of the critic before each of the generator."""
    penalty_weight: float = 10.0
    """Weight of the gradient penalty."""


class WganGp(AugmentedRecipe):
    """Unconditional images from noise, by the Wasserstein distance."""

    Config = WganGpConfig
    WIDEST = 256

    def __init__(self, config: WganGpConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        shape = (spec.channels, spec.size, config.width, self.WIDEST)
        self.generator = ConvolutionalGenerator(config.latent, *shape)
        self.critic = ConvolutionalCritic(*shape)

    def phases(self) -> list[Phase]:
        """Several steps of the critic, one of the generator."""
        return [
            Phase("critic", ("critic",), self.critic_loss, repeats=self.config.critic_steps),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def adam(self, net: str) -> Adam:
        """The paper's betas, Algorithm 1."""
        return Adam(self.config.learning_rate, (0.0, 0.9))

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """D(G(z)) - D(x) + lambda (|grad D(x^)| - 1)^2."""
        real, fake = self._images(batch)
        real_scores, fake_scores = self.critic(torch.cat([real, fake])).chunk(2)
        gap = real_scores.mean() - fake_scores.mean()
        penalty = losses.gradient_penalty(self.critic, real, fake)
        logs = {"critic/gap": gap.detach(), "critic/penalty": penalty.detach()}
        logs |= self.judged(real_scores - fake_scores)
        return self.config.penalty_weight * penalty - gap, logs

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """-D(G(z))."""
        fake = self.generator(self.noise_for(batch))
        loss = -self.critic(self.augment(fake)).mean()
        return loss, {"generator/loss": loss.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real and fake, and the share of pairs ranked right."""
        real, fake = self._images(batch)
        return losses.summary(*self.critic(torch.cat([real, fake])).chunk(2))

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

    def _images(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real images and as many fakes, as the critic gets to see them."""
        with torch.no_grad():
            fake = self.generator(self.noise_for(batch))
        real, fake = self.augment(torch.cat([batch["image"], fake])).chunk(2)
        return real, fake

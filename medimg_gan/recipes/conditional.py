"""What class-conditional recipes share: labels, fakes, and a relativistic game with a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from medimg_gan import losses
from medimg_gan.recipes.adaptive import AugmentedRecipe
from medimg_gan.recipes.base import NoiseRecipe, Phase

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


class ConditionalRecipe(NoiseRecipe):
    """Images of an asked class from noise; without classes, the same with a single class.

    Subclasses have ``generator(noise, label)`` and ``latent``.
    """

    conditional = True
    generator: nn.Module

    def sample(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of the classes asked for.

        Raises:
            ValueError: If there are classes and no label.
        """
        if label is None:
            if self.spec.classes:
                raise ValueError("a class-conditional recipe needs a label for every sample")
            label = torch.zeros(len(noise), dtype=torch.int64, device=noise.device)
        return self._sampled(noise, label)

    @property
    def _class_count(self) -> int:
        return max(1, len(self.spec.classes))

    def _generated(self, noise: Tensor, label: Tensor) -> Tensor:
        """The generator's images, as the critic is to see them."""
        return self.generator(noise, label)

    def _sampled(self, noise: Tensor, label: Tensor) -> Tensor:
        """The generator's images, as users are to see them."""
        return self._generated(noise, label)

    def _label(self, batch: Batch) -> Tensor:
        """The batch's classes (N,); zeros when there are none."""
        if self.spec.classes:
            return batch["label"]
        images = batch["image"]
        return torch.zeros(len(images), dtype=torch.int64, device=images.device)

    def _fake(self, batch: Batch) -> Tensor:
        """A fake for every real image, of its class."""
        return self._generated(self.noise_for(batch), self._label(batch))


class RelativisticGan(AugmentedRecipe, ConditionalRecipe):
    """The losses of R3GAN (Huang 2024, eq. 2 and 4), with lazy penalties, for any pair of networks.

    Subclasses have ``critic(images, label)``, and settings ``gamma`` (at 64 pixels),
    ``penalty_every``, ``learning_rate`` and those of ``AugmentConfig``.
    """

    critic: nn.Module

    def phases(self) -> list[Phase]:
        """Critic, its lazy penalty, generator."""
        return [
            Phase("critic", ("critic",), self.critic_loss),
            Phase("penalty", ("critic",), self.penalty_loss, every=self.config.penalty_every),
            Phase("generator", ("generator",), self.generator_loss),
        ]

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-(D(x) - D(G(z))))."""
        with torch.no_grad():
            fake = self._fake(batch)
        real_scores, fake_scores = self._both_scored(batch, fake)
        loss = losses.relativistic(real_scores, fake_scores)
        return loss, {"critic/loss": loss.detach(), **self.judged(real_scores - fake_scores)}

    def penalty_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """R1 + R2 (eq. 4), times the steps that they are skipped on."""
        label = self._label(batch).repeat(2)
        with torch.no_grad():
            images = self.augment(torch.cat([self._real(batch), self._fake(batch)]))
        # The mean over real and fake together is half of R1 + R2.
        half = losses.zero_centred_penalty(lambda both: self._scores(both, label), images)
        gamma = self.config.gamma * (self.spec.size / 64) ** 2
        return self.config.penalty_every * gamma * half, {"critic/r1_r2": 2 * half.detach()}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-(D(G(z)) - D(x)))."""
        label = self._label(batch)
        fake_scores = self._scores(self.augment(self._fake(batch)), label)
        with torch.no_grad():
            real_scores = self._scores(self.augment(self._real(batch)), label)
        loss = losses.relativistic(fake_scores, real_scores)
        return loss, {"generator/loss": loss.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real and fake, and the share of pairs ranked right."""
        return losses.summary(*self._both_scored(batch, self._fake(batch)))

    def _real(self, batch: Batch) -> Tensor:
        """The real images as the critic is to see them."""
        return batch["image"]

    def _scores(self, images: Tensor, label: Tensor) -> Tensor:
        """The critic's scores (N,)."""
        return self.critic(images, label)

    def _both_scored(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,) of real and fake images, which no critic may compare with one another."""
        label = self._label(batch)
        real_scores = self._scores(self.augment(self._real(batch)), label)
        return real_scores, self._scores(self.augment(fake), label)

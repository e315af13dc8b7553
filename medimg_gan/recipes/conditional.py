"""What conditional recipes share: conditions, fakes, and a relativistic game with a critic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medimg_gan import losses
from medimg_gan.nets.conditions import as_condition, condition_length
from medimg_gan.recipes.base import NoiseRecipe, Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.nets.blocks import Readers
    from medimg_gan.types import Batch, Logs


class ConditionalRecipe(NoiseRecipe):
    """Images of an asked class and numbers from noise; without classes, the same with one class.

    Subclasses have ``latent`` and ``generator(noise, condition)``, with its ``style``,
    ``from_style`` and ``readers``.
    """

    conditional = True
    generator: Any

    def sample(
        self, noise: Tensor, label: Tensor | None = None, numbers: Tensor | None = None
    ) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] of the classes and numbers asked for.

        Raises:
            ValueError: If there are classes and no label, or numbers and none are given.
        """
        if self.spec.classes and label is None:
            raise ValueError("a class-conditional recipe needs a label for every sample")
        if self.spec.numbers and numbers is None:
            raise ValueError(f"every sample needs its numbers: {', '.join(self.spec.numbers)}")
        return self._sampled(noise, self._as_condition(noise, label, numbers))

    def style_like(self, batch: Batch, noise: Tensor) -> Tensor:
        """What noise and condition have become before the generator's first block."""
        known = self._as_condition(noise, batch.get("label"), batch.get("numbers"))
        return self.generator.style(noise, known)

    def from_style(self, style: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1], as users are to see them."""
        return self.generator.from_style(style)

    def readers(self) -> Readers:
        """The generator's own."""
        return self.generator.readers()

    @property
    def _condition_length(self) -> int:
        return condition_length(len(self.spec.classes), len(self.spec.numbers))

    def _condition(self, batch: Batch) -> Tensor:
        """The conditions of the batch's images (N, D)."""
        return self._as_condition(batch["image"], batch.get("label"), batch.get("numbers"))

    def _as_condition(self, each: Tensor, label: Tensor | None, numbers: Tensor | None) -> Tensor:
        """(N, D) for N items of ``each``, from what this recipe is conditioned on."""
        if not self.spec.classes:
            label = None
        if numbers is None or not self.spec.numbers:
            numbers = each.new_empty(len(each), 0)
        return as_condition(label, numbers, len(self.spec.classes))

    def _generated(self, noise: Tensor, condition: Tensor) -> Tensor:
        """The generator's images, as the critic is to see them."""
        return self.generator(noise, condition)

    def _sampled(self, noise: Tensor, condition: Tensor) -> Tensor:
        """The generator's images, as users are to see them."""
        return self._generated(noise, condition)

    def _fake(self, batch: Batch) -> Tensor:
        """A fake for every real image, of its condition."""
        return self._generated(self.noise_for(batch), self._condition(batch))


class RelativisticGan(ConditionalRecipe):
    """The losses of R3GAN (Huang 2024, eq. 2 and 4), with lazy penalties, for any pair of networks.

    Subclasses have ``critic(images, condition)``, ``augment``, and settings ``gamma`` (at 64
    pixels), ``penalty_every`` and ``learning_rate``.
    """

    critic: nn.Module
    augment: Callable[[Tensor], Tensor]

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
        loss = losses.relativistic(*self._both_scored(batch, fake))
        return loss, {"critic/loss": loss.detach()}

    def penalty_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """R1 + R2 (eq. 4), times the steps that they are skipped on."""
        condition = self._condition(batch).repeat(2, 1)
        with torch.no_grad():
            images = self.augment(torch.cat([self._real(batch), self._fake(batch)]))
        # The mean over real and fake together is half of R1 + R2.
        half = losses.zero_centred_penalty(lambda both: self._scores(both, condition), images)
        gamma = self.config.gamma * (self.spec.size / 64) ** 2
        return self.config.penalty_every * gamma * half, {"critic/r1_r2": 2 * half.detach()}

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """softplus(-(D(G(z)) - D(x)))."""
        condition = self._condition(batch)
        fake_scores = self._scores(self.augment(self._fake(batch)), condition)
        with torch.no_grad():
            real_scores = self._scores(self.augment(self._real(batch)), condition)
        loss = losses.relativistic(fake_scores, real_scores)
        return loss, {"generator/loss": loss.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """Mean scores of real and fake, and the share of pairs ranked right."""
        return losses.summary(*self._both_scored(batch, self._fake(batch)))

    def _real(self, batch: Batch) -> Tensor:
        """The real images as the critic is to see them."""
        return batch["image"]

    def _scores(self, images: Tensor, condition: Tensor) -> Tensor:
        """The critic's scores (N,)."""
        return self.critic(images, condition)

    def _both_scored(self, batch: Batch, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N,) of real and fake images, which no critic may compare with one another."""
        condition = self._condition(batch)
        real_scores = self._scores(self.augment(self._real(batch)), condition)
        return real_scores, self._scores(self.augment(fake), condition)

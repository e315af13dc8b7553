"""What translators in one direction share: schedule, critic's step, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from medimg_gan import losses
from medimg_gan.recipes.base import Adam, TranslationRecipe

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


class Made(NamedTuple):
    """What the generator made in a step, without gradient, and from what."""

    source: Tensor
    fake: Tensor


class OneWay(TranslationRecipe):
    """Source -> target, and not back."""

    averaged = ("to_target",)
    to_target: nn.Module

    def adam(self, net: str) -> Adam:
        """CycleGAN's, which pix2pix and CUT use as well."""
        return Adam(self.config.learning_rate, (0.5, 0.999))

    def learning_rate_factor(self, progress: float) -> float:
        """1 for the first half, then linear to 0."""
        return min(1.0, 2 * (1 - progress))

    def translate(self, image: Tensor) -> Tensor:
        """Target-like images (N, C, H, W) for source images (N, inputs, H, W), in [-1, 1]."""
        return self.to_target(image)

    @torch.no_grad()
    def preview(self, batch: Batch, seed: int) -> dict[str, Tensor]:
        """``source``, ``translated`` and, of pairs, the true ``target``; nothing random in it."""
        source = batch["source"]
        pictures = {"source": source, "translated": self.translate(source)}
        return pictures | ({"target": batch["target"]} if self.paired else {})


class OneWayGan(OneWay):
    """A one-way translator with a ``critic``: its subclass trains the generator and tells.

    The critic learns from the fakes that the generator just made, with no forward pass of its own.
    """

    critic: nn.Module
    _made: Made | None = None

    def judge(self, source: Tensor, image: Tensor) -> Tensor:
        """The critic's scores of real or made targets; ``source`` is for those who condition."""
        return self.critic(image)

    def augment(self, images: Tensor) -> Tensor:
        """Targets (N, C, H, W) as the critic is to see them in training: here, as they are."""
        return images

    def rate(self, real: Tensor, fake: Tensor) -> Tensor:
        """The critic's loss for its scores: least squares (Mao 2017)."""
        return losses.least_squares_critic(real, fake)

    def critic_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """Real targets against the fakes of this step."""
        made, self._made = self._made, None
        if made is None:
            with torch.no_grad():
                made = Made(batch["source"], self.translate(batch["source"]))
        real = self.judge(batch["source"], self.augment(batch["target"]))
        loss = self.rate(real, self.judge(made.source, self.augment(made.fake)))
        return loss, {"critic/loss": loss.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """What the critic thinks of real targets and of translated sources."""
        source = batch["source"]
        fake = self.judge(source, self.translate(source))
        return losses.summary(self.judge(source, batch["target"]), fake)

    def _generators(self, source: Tensor, fake: Tensor, terms: losses.Terms) -> tuple[Tensor, Logs]:
        """The weighted sum of the generator's terms; keeps the fake for the critic."""
        self._made = Made(source, fake.detach())
        loss, parts = losses.weighted(terms)
        return loss, {f"generator/{name}": value for name, value in parts.items()}

"""Progressive growing (Karras 2018), class-conditional: coarse anatomy first, then detail.

==================  =====================================================
here                paper
==================  =====================================================
``generator``       G, with pixel norm (sec. 4.2)
``critic``          D, with the deviation within a minibatch (sec. 3)
``stage``           resolution and alpha (sec. 2, Fig. 2)
==================  =====================================================

Each scale fades in for half of its time and stays for the other half; the times of all scales are
equal and end at ``grown_at`` of the training, so that the stage is a function of progress alone.

Departs from the paper: classes, growth by the share of the training that is done (there: by
images), the relativistic loss with lazy R1 and R2 of ``cgan`` for WGAN-GP, strided convolutions, He
initialisation in place of equalised rates, DiffAugment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan.errors import ConfigError
from medimg_gan.nets.blocks import doublings
from medimg_gan.nets.growing import GrowingCritic, GrowingGenerator, faded
from medimg_gan.nets.heads import Judgement
from medimg_gan.recipes.base import Adam, Spec
from medimg_gan.recipes.game import Comparison, GameConfig, GameRecipe

if TYPE_CHECKING:
    from medimg_gan.types import Batch


@dataclass(frozen=True)
class ProgressiveConfig(GameConfig):
    """Settings of :class:`Progressive`."""

    latent: int = 64
    """Length of the noise."""
    width: int = 16
    """Feature channels at half the image's size; doubles with every halving, up to ``widest``."""
    widest: int = 96
    """The most feature channels."""
    learning_rate: float = 4e-4
    """Adam's step, for both networks."""
    minibatch: Comparison = "deviation"
    """How the critic compares the images of a batch, which shows it a generator that collapses."""
    grown_at: float = 0.5
    """Part of the training by which the full size is reached."""


class Progressive(GameRecipe):
    """Images of an asked class from noise, by a pair that grows."""

    Config = ProgressiveConfig
    sampled_with = ("progress",)

    def __init__(self, config: ProgressiveConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.latent = config.latent
        image, widths = (spec.channels, spec.size), (config.width, config.widest)
        self.generator = GrowingGenerator(config.latent, self._condition_length, *image, *widths)
        critic = GrowingCritic(*self._pack_shape, *widths, minibatch=config.minibatch)
        self.critic = self._regular(critic)
        if not 0 < config.grown_at <= 1:
            raise ConfigError(
                f"--set grown_at={config.grown_at:g}: the pair would never be whole",
                fix="a part of the training, above 0 and up to 1",
            )
        # Fully grown until a training, or its weights, say otherwise.
        self.register_buffer("progress", torch.ones(()))
        self.progress: Tensor
        self._read = (self.progress, self.progress._version, 1.0)

    @property
    def stage(self) -> float:
        """How far the pair has grown: 1 at 8 pixels, one more with every doubling."""
        last = doublings(self.spec.size)
        scales = last * self._progress_read() / self.config.grown_at
        whole, part = divmod(scales, 1.0)
        return min(float(last), whole + min(1.0, 2 * part) if whole else 1.0)

    def begin_step(self, progress: float) -> None:
        """Grow."""
        super().begin_step(progress)
        self.progress.fill_(progress)
        self._read = (self.progress, self.progress._version, progress)

    def _progress_read(self) -> float:
        """The buffer's value; the device is waited for only where it did not come from a step."""
        tensor, version, value = self._read
        if tensor is not self.progress or version != self.progress._version:
            value = float(self.progress)
            self._read = (self.progress, self.progress._version, value)
        return value

    def adam(self, net: str) -> Adam:
        """The paper's betas."""
        return Adam(self.config.learning_rate, (0.0, 0.99))

    def _generated(self, noise: Tensor, condition: Tensor) -> Tensor:
        return self.generator(noise, condition, self.stage)

    def _sampled(self, noise: Tensor, condition: Tensor) -> Tensor:
        images = self._generated(noise, condition)
        return F.interpolate(images, size=self.spec.size)

    def from_style(self, style: Tensor) -> Tensor:
        """Images of the full size, whatever the stage."""
        return F.interpolate(self.generator.from_style(style, self.stage), size=self.spec.size)

    def _real(self, batch: Batch) -> Tensor:
        return faded(batch["image"], self.stage)

    def _judgement(self, seen: Tensor, claim: Tensor) -> Judgement:
        return self.critic(seen, claim, self.stage)

"""pix2pix (Isola, Zhu, Zhou & Efros 2017): translation learnt from registered pairs.

==================  =====================================================
here                paper
==================  =====================================================
``source, target``  x, y
``to_target``       G
``critic``          D(x, y), sees the source beside the target (eq. 1)
``l1_weight``       lambda = 100
==================  =====================================================

Departs from the paper: CycleGAN's generator (resnet, instance norm) in place of a U-Net, half its
width by default (for a CPU), no dropout (the paper's only noise, which it found to change little),
the critic's patch shrinks with images below 128 pixels, and samples come from a moving average of
the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.nets.translation import (
    PatchCritic,
    ResnetGenerator,
    critic_layers,
    residual_blocks,
)
from medimg_gan.recipes.base import Phase, Spec, TranslatorConfig
from medimg_gan.recipes.one_way import OneWayGan

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class Pix2PixConfig(TranslatorConfig):
    """Settings of :class:`Pix2Pix`."""

    l1_weight: float = 100.0
    """Weight of coming close to the true target."""


class Pix2Pix(OneWayGan):
    """A conditional GAN: the critic asks whether the target fits its source."""

    Config = Pix2PixConfig
    paired = True

    def __init__(self, config: Pix2PixConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        inputs, outputs, size = spec.inputs, spec.channels, spec.size
        self.to_target = ResnetGenerator(inputs, outputs, config.width, residual_blocks(size))
        self.critic = PatchCritic(inputs + outputs, config.width, critic_layers(size))

    def phases(self) -> list[Phase]:
        """The generator, then the critic on the fakes just made."""
        return [
            Phase("generator", ("to_target",), self.generator_loss),
            Phase("critic", ("critic",), self.critic_loss),
        ]

    def judge(self, source: Tensor, image: Tensor) -> Tensor:
        """D(x, y): scores of the pair."""
        return self.critic(torch.cat([source, image], dim=1))

    def rate(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of -log D(x, y) - log(1 - D(x, G(x))) (eq. 1; sec. 3.3 halves it)."""
        return losses.non_saturating_critic(real, fake) / 2

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """-log D(x, G(x)) + lambda |y - G(x)| (eq. 4; sec. 3.3)."""
        source = batch["source"]
        fake = self.to_target(source)
        fool = losses.non_saturating_generator(self.judge(source, fake))
        error = F.l1_loss(fake, batch["target"])
        terms = {"fool": (1.0, fool), "l1": (self.config.l1_weight, error)}
        return self._generators(source, fake, terms)

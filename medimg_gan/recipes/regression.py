"""Plain regression on registered pairs: what any adversarial translator must be held against.

==================  =====================================================
here                paper (Isola, Zhu, Zhou & Efros 2017)
==================  =====================================================
``source, target``  x, y
``to_target``       G
the only loss       L_L1, eq. 3, the row "L1" of its table 1
==================  =====================================================

Departs from the paper: CycleGAN's generator (resnet, instance norm) in place of a U-Net with
dropout, so that recipes are compared at equal networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan.nets.translation import ResnetGenerator, residual_blocks
from medimg_gan.recipes.base import Phase, Spec, TranslatorConfig
from medimg_gan.recipes.one_way import OneWay

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class RegressionConfig(TranslatorConfig):
    """Settings of :class:`Regression`."""


class Regression(OneWay):
    """The target itself is asked for, pixel by pixel: the likeliest image, and a smooth one."""

    Config = RegressionConfig
    paired = True

    def __init__(self, config: RegressionConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.to_target = ResnetGenerator(
            spec.inputs, spec.channels, config.width, residual_blocks(spec.size)
        )

    def phases(self) -> list[Phase]:
        """The generator alone."""
        return [Phase("generator", ("to_target",), self.generator_loss)]

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """|y - G(x)|, the mean over pixels."""
        error = F.l1_loss(self.to_target(batch["source"]), batch["target"])
        return error, {"generator/l1": error.detach()}

    @torch.no_grad()
    def scores(self, batch: Batch) -> Logs:
        """|y - G(x)|: on held-out pairs it shows when training pairs are known by heart."""
        return {"l1": F.l1_loss(self.to_target(batch["source"]), batch["target"])}

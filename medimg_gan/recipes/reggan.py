"""RegGAN (Kong, Lian, Huang, Li, Hu & Zhou 2021): translation learnt from roughly registered pairs.

=====================  =====================================================
here                   paper
=====================  =====================================================
``source, target``     x, the misaligned y~
``to_target``          G
``registration``       R, gives the displacement T = R(G(x), y~)
``critic``             D
``correction_weight``  20, of L_Corr = |y~ - G(x) o T|
``smoothness_weight``  10, of L_Smooth = |grad T|^2
=====================  =====================================================

A target that does not lie on its source is noise to a regression, which answers with blur. Here
the translation is moved onto the target before it is compared, and users get it unmoved. A shift
that all pairs share is nobody's to find: generator and displacement may divide it in any way.

Departs from the paper: nearest upsampling + convolution, half its width by default (for a CPU), a
plain U-Net of four levels in place of a residual one of seven, CycleGAN's learning rate (twice the
paper's), the critic's patch shrinks with images below 128 pixels, and samples come from a moving
average of the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.nets.registration import RegistrationNet, warped
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
class RegGanConfig(TranslatorConfig):
    """Settings of :class:`RegGan`."""

    correction_weight: float = 20.0
    """Weight of coming close to the target once the translation is moved onto it."""
    smoothness_weight: float = 10.0
    """Weight of neighbours moving together; more allows only stiffer displacements."""


class RegGan(OneWayGan):
    """Generator and registration learn together; the critic keeps the unmoved image sharp."""

    Config = RegGanConfig
    paired = True

    def __init__(self, config: RegGanConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        inputs, outputs, size = spec.inputs, spec.channels, spec.size
        self.to_target = ResnetGenerator(inputs, outputs, config.width, residual_blocks(size))
        self.registration = RegistrationNet(outputs, config.width)
        self.critic = PatchCritic(outputs, config.width, critic_layers(size))

    def phases(self) -> list[Phase]:
        """The generator with the registration, then the critic on the fakes just made."""
        return [
            Phase("generator", ("to_target", "registration"), self.generator_loss),
            Phase("critic", ("critic",), self.critic_loss),
        ]

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """(D(G(x)) - 1)^2 + 20 |y~ - G(x) o T| + 10 |grad T|^2."""
        source, target = batch["source"], batch["target"]
        fake = self.to_target(source)
        field = self.registration(fake, target)
        config, terms = self.config, {}
        terms["fool"] = (1.0, losses.least_squares(self.critic(fake), 1.0))
        correction = F.l1_loss(warped(fake, field), target)
        terms["correction"] = (config.correction_weight, correction)
        terms["smoothness"] = (config.smoothness_weight, losses.roughness(field))
        return self._generators(source, fake, terms)

"""Unpaired translation learnt from disguises: our default, in one direction and without a cycle.

===================  ===================================================================
here                 paper
===================  ===================================================================
``to_target``        S, the network that is shown random contrasts (Iglesias 2021, SynthSR)
``disguise_weight``  of |y - G(disguise(y))|: its L1, on targets in contrasts made by ``disguise``
``critic``           D_Y of CycleGAN, on translations of real sources
the rest             ``anatomy``: outline and depth
===================  ===================================================================

A target in a random contrast is a source that fits its target to the pixel. From such pairs the
generator learns, like a regression, where things end and which values they have; real sources,
which it must bring to look real to the critic in their own anatomy, teach it the one contrast that
it will be given. No second generator: a step costs half of CycleGAN's, and no cycle invites to
hide the source in the translation (Chu 2017).

Departs from the paper: random contrasts of the image itself, not of a label map; a critic and
real sources beside them; CycleGAN's generator in place of a 3D U-Net, and its critic without a
replay of earlier fakes. Gradients and MIND have no weight: the disguises teach what they are for,
without asking for more of the source's structure than the target has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan import losses
from medimg_gan.augmentations import DiffAugment
from medimg_gan.disguise import disguised
from medimg_gan.nets.translation import (
    PatchCritic,
    ResnetGenerator,
    critic_layers,
    residual_blocks,
)
from medimg_gan.recipes.anatomy import AnatomyConfig, anatomy_terms
from medimg_gan.recipes.base import Phase, Spec
from medimg_gan.recipes.one_way import OneWayGan

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Logs


@dataclass(frozen=True)
class DisguiseConfig(AnatomyConfig):
    """Settings of :class:`Disguise`."""

    disguise_weight: float = 20.0
    """Weight of giving a disguised target back."""
    gradient_weight: float = 0.0
    """Weight of edges in equal places."""
    mind_weight: float = 0.0
    """Weight of equal self-similarity (MIND) around every pixel."""


class Disguise(OneWayGan):
    """Images of a source modality -> target modality, from the target in random contrasts."""

    Config = DisguiseConfig
    adjacent = 3

    def __init__(self, config: DisguiseConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.augmentation = DiffAugment(config.augment, spec.mirror)
        self.to_target = ResnetGenerator(
            spec.inputs, spec.channels, config.width, residual_blocks(spec.size)
        )
        self.critic = PatchCritic(spec.channels, config.width, critic_layers(spec.size))

    def phases(self) -> list[Phase]:
        """The generator, then the critic on the fake just made."""
        return [
            Phase("generator", ("to_target",), self.generator_loss),
            Phase("critic", ("critic",), self.critic_loss),
        ]

    def augment(self, images: Tensor) -> Tensor:
        """Targets (N, C, H, W) as the critic is to see them: some of them moved."""
        return self.augmentation(images)

    def generator_loss(self, batch: Batch) -> tuple[Tensor, Logs]:
        """L_GAN + lambda |y - G(disguise(y))| + anatomy; sources and disguises in one call."""
        source, target = batch["source"], batch["target"]
        contrasts = self.spec.inputs // self.spec.channels
        threshold, bone = self.config.body_threshold, self.spec.dark_bone
        hidden = disguised(target, contrasts, threshold, dark_bone=bone)
        fake, seen_through = self.to_target(torch.cat([source, hidden])).chunk(2)
        terms: losses.Terms = {
            "fool": (1.0, losses.least_squares(self.critic(self.augment(fake)), 1.0)),
            "disguise": (self.config.disguise_weight, F.l1_loss(seen_through, target)),
        }
        return self._generators(source, fake, terms | anatomy_terms(self.config, batch, fake))

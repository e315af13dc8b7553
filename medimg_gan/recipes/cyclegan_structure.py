"""CycleGAN that keeps the anatomy: structure losses between an image and its translation.

A cycle alone lets both generators agree on a wrong anatomy, as long as they agree. What else binds
a translation to its source is added here, without pairs:

===================  ===================================================================
here                 paper
===================  ===================================================================
``gradient_weight``  lambda of the gradient consistency (Hiasa 2018, eq. 2)
``mind_weight``      lambda of the MIND loss (Yang 2018, eq. 4; theirs is 5)
``body_weight``      lambda of the mask loss (after Phan 2023, MaskGAN)
``depth_weight``     ours: values as in a real image at equal depths (``depth_loss``)
``augment``          chance of T, DiffAugment (Zhao 2020), in both critics' and generators' loss
===================  ===================================================================

Departs from the papers: contrasts of either sign count as one boundary, as bone is dark in MR and
bright in CT (see ``structure_losses``); the body's mask comes from a threshold, not from a network
or a file; the augmentation moves images and leaves their values alone, which carry meaning (HU).
From CycleGAN as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan import structure_losses
from medimg_gan.augmentations import DiffAugment
from medimg_gan.depth_loss import depth_difference, depth_layers
from medimg_gan.losses import Terms
from medimg_gan.recipes.base import Spec
from medimg_gan.recipes.cyclegan import CycleGan, CycleGanConfig

if TYPE_CHECKING:
    from medimg_gan.types import Batch


@dataclass(frozen=True)
class CycleGanStructureConfig(CycleGanConfig):
    """Settings of :class:`CycleGanStructure`."""

    identity_weight: float = 0.0
    """Weight of leaving alone what is already in the wanted domain (CycleGAN: 5). It pulls
    towards the source's contrast, which structure does without, and costs a third of a step."""
    gradient_weight: float = 1.0
    """Weight of edges in equal places."""
    mind_weight: float = 1.0
    """Weight of equal self-similarity (MIND) around every pixel."""
    body_weight: float = 5.0
    """Weight of the body's outline."""
    body_threshold: float = -0.8
    """Encoded value between air and skin: -750 HU in the default window, a tenth of MR's range."""
    depth_weight: float = 10.0
    """Weight of values as in the real image drawn beside it, at equal depths below the skin."""
    augment: float = 0.3
    """Chance that the critics see an image moved, turned or zoomed."""


class CycleGanStructure(CycleGan):
    """Images of a source modality -> target modality in the same anatomy, without pairs."""

    Config = CycleGanStructureConfig
    adjacent = 3

    def __init__(self, config: CycleGanStructureConfig, spec: Spec) -> None:
        super().__init__(config, spec)
        self.augmentation = DiffAugment(config.augment, spec.mirror)

    def augment(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) as the critics are to see them: some of them moved."""
        return self.augmentation(images)

    def structure_terms(self, batch: Batch, fake_target: Tensor, fake_source: Tensor) -> Terms:
        """Gradient consistency, MIND, mask and depth, of both directions."""
        config = self.config
        translations = [(batch["source"], fake_target), (batch["target"], fake_source)]
        pairs = [structure_losses.same_slices(*pair) for pair in translations]
        body = partial(structure_losses.body_difference, threshold=config.body_threshold)
        parts = {
            "gradient": (config.gradient_weight, structure_losses.gradient_difference),
            "mind": (config.mind_weight, structure_losses.self_similarity_difference),
            "body": (config.body_weight, body),
        }
        terms = {
            name: (weight, torch.stack([difference(*pair) for pair in pairs]).sum())
            for name, (weight, difference) in parts.items()
            if weight
        }
        if config.depth_weight:
            terms["depth"] = (config.depth_weight, self._depth(batch, fake_target, fake_source))
        return terms

    def _depth(self, batch: Batch, fake_target: Tensor, fake_source: Tensor) -> Tensor:
        """Values of translations against real ones at equal depths, in both directions."""
        source, target = batch["source"], batch["target"]
        # The body is where any of the source's sequences shows one.
        seen = source.unflatten(1, (-1, target.shape[1])).amax(dim=1)
        of_source, of_target = (
            depth_layers(images, self.config.body_threshold) for images in (seen, target)
        )
        there = depth_difference(fake_target, target, of_source, of_target)
        return there + depth_difference(fake_source, source, of_target, of_source)

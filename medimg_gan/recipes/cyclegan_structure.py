"""CycleGAN that keeps the anatomy: structure losses between an image and its translation.

A cycle alone lets both generators agree on a wrong anatomy, as long as they agree. What else binds
a translation to its source is added here, without pairs: all of ``anatomy``, in both directions.
Which name is what in each paper is told there and in ``cyclegan``.

Departs from the papers: as those two do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from medimg_gan.augmentations import DiffAugment
from medimg_gan.recipes.anatomy import AnatomyConfig, anatomy_terms
from medimg_gan.recipes.base import Spec
from medimg_gan.recipes.cyclegan import CycleGan, CycleGanConfig

if TYPE_CHECKING:
    from medimg_gan.losses import Terms
    from medimg_gan.types import Batch


@dataclass(frozen=True)
class CycleGanStructureConfig(AnatomyConfig, CycleGanConfig):
    """Settings of :class:`CycleGanStructure`."""

    identity_weight: float = 0.0
    """Weight of leaving alone what is already in the wanted domain (CycleGAN: 5). It pulls
    towards the source's contrast, which structure does without, and costs a third of a step."""


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
        return anatomy_terms(self.config, batch, fake_target, fake_source)

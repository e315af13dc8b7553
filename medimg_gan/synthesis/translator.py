"""A trained translator, as a plain function from volume to volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from medimg_gan.data.chain import decode, encode
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.imaging import Volume
from medimg_gan.modalities import Scale
from medimg_gan.modalities.nyul import StandardScale
from medimg_gan.recipes import TranslationRecipe
from medimg_gan.recipes.base import device_of

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

CHUNK = 64
"""Slices translated at once."""

CT_STORED = (-1024.0, 3071.0)
"""The range of 12-bit CT numbers."""


@dataclass(frozen=True)
class Translator:
    """A trained translator of volumes; made by :func:`load_run`.

    Attributes:
        recipe: Networks with averaged weights, in evaluation mode.
        source, target: Modalities.
        unit: Unit of the target's values.
        scale: Raw target values of -1 and 1.
        chain: How the training scans became pictures.
        standard: MR's standard scale, where the training learnt one.
    """

    recipe: TranslationRecipe
    source: str
    target: str
    unit: str
    scale: Scale
    chain: ChainConfig = DEFAULT_CHAIN
    standard: StandardScale | None = None

    @torch.inference_mode()
    def translate(self, volume: Volume) -> Volume:
        """A target-like volume on exactly the source's grid, slice by slice.

        CT is rounded to whole HU and clipped to the stored range [-1024, 3071].

        Raises:
            ModalityError: If the values cannot be of the source modality.
            UnreadableError: If the chain cannot make pictures of it.
        """
        encoded = encode(
            volume.array,
            volume.spacing,
            modality=self.source,
            unit=volume.unit,
            chain=self.chain,
            size=self.recipe.spec.size,
        )
        pictures = self._pictures(encoded.pictures, encoded.landmarks)
        values = decode(pictures, encoded, self.scale, self.unit)
        if self.unit == "HU":
            values = np.clip(np.round(values), *CT_STORED)
        return volume.with_array(values.astype(np.float32), modality=self.target, unit=self.unit)

    def _pictures(self, pictures: FloatArray, landmarks: FloatArray) -> FloatArray:
        """Translated pictures (K, size, size).

        A target on the standard scale needs no way back: the typical volume's landmarks, to which
        ``scale`` belongs, are the standard's own.
        """
        device = device_of(self.recipe)
        translated = np.empty_like(pictures)
        for start in range(0, len(pictures), CHUNK):
            block = slice(start, start + CHUNK)
            images = torch.from_numpy(pictures[block])[:, None]
            if self.standard is not None and landmarks.size:
                own = torch.from_numpy(landmarks).expand(len(images), -1)
                images = self.standard.apply(images, own)
            made = self.recipe.translate(images.to(device))
            translated[block] = made[:, 0].clamp(-1, 1).float().cpu().numpy()
        return translated

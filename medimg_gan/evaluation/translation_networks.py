"""What a translator's own networks say of a scan: whether they find the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from medimg_gan.data.chain import encode
from medimg_gan.recipes.base import device_of

if TYPE_CHECKING:
    from medimg_gan.evaluation.translation import Figures
    from medimg_gan.imaging import Volume
    from medimg_gan.synthesis import Translator
    from medimg_gan.types import FloatArray

CHUNK = 16
"""Pictures at once."""


@torch.inference_mode()
def cycle_error(translator: Translator, volume: Volume) -> Figures:
    """Mean |F(G(x)) - x| over the scan's pictures, in percent of the range [-1, 1].

    Low is no proof: a pair of networks may agree on how to hide what they were shown (Chu et al.
    2017). Empty where the recipe cannot go back.
    """
    recipe = translator.recipe
    if not isinstance(getattr(recipe, "to_source", None), torch.nn.Module):
        return {}
    encoded = encode(
        volume.array,
        volume.spacing,
        modality=translator.source,
        unit=volume.unit,
        chain=translator.chain,
        size=recipe.spec.size,
    )
    images = _stacks(encoded.pictures, recipe.spec.inputs)
    total = 0.0
    for start in range(0, len(images), CHUNK):
        image = torch.from_numpy(images[start : start + CHUNK]).to(device_of(recipe))
        back = recipe.to_source(recipe.translate(image))  # type: ignore[operator]
        total += float((back - image).abs().flatten(1).mean(dim=1).sum())
    return {"cycle": 50 * total / len(images)}


def _stacks(pictures: FloatArray, adjacent: int) -> FloatArray:
    """(K, H, W) -> (K, adjacent, H, W): each picture between its neighbours, ends repeated."""
    offsets = np.arange(adjacent) - adjacent // 2
    places = np.clip(np.arange(len(pictures))[:, None] + offsets, 0, len(pictures) - 1)
    return pictures[places]

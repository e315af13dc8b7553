"""What a translator's own networks say of a scan: whether they find the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from medimg_gan.recipes.base import device_of
from medimg_gan.synthesis.blocks import neighbourhoods

if TYPE_CHECKING:
    from medimg_gan.evaluation.translation import Figures
    from medimg_gan.imaging import Volume
    from medimg_gan.synthesis import Translator

CHUNK = 16
"""Pictures at once."""


@torch.inference_mode()
def cycle_error(translator: Translator, volumes: Sequence[Volume]) -> Figures:
    """Mean |F(G(x)) - x| over what the network sees of a scan, in percent of the range [-1, 1].

    Low is no proof: a pair of networks may agree on how to hide what they were shown (Chu et al.
    2017). Empty where the recipe cannot go back, or nothing is to be seen.

    Args:
        translator: Of a trained run.
        volumes: One of each of its sequences.
    """
    recipe = translator.recipe
    if not isinstance(getattr(recipe, "to_source", None), torch.nn.Module):
        return {}
    stacks = translator.seen(volumes)
    if not stacks:
        return {}
    count, total = len(stacks[0]), 0.0
    for start in range(0, count, CHUNK):
        centres = np.arange(start, min(start + CHUNK, count))
        images = torch.from_numpy(neighbourhoods(stacks, centres, translator.adjacent))
        images = images.to(device_of(recipe))
        back = recipe.to_source(recipe.translate(images))  # type: ignore[operator]
        total += float((back - images).abs().flatten(1).mean(dim=1).sum())
    return {"cycle": 50 * total / count}

"""MS-SSIM between images of one kind: how alike they are among themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.metrics.regression import compute_ms_ssim

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, finest first (Wang 2003); small images have room for the first ones only."""
WINDOW = 11
MOST_PAIRS = 256


def similarity_among(images: FloatArray) -> float:
    """Mean MS-SSIM of pairs of different images (Odena 2017, sec. 4.2).

    1 when all are the same image: compare with real images' own value.

    Args:
        images: (N, 1, H, W) in [-1, 1], of one class, N at least 2.
    """
    first, second = _pairs(len(images))
    # In order of brightness, so that the drawn pairs do not depend on the order of the images.
    order = np.argsort(images.mean(axis=(1, 2, 3)), kind="stable")
    one, other = (torch.from_numpy(images[order[side]]).float() for side in (first, second))
    scales = [weight for level, weight in enumerate(WEIGHTS) if images.shape[-1] >> level >= WINDOW]
    weights = [weight / sum(scales) for weight in scales]
    size, sigma = [WINDOW, WINDOW], [1.5, 1.5]
    similarity = compute_ms_ssim(
        one, other, 2, data_range=2.0, kernel_size=size, kernel_sigma=sigma, weights=weights
    )
    return float(similarity.mean())


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of different images, or as many as are enough, evenly drawn."""
    if count < 2:
        raise ValueError("similarity needs at least two images")
    first, second = np.triu_indices(count, 1)
    if len(first) > MOST_PAIRS:
        chosen = np.random.default_rng(0).choice(len(first), MOST_PAIRS, replace=False)
        first, second = first[chosen], second[chosen]
    return first, second

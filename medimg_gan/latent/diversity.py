"""How far apart the images of a class are: what a grid shows, as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


def distances_among(images: FloatArray) -> FloatArray:
    """Root-mean-square pixel distance of every pair of different images, (N (N - 1) / 2,).

    Args:
        images: (N, C, H, W) in [-1, 1], N at least 2.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    squares = (flat**2).mean(axis=1)
    between = squares[:, None] + squares - 2 * flat @ flat.T / flat.shape[1]
    return np.sqrt(between.clip(min=0))[np.triu_indices(len(images), 1)]


def spread(images: FloatArray) -> float:
    """Mean distance of two images; 0 when all are the same."""
    return float(distances_among(images).mean())

"""How alike images of one kind are among themselves: by MS-SSIM, and by pixel distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.metrics.regression import compute_ms_ssim
from scipy.spatial.distance import squareform

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, finest first (Wang 2003); small images have room for the first ones only."""
WINDOW = 11
MOST_PAIRS = 256
SAME_GAP = 1e-6
"""Gaps between numbers that differ by less are one, rounding apart."""


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


def distances_among(images: FloatArray) -> FloatArray:
    """Root-mean-square pixel distance of every pair of different images, (N (N - 1) / 2,).

    Pairs are in the order of ``np.triu_indices(N, 1)``; memory is that of the images in float64.

    Args:
        images: (N, C, H, W) in [-1, 1], N at least 2.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    products = flat @ flat.T / flat.shape[1]
    squares = np.diagonal(products)
    between = squares[:, None] + squares - 2 * products
    return np.sqrt(between.clip(min=0))[np.triu_indices(len(images), 1)]


def distances_to_peers(images: FloatArray, numbers: FloatArray, patients: IntArray) -> FloatArray:
    """Mean root-mean-square pixel distance (N,) of each image to what could stand in its place.

    That is, of other patients' images the one nearest in numbers, or all that are equally near:
    without numbers every one. Only where there is one patient alone, its other images do.

    Args:
        images: (N, C, H, W) in [-1, 1], of one class, N at least 2.
        numbers: (N, K) what else is known of the images, standardised; K may be 0.
        patients: (N,) whose they are.
    """
    others = patients[:, None] != patients
    others |= ~others.any(axis=1, keepdims=True)
    np.fill_diagonal(others, val=False)
    gaps = np.sqrt(((numbers[:, None] - numbers) ** 2).sum(axis=2))
    gaps[~others] = np.inf
    peers = gaps <= gaps.min(axis=1, keepdims=True) + SAME_GAP
    return np.average(squareform(distances_among(images)), axis=1, weights=peers)


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of different images, or as many as are enough, evenly drawn."""
    if count < 2:
        raise ValueError("similarity needs at least two images")
    first, second = np.triu_indices(count, 1)
    if len(first) > MOST_PAIRS:
        chosen = np.random.default_rng(0).choice(len(first), MOST_PAIRS, replace=False)
        first, second = first[chosen], second[chosen]
    return first, second

"""Radiomics-style features: first-order statistics and grey-level co-occurrence inside the body.

Definitions follow the Image Biomarker Standardisation Initiative (Zwanenburg 2020): co-occurrence
at distance 1, in-plane, the four directions merged; a fixed number of grey levels over the fixed
range [-1, 1], so that a shift of intensities is not normalised away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_fill_holes
from scipy.stats import kurtosis, skew

from medimg_gan.metrics.frechet import frechet_distance

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

ABOVE_BACKGROUND = -0.9
"""Encoded value from which a pixel belongs to the body."""
LEVELS = 16
MOST_DEVIATIONS = 5.0
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
FIRST_ORDER = (
    "mean", "standard deviation", "skewness", "kurtosis", "10th percentile", "median",
    "90th percentile", "entropy", "uniformity",
)  # fmt: skip
TEXTURE = (
    "contrast", "dissimilarity", "homogeneity", "angular second moment", "joint entropy",
    "correlation",
)  # fmt: skip
RADIOMICS = FIRST_ORDER + TEXTURE


def body_masks(images: FloatArray) -> np.ndarray:
    """Bool (N, H, W): where images (N, 1, H, W) show the body, holes in it filled."""
    return np.array([binary_fill_holes(image[0] > ABOVE_BACKGROUND) for image in images], bool)


def radiomics(images: FloatArray) -> FloatArray:
    """Features (N, 15) in the order of ``RADIOMICS``, of images (N, 1, H, W) in [-1, 1].

    An image without a body (all background) gives zeros.
    """
    masks = body_masks(images)
    rows = np.zeros((len(images), len(RADIOMICS)))
    for row, image, mask in zip(rows, images[:, 0], masks, strict=True):
        if mask.sum() > 1:
            levels = grey_levels(image)
            row[:] = [*_first_order(image[mask], levels[mask]), *texture(levels, mask)]
    return rows


def grey_levels(image: FloatArray) -> np.ndarray:
    """Values in [-1, 1] -> 0 to ``LEVELS`` - 1, in equal steps."""
    return np.clip(((image + 1) / 2 * LEVELS).astype(int), 0, LEVELS - 1)


def _first_order(values: FloatArray, levels: np.ndarray) -> list[float]:
    values = values.astype(np.float64)
    share = np.bincount(levels, minlength=LEVELS) / len(levels)
    flat = np.ptp(values) < 1e-6  # moments of a constant are 0 / 0
    return [
        values.mean(),
        values.std(),
        0.0 if flat else float(skew(values)),
        0.0 if flat else float(kurtosis(values)),
        *np.percentile(values, [10, 50, 90]),
        _entropy(share),
        float((share**2).sum()),
    ]


def co_occurrence(levels: np.ndarray, mask: np.ndarray, direction: tuple[int, int]) -> FloatArray:
    """Counts (LEVELS, LEVELS) of neighbours inside the mask, each pair in both orders.

    Args:
        levels: (H, W) grey levels.
        mask: (H, W) bool.
        direction: Rows down, columns right (Haralick 1973: (0, 1) is 0 degrees).
    """
    down, right = direction
    height, width = levels.shape
    here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
    there = (slice(down, height), slice(max(0, right), width - max(0, -right)))
    both = mask[here] & mask[there]
    pairs = LEVELS * levels[here][both] + levels[there][both]
    counts = np.bincount(pairs, minlength=LEVELS**2).reshape(LEVELS, LEVELS).astype(np.float64)
    return counts + counts.T


def texture(levels: np.ndarray, mask: np.ndarray) -> list[float]:
    """The measures of ``TEXTURE`` from the merged co-occurrence matrix; zeros without pairs."""
    counts = sum(co_occurrence(levels, mask, direction) for direction in DIRECTIONS)
    counts = np.asarray(counts)
    if not counts.sum():
        return [0.0] * len(TEXTURE)
    share = counts / counts.sum()
    level = np.arange(LEVELS)
    apart = np.abs(level[:, None] - level)
    marginal = share.sum(axis=1)
    mean = (marginal * level).sum()
    variance = (marginal * (level - mean) ** 2).sum()
    covariance = (share * np.outer(level - mean, level - mean)).sum()
    return [
        float((share * apart**2).sum()),
        float((share * apart).sum()),
        float((share / (1 + apart**2)).sum()),
        float((share**2).sum()),
        _entropy(share),
        float(covariance / variance) if variance > 0 else 1.0,
    ]


def radiomics_distance(real: FloatArray, synthetic: FloatArray) -> float:
    """Fréchet distance of :func:`radiomics`, each feature in standard deviations of the real set.

    They are cut off at ``MOST_DEVIATIONS`` from the real mean: a few pixels at the top of a head
    can have any kurtosis, and one such slice would decide the distance.

    Args:
        real: (N, k).
        synthetic: (M, k).
    """
    mean, deviation = real.mean(axis=0), real.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    standard, other = (
        np.clip((some - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        for some in (real, synthetic)
    )
    return frechet_distance(standard, other)


def _entropy(share: FloatArray) -> float:
    """In bits."""
    some = share[share > 0]
    return float(-(some * np.log2(some)).sum())

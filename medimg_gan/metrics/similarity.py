"""Structural similarity inside a mask, in two or three dimensions, as SynthRAD defines it.

SynthRAD2023 takes the mean of the SSIM map (uniform window of 7, sample covariance) over the mask;
SynthRAD2025 takes MS-SSIM with the mean over the mask at every scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter

from medimg_gan.metrics.paired import mean_over

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

WINDOW = 7
"""Voxels along each side of the cube (or square) that a local mean is taken over."""
BORDER = WINDOW // 2
"""Voxels at the border that are left out: their window would reach outside."""
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first (Wang et al. 2003, sec. 3.2)."""
LEAST_SIDE = 97
"""Voxels to which every side is padded before scales are halved (SynthRAD2025): the coarsest of
five scales then keeps one window."""


@dataclass(frozen=True)
class _Terms:
    """Luminance, contrast and structure (Wang et al. 2004, eq. 6 and 9 to 11), each a map."""

    luminance: FloatArray
    contrast: FloatArray
    structure: FloatArray


def similarity(
    made: FloatArray, truth: FloatArray, where: Mask, limits: tuple[float, float]
) -> float:
    """Mean SSIM over ``where``; what lies outside it is the lowest value on both sides.

    Sides of one voxel are dropped: a picture's window is 7 x 7. A side shorter than the window is
    mirrored at its ends, not cut off.

    Args:
        made: (I, J, K) translated values.
        truth: (I, J, K) true values.
        where: (I, J, K) voxels that count.
        limits: Both are clipped to this range, which is also SSIM's range of values.

    Returns:
        At most 1; NaN where no voxel counts.
    """
    one, other, mask = _prepared(made, truth, where, limits)
    # For positive C3 = C2 / 2 the product of contrast and structure is eq. 13's second factor.
    terms = _terms(one, other, limits[1] - limits[0])
    return _mean_inside(terms.luminance * terms.contrast * terms.structure, mask)


def multiscale_similarity(
    made: FloatArray, truth: FloatArray, where: Mask, limits: tuple[float, float]
) -> float:
    """MS-SSIM with the mean over ``where`` at each of five scales (SynthRAD2025).

    Every scale's map is l^w c^w s^w with that scale's exponent w (SynthRAD's code has luminance at
    every scale, where Wang et al. have it at the coarsest only); the result is the product of the
    maps' means. Sides below 97 voxels are padded with their ends, so a volume of few thick slices
    is judged mostly in its planes. Arguments and result as of :func:`similarity`.
    """
    one, other, mask = _prepared(made, truth, where, limits)
    short = [max(LEAST_SIDE - side, 0) for side in mask.shape]
    padding = [(missing // 2, missing - missing // 2) for missing in short]
    one, other = (np.pad(part, padding, mode="edge") for part in (one, other))
    mask = np.pad(mask, padding, mode="edge")
    product = 1.0
    for weight in SCALES:
        terms = _terms(one, other, limits[1] - limits[0])
        parts = (terms.luminance, terms.contrast, terms.structure)
        local = np.prod([np.clip(part, 0, None) ** weight for part in parts], axis=0)
        product *= np.clip(_mean_inside(local, mask), 0, 1)
        halves = tuple(slice(None, None, 2) for _ in mask.shape)
        one, other, mask = _smoothed(one)[halves], _smoothed(other)[halves], mask[halves]
    return float(product)


def _prepared(
    made: FloatArray, truth: FloatArray, where: Mask, limits: tuple[float, float]
) -> tuple[FloatArray, FloatArray, Mask]:
    """Both from 0 upwards inside the mask and 0 outside, without sides of one voxel."""
    one, other = (
        np.where(where, np.clip(np.asarray(part, np.float64), *limits) - limits[0], 0).squeeze()
        for part in (made, truth)
    )
    return one, other, np.asarray(where, bool).squeeze()


def _terms(one: FloatArray, other: FloatArray, span: float) -> _Terms:
    count = WINDOW**one.ndim
    of_sample = count / (count - 1)
    mean, other_mean = uniform_filter(one, WINDOW), uniform_filter(other, WINDOW)
    variance = of_sample * (uniform_filter(one * one, WINDOW) - mean * mean)
    other_variance = of_sample * (uniform_filter(other * other, WINDOW) - other_mean * other_mean)
    together = of_sample * (uniform_filter(one * other, WINDOW) - mean * other_mean)
    spread = np.sqrt(np.clip(variance, 0, None) * np.clip(other_variance, 0, None))
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    return _Terms(
        (2 * mean * other_mean + c1) / (mean**2 + other_mean**2 + c1),
        (2 * spread + c2) / (variance + other_variance + c2),
        (together + c2 / 2) / (spread + c2 / 2),
    )


def _mean_inside(values: FloatArray, where: Mask) -> float:
    """The mean over the mask without the volume's border, where that leaves anything."""
    inner = np.zeros(where.shape, bool)
    inner[tuple(slice(BORDER, -BORDER) for _ in where.shape)] = True
    counted = where & inner
    return mean_over(values, counted if counted.any() else where)


def _smoothed(values: FloatArray) -> FloatArray:
    """Mean of each voxel and the one before it along every axis, 0 before the first."""
    for axis in range(values.ndim):
        before = np.zeros_like(values)
        _at(before, axis, slice(1, None))[...] = _at(values, axis, slice(None, -1))
        values = (values + before) / 2
    return values


def _at(values: FloatArray, axis: int, part: slice) -> FloatArray:
    return values[(slice(None),) * axis + (part,)]

"""A translated volume against its truth: errors by tissue, PSNR, consistency of slices, edges.

Where SynthRAD2025 (Thummerer et al.) defines a measure, this is its definition: MAE and PSNR over
the voxels of the body mask, PSNR with both sides clipped to a fixed range. Arrays only; what the
volumes are and which voxels count is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage, stats

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

HU_RANGE = (-1024.0, 3000.0)
"""Fixed range of PSNR and SSIM in CT (SynthRAD2023 and the report of 2025; the evaluation code of
2025 came to use 3071, which adds 0.15 dB to every PSNR)."""

BONE = 250.0
"""HU from which a voxel counts as bone; authors use 150 to 300. Calcifications and thin bone of
thick slices lie about there."""

TISSUES: dict[str, tuple[float, float]] = {
    "air": (-np.inf, -190.0),
    "fat": (-190.0, -30.0),
    "soft": (-30.0, BONE),
    "bone": (BONE, np.inf),
}
"""Lowest (included) and highest (excluded) HU of the truth; fat as in Yoshizumi et al. 1999
(Radiology 211:283), the others what lies on either side of it."""


def mean_absolute_error(made: FloatArray, truth: FloatArray, where: Mask) -> float:
    """MAE over the voxels ``where``, in the values' unit; NaN where there are none.

    Args:
        made: Translated values, any shape.
        truth: True values of the same shape.
        where: Voxels that count.
    """
    return mean_over(np.abs(_error(made, truth)), where)


def mean_error(made: FloatArray, truth: FloatArray, where: Mask) -> float:
    """ME, the bias: above 0 where the translation is too bright. As ``mean_absolute_error``."""
    return mean_over(_error(made, truth), where)


def tissues(truth: FloatArray, body: Mask) -> dict[str, Mask]:
    """The voxels of each of ``TISSUES`` in the body, by the truth's HU."""
    return {name: body & (truth >= low) & (truth < high) for name, (low, high) in TISSUES.items()}


def peak_signal_to_noise(
    made: FloatArray, truth: FloatArray, where: Mask, limits: tuple[float, float]
) -> float:
    """PSNR = 10 log10((high - low)^2 / MSE) in dB over ``where``, both clipped to ``limits``.

    Infinite where the two are the same.
    """
    low, high = limits
    error = _error(np.clip(made, low, high), np.clip(truth, low, high))
    mean_square = mean_over(np.square(error), where)
    return float(10 * np.log10((high - low) ** 2 / mean_square)) if mean_square else np.inf


def slope_error(made: FloatArray, truth: FloatArray, where: Mask, spacing_mm: float) -> float:
    """Through-plane consistency: mean |d(made - truth)/dz| in the values' unit per mm.

    An error that is the same in neighbouring slices costs nothing here, one that jumps from slice
    to slice does.

    Args:
        made: (I, J, K) translated values, slices along the last axis.
        truth: (I, J, K) true values.
        where: (I, J, K) voxels that count; a difference does where both its voxels do.
        spacing_mm: Distance of slices.

    Returns:
        NaN for a single slice.
    """
    if truth.shape[2] < 2:
        return np.nan
    both = where[:, :, 1:] & where[:, :, :-1]
    return mean_over(np.abs(np.diff(_error(made, truth), axis=2)), both) / spacing_mm


def slope(values: FloatArray, where: Mask, spacing_mm: float) -> float:
    """Mean |d(values)/dz| per mm, what :func:`slope_error` is held against."""
    return slope_error(values, np.zeros_like(values), where, spacing_mm)


def edge_agreement(made: FloatArray, truth: FloatArray, where: Mask) -> float:
    """Pearson correlation over ``where`` of the in-plane gradients' lengths (Sobel).

    1 where the same edges have the same relative strength, whatever brightness lies between them.
    NaN where one of the two has no edge.

    Args:
        made: (I, J, K) translated values.
        truth: (I, J, K) true values.
        where: (I, J, K) voxels that count.
    """
    one, other = (_edges(values)[where] for values in (made, truth))
    if one.size < 2 or not one.std() or not other.std():
        return np.nan
    return float(np.corrcoef(one, other)[0, 1])


def spread_agreement(
    spread: FloatArray, made: FloatArray, truth: FloatArray, where: Mask
) -> dict[str, float]:
    """Whether a translator is unsure where it errs: its spread against |made - truth|.

    Args:
        spread: Deviation of several translations at each voxel.
        made: Translated values of the same shape.
        truth: True values.
        where: Voxels that count.

    Returns:
        ``spearman`` and ``pearson``; NaN where spread or error is everywhere the same.
    """
    one, other = spread[where], np.abs(_error(made, truth))[where]
    if one.size < 2 or not one.std() or not other.std():
        return {"spearman": np.nan, "pearson": np.nan}
    return {
        "spearman": float(np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1]),
        "pearson": float(np.corrcoef(one, other)[0, 1]),
    }


def _edges(values: FloatArray) -> FloatArray:
    values = np.asarray(values, np.float64)
    return np.hypot(ndimage.sobel(values, axis=0), ndimage.sobel(values, axis=1))


def _error(made: FloatArray, truth: FloatArray) -> FloatArray:
    return np.asarray(made, np.float64) - np.asarray(truth, np.float64)


def mean_over(values: FloatArray, where: Mask) -> float:
    """The mean of the values in a mask; NaN where it is empty."""
    return float(values[where].mean()) if where.any() else np.nan

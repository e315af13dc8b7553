"""Two segmentations against each other: overlap, and distance of their surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    Mask = np.ndarray[Any, np.dtype[np.bool_]]


def dice(one: Mask, other: Mask) -> float:
    """2 |A and B| / (|A| + |B|) (Dice 1945); NaN where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else np.nan


def surface_distance_95(one: Mask, other: Mask, spacing: tuple[float, float, float]) -> float:
    """HD95 in mm: the larger of both directions' 95th percentile of surface distances.

    Surfaces are the voxels that an erosion by one takes away, as in MONAI, whose own function warns
    at every call of what it is about to drop.

    Args:
        one: (I, J, K) bool.
        other: (I, J, K) bool.
        spacing: mm along I, J, K.

    Returns:
        NaN where one of the two is empty.
    """
    if not (one.any() and other.any()):
        return np.nan
    eroded = (np.asarray(ndimage.binary_erosion(mask), bool) for mask in (one, other))
    first, second = (mask & ~inner for mask, inner in zip((one, other), eroded, strict=True))
    return max(_percentile_95(first, second, spacing), _percentile_95(second, first, spacing))


def _percentile_95(surface: Mask, other: Mask, spacing: tuple[float, float, float]) -> float:
    """Of the distances from one surface's voxels to the other surface."""
    distance = np.asarray(ndimage.distance_transform_edt(~other, sampling=spacing))
    return float(np.percentile(distance[surface], 95))

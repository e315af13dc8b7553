"""Two segmentations against each other: overlap, and distance of their surfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance

if TYPE_CHECKING:
    Mask = np.ndarray[Any, np.dtype[np.bool_]]


def dice(one: Mask, other: Mask) -> float:
    """2 |A and B| / (|A| + |B|) (Dice 1945); NaN where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else np.nan


def surface_distance_95(one: Mask, other: Mask, spacing: tuple[float, float, float]) -> float:
    """HD95 in mm: the larger of both directions' 95th percentile of surface distances.

    Args:
        one: (I, J, K) bool.
        other: (I, J, K) bool.
        spacing: mm along I, J, K.

    Returns:
        NaN where one of the two is empty.
    """
    if not (one.any() and other.any()):
        return np.nan
    first, second = (torch.from_numpy(part.astype(np.uint8))[None, None] for part in (one, other))
    return float(
        compute_hausdorff_distance(
            first, second, include_background=True, percentile=95, spacing=list(spacing)
        )
    )

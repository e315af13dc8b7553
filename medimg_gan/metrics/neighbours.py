"""Nearest neighbours by pixel distance: does a synthetic slice copy a training slice?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

ROWS_AT_ONCE = 256
COPY_QUANTILE = 0.05
"""A distance that only this share of held-out real slices falls below counts as 'too close'."""


@dataclass(frozen=True)
class CopyCheck:
    """Distances to the nearest training slice, beside those of real slices never trained on.

    Attributes:
        synthetic: Median distance synthetic -> training, root mean square over pixels.
        held_out: Median distance held-out real -> training: what a new patient looks like.
        limit: The 5 % quantile of the held-out distances.
        too_close: Share of synthetic slices nearer than ``limit``; about 5 % without copying.
    """

    synthetic: float
    held_out: float
    limit: float
    too_close: float


def nearest(queries: FloatArray, references: FloatArray) -> tuple[FloatArray, IntArray]:
    """The nearest reference of every query.

    Args:
        queries: (N, C, H, W).
        references: (M, C, H, W), M at least 1.

    Returns:
        Root-mean-square pixel distance (N,) and index into the references (N,).
    """
    flat = references.reshape(len(references), -1).astype(np.float64)
    squares = (flat**2).sum(axis=1)
    distances, indices = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for begin in range(0, len(queries), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        some = queries[rows].reshape(len(queries[rows]), -1).astype(np.float64)
        closest = (squares - 2 * some @ flat.T).argmin(axis=1)
        indices[rows] = closest
        # Subtracting the winner itself is exact where |a|^2 - 2ab + |b|^2 is not.
        distances[rows] = np.sqrt(((some - flat[closest]) ** 2).mean(axis=1))
    return distances, indices


def copy_check(synthetic: FloatArray, held_out: FloatArray, training: FloatArray) -> CopyCheck:
    """Compare synthetic -> training with held-out real -> training distances.

    Args:
        synthetic: (N, C, H, W) in [-1, 1].
        held_out: (M, C, H, W) real slices of patients that no training saw.
        training: (T, C, H, W) the slices that a generator could have copied.
    """
    made, _ = nearest(synthetic, training)
    control, _ = nearest(held_out, training)
    limit = float(np.quantile(control, COPY_QUANTILE))
    return CopyCheck(
        synthetic=float(np.median(made)),
        held_out=float(np.median(control)),
        limit=limit,
        too_close=float((made < limit).mean()),
    )

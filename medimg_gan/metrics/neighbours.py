"""Nearest neighbours by pixel distance: copies of training slices, duplicates among synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

ROWS_AT_ONCE = 256
COPY_QUANTILE = 0.05
"""A distance that only this share of held-out real slices falls below counts as 'too close'."""
SAME = 1e-6
"""Root-mean-square distance of two images that are one picture, rounding apart."""


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


@dataclass(frozen=True)
class DuplicateCheck:
    """Likeness among synthetic slices, beside that among real ones.

    Attributes:
        samples: Synthetic slices.
        duplicates: Those nearer than ``limit`` to one before them.
        closest: Distance of the two nearest synthetic slices, root mean square over pixels.
        limit: Distance of the two nearest real slices that are not the same picture.
    """

    samples: int
    duplicates: int
    closest: float
    limit: float


def duplicate_check(synthetic: FloatArray, real: FloatArray) -> DuplicateCheck:
    """Find synthetic slices that are more alike than any two real ones.

    Args:
        synthetic: (N, C, H, W) in [-1, 1], N at least 2.
        real: (M, C, H, W), M at least 2.
    """
    made, limit = distances_to_earlier(synthetic), closest_real(real)
    return DuplicateCheck(len(made), int((made < limit).sum()), float(made.min()), limit)


def closest_real(images: FloatArray) -> float:
    """Root-mean-square distance of the two images (N, C, H, W) most alike; inf without any.

    Images that are one picture twice do not count.
    """
    distances = distances_to_earlier(images)
    return float(distances[distances > SAME].min(initial=np.inf))


def distances_to_earlier(images: FloatArray) -> FloatArray:
    """Root-mean-square distance (N,) of each image to the nearest before it; the first's is inf.

    Args:
        images: (N, C, H, W).
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    squares = (flat**2).sum(axis=1)
    distances = np.full(len(flat), np.inf)
    for begin in range(0, len(flat), ROWS_AT_ONCE):
        some = slice(begin, begin + ROWS_AT_ONCE)
        found = squares[some, np.newaxis] + squares - 2 * flat[some] @ flat.T
        rows = np.arange(len(flat))[some, np.newaxis]
        found[rows <= np.arange(len(flat))] = np.inf
        distances[some] = np.sqrt(np.maximum(found.min(axis=1), 0) / flat.shape[1])
    return distances

"""Whether two images of different contrast show the same structures, without a truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

    Mask = np.ndarray[Any, np.dtype[np.bool_]]


def structure_distance(source: FloatArray, made: FloatArray, where: Mask) -> float:
    """1 - sum <u, v>^2 / sqrt(sum |u|^4 sum |v|^4) of normalised gradient fields u and v.

    u = grad / sqrt(|grad|^2 + e^2) in the plane, e the image's own mean gradient over ``where``
    (Haber & Modersitzki 2006, eq. 5), here as a correlation, so that an image against itself gives
    0. Edges that run alike count as equal whatever their sign and height (bone is dark in MR and
    bright in CT). Real pairs do not reach 0 either: the figure means something beside theirs.

    Args:
        source: (I, J, K) values.
        made: (I, J, K) values of any other scale.
        where: (I, J, K) voxels that count.

    Returns:
        In [0, 1]; NaN where one of the two has no edge.
    """
    one, other = _directions(source, where), _directions(made, where)
    shared = np.square(_product(one, other)).sum()
    each = [np.square(_product(field, field)).sum() for field in (one, other)]
    return float(1 - shared / np.sqrt(each[0] * each[1])) if min(each) > 0 else np.nan


def _directions(values: FloatArray, where: Mask) -> FloatArray:
    """(2, N) normalised gradients of the voxels that count."""
    values = np.asarray(values, np.float64)
    flat = np.zeros_like(values)  # a single slice may be cut in any plane
    along = (np.gradient(values, axis=axis) if values.shape[axis] > 1 else flat for axis in (0, 1))
    slopes = np.stack([part[where] for part in along])
    square = _product(slopes, slopes)
    edge = float(np.sqrt(square).mean()) if square.size else 0.0
    return slopes / np.sqrt(square + edge**2) if edge else slopes


def _product(one: FloatArray, other: FloatArray) -> FloatArray:
    return (one * other).sum(axis=0)

"""Turn and flip a grid's axes without touching where a voxel lies in the patient."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from nibabel import orientations

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts towards Left, Posterior, Superior; we count towards Right, Anterior, Superior."""

OPPOSITE = dict(zip("RLAPSI", "LRPAIS", strict=True))
"""Direction code -> the code of the other way along the same axis."""


def axis_codes(affine: FloatArray) -> str:
    """The anatomical direction nearest to each axis, such as "LPS".

    Args:
        affine: (4, 4), voxel index -> mm in RAS+.
    """
    return "".join(orientations.aff2axcodes(affine))


def reoriented(array: FloatArray, affine: FloatArray, codes: str) -> tuple[FloatArray, FloatArray]:
    """The same voxels at the same places, with axes permuted and flipped to ``codes``.

    Args:
        array: (I, J, K) values.
        affine: (4, 4), voxel index -> mm in RAS+.
        codes: Wanted directions, one letter of each of R/L, A/P, S/I ("RAS" is canonical).

    Returns:
        A view of the array and the (4, 4) affine that belongs to it.
    """
    now = orientations.io_orientation(affine)
    wanted = orientations.axcodes2ornt(tuple(codes))
    change = orientations.ornt_transform(now, wanted)
    turned = orientations.apply_orientation(array, change)
    return turned, affine @ orientations.inv_ornt_aff(change, array.shape)


def grid_in_ras(
    shape: tuple[int, int, int], affine: FloatArray
) -> tuple[tuple[int, int, int], FloatArray]:
    """Shape and (4, 4) affine that a grid has once its axes are turned to RAS."""
    turned, canonical = reoriented(np.broadcast_to(np.float32(0), shape), affine, "RAS")
    return (turned.shape[0], turned.shape[1], turned.shape[2]), canonical


def spacing_of(affine: FloatArray) -> tuple[float, float, float]:
    """Distance between neighbouring voxels along each axis in mm."""
    i, j, k = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    return i, j, k


def furthest_apart(one: FloatArray, other: FloatArray, shape: tuple[int, int, int]) -> float:
    """Largest distance in mm between the places that two affines give a corner of a volume."""
    corners = np.array([(*corner, 1) for corner in product(*[(0, n - 1) for n in shape])])
    return float(np.linalg.norm((one - other) @ corners.T, axis=0).max())

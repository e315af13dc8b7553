"""Turn and flip a grid's axes without touching where a voxel lies in the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from nibabel import orientations

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM counts towards Left, Posterior, Superior; we count towards Right, Anterior, Superior."""


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

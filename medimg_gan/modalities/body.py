"""Where a patient's body is in a volume: what figures of a translation are taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medimg_gan.modalities import MODALITIES
from medimg_gan.modalities.base import Mask

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


def body_mask(array: FloatArray, modality: str, unit: str) -> Mask:
    """The body with the air inside it: foreground, its largest piece, holes filled.

    The threshold is the modality's own (CT: -500 HU, between air and water). The largest piece
    leaves out table, head rest and noise. Holes are filled in every axial slice, since sinuses and
    airways reach the outside through the nose, or through the volume's lower end.

    Args:
        array: (I, J, K) raw values.
        modality: A key of ``MODALITIES``.
        unit: Of the values: "HU", "signal" or "display".

    Returns:
        (I, J, K) bool; all True where nothing stands out from the background.
    """
    foreground = MODALITIES[modality].foreground(array, unit)
    pieces = np.zeros(array.shape, np.int32)
    ndimage.label(foreground, output=pieces)
    sizes = np.bincount(pieces.ravel())
    if len(sizes) < 2:
        return np.ones(array.shape, bool)
    return without_holes(pieces == 1 + int(np.argmax(sizes[1:])))


def without_holes(mask: Mask) -> Mask:
    """A mask (I, J, K) with the holes of every axial slice filled."""
    filled = np.empty_like(mask)
    for k in range(mask.shape[2]):
        filled[:, :, k] = ndimage.binary_fill_holes(mask[:, :, k])
    return filled

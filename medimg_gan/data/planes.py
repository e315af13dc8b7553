"""Between the planes of a prepared volume and square pictures for a network, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from medimg_gan.data.geometry import AXES

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

BACKGROUND = -1.0
"""Encoded value of air or no signal in most scales."""

FAINTEST = 0.05
"""Encoded distance from the background at which a pixel shows something."""


@dataclass(frozen=True)
class Frame:
    """How a plane lies in its square picture: resized to (height, width), then centred.

    Attributes:
        rows, columns: Pixels of the plane on the prepared grid.
        height, width: Pixels of the plane inside the picture.
        size: Side of the picture.
    """

    rows: int
    columns: int
    height: int
    width: int
    size: int

    @property
    def top(self) -> int:
        """First picture row that the plane covers."""
        return (self.size - self.height) // 2

    @property
    def left(self) -> int:
        """First picture column that the plane covers."""
        return (self.size - self.width) // 2


def frame_of(shape: tuple[int, ...], spacing: tuple[float, float, float], size: int) -> Frame:
    """Fit the planes of a (columns, rows, slices) grid into size x size, keeping proportions."""
    columns, rows = shape[:2]
    width, height = columns * spacing[0], rows * spacing[1]
    pixels = size / max(width, height)
    return Frame(rows, columns, max(1, round(height * pixels)), max(1, round(width * pixels)), size)


def to_pictures(encoded: FloatArray, frame: Frame, background: float = BACKGROUND) -> FloatArray:
    """Planes (columns, rows, slices) in [-1, 1] -> pictures (slices, size, size).

    Radiological convention: what grows to the right, front or top of the patient grows to the
    left and top of the picture, so that axial pictures have the front at the top, coronal and
    sagittal ones the head, and the patient's right (sagittal: front) is on the left. Shrinking is
    antialiased; the border is filled with ``background``.
    """
    planes = np.ascontiguousarray(encoded[::-1, ::-1].transpose(2, 1, 0))
    resized = _resize(planes, (frame.height, frame.width))
    pictures = np.full((len(planes), frame.size, frame.size), background, np.float32)
    inside = np.s_[:, frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
    pictures[inside] = resized
    return pictures


def from_pictures(pictures: FloatArray, frame: Frame) -> FloatArray:
    """The inverse of :func:`to_pictures`: the planes (columns, rows, slices)."""
    inside = pictures[
        :, frame.top : frame.top + frame.height, frame.left : frame.left + frame.width
    ]
    planes = _resize(inside, (frame.rows, frame.columns))
    return np.ascontiguousarray(planes.transpose(2, 1, 0)[::-1, ::-1])


def as_picture(array: FloatArray) -> FloatArray:
    """A volume of a single slice in any plane, (I, J, K) -> (H, W), as :func:`to_pictures` turns.

    An axial slice goes before the others where several axes have one voxel.
    """
    plane = next(axes for axes in AXES.values() if array.shape[axes[2]] == 1)
    return array.transpose(plane)[::-1, ::-1, 0].T


def as_volume(picture: FloatArray, plane: str) -> FloatArray:
    """The inverse of :func:`as_picture`: (H, W) -> (I, J, K) with one slice in a plane."""
    planes = np.ascontiguousarray(picture[::-1, ::-1].T)[..., None]
    return planes.transpose(np.argsort(AXES[plane]))


def _resize(planes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    if planes.shape[1:] == shape:
        return np.asarray(planes, np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(planes, np.float32))[:, None]
    resized = F.interpolate(tensor, shape, mode="bilinear", align_corners=False, antialias=True)
    return resized[:, 0].clamp_(-1, 1).numpy()

"""Between a volume's grid and square pictures for a network, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

BACKGROUND = -1.0
"""Encoded value outside the scan (air, no signal)."""


@dataclass(frozen=True)
class Frame:
    """How an axial plane lies in its square picture: resized to (height, width), then centred.

    Attributes:
        rows, columns: Pixels of the plane on the volume's grid (J and I).
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
    """Fit an (I, J, K) grid's axial planes into size x size, keeping proportions in mm."""
    columns, rows = shape[:2]
    width, height = columns * spacing[0], rows * spacing[1]
    pixels = size / max(width, height)
    return Frame(rows, columns, max(1, round(height * pixels)), max(1, round(width * pixels)), size)


def to_pictures(encoded: FloatArray, frame: Frame) -> FloatArray:
    """Axial planes (I, J, K) in [-1, 1] -> pictures (K, size, size), front at the top.

    Radiological convention: the patient's right is on the picture's left. Shrinking is
    antialiased; the border is filled with ``BACKGROUND``.
    """
    planes = np.ascontiguousarray(encoded[::-1, ::-1].transpose(2, 1, 0))
    resized = _resize(planes, (frame.height, frame.width))
    pictures = np.full((len(planes), frame.size, frame.size), BACKGROUND, np.float32)
    inside = np.s_[:, frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
    pictures[inside] = resized
    return pictures


def from_pictures(pictures: FloatArray, frame: Frame) -> FloatArray:
    """The inverse of :func:`to_pictures`: pictures (K, size, size) -> planes (I, J, K)."""
    inside = pictures[
        :, frame.top : frame.top + frame.height, frame.left : frame.left + frame.width
    ]
    planes = _resize(inside, (frame.rows, frame.columns))
    return np.ascontiguousarray(planes.transpose(2, 1, 0)[::-1, ::-1])


def _resize(planes: FloatArray, shape: tuple[int, int]) -> FloatArray:
    if planes.shape[1:] == shape:
        return np.asarray(planes, np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(planes, np.float32))[:, None]
    resized = F.interpolate(tensor, shape, mode="bilinear", align_corners=False, antialias=True)
    return resized[:, 0].clamp_(-1, 1).numpy()

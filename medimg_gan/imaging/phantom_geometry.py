"""Shapes as signed distances in millimetres (negative inside), and the noise that varies them.

Every function works elementwise on coordinates of any one shape. The distances are exact for the
capsule and first-order for the rest, which is enough for surfaces a few voxels around zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

Chosen = NDArray[np.intp] | NDArray[np.bool_]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Points:
    """Places in the head's own frame, in mm: x right, y front, z up, origin amid the brain.

    Attributes:
        x: (N,) float32; ``y`` and ``z`` alike.
        s: (N,) distance from the midline, |x|.
    """

    x: FloatArray
    y: FloatArray
    z: FloatArray
    s: FloatArray

    @classmethod
    def at(cls, x: FloatArray, y: FloatArray, z: FloatArray) -> Points:
        """Points with their distance from the midline."""
        return cls(x, y, z, np.abs(x))

    def __getitem__(self, chosen: Chosen) -> Points:
        return Points(self.x[chosen], self.y[chosen], self.z[chosen], self.s[chosen])


def cover(distance: FloatArray, width: float) -> FloatArray:
    """Fraction of a voxel of ``width`` mm that lies inside a surface: a box-filtered edge.

    Args:
        distance: Signed distance of the voxel's centre in mm, negative inside.
        width: Edge of the voxel in mm.

    Returns:
        Values in [0, 1]; 0.5 on the surface.
    """
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def ellipsoid(
    x: FloatArray, y: FloatArray, z: FloatArray, centre: Triple, radii: Triple
) -> FloatArray:
    """Signed distance to an ellipsoid, first order at its surface, in mm."""
    u, v, w = ((p - c) / r for p, c, r in zip((x, y, z), centre, radii, strict=True))
    norm = np.sqrt(u * u + v * v + w * w)
    slope = np.sqrt((u / radii[0]) ** 2 + (v / radii[1]) ** 2 + (w / radii[2]) ** 2)
    return norm * (norm - 1) / np.maximum(slope, 1e-6)


def capsule(
    x: FloatArray,
    y: FloatArray,
    z: FloatArray,
    start: Triple,
    end: Triple,
    start_radius: float,
    end_radius: float,
) -> FloatArray:
    """Signed distance to a rounded cone from ``start`` to ``end``, in mm."""
    axis = [b - a for a, b in zip(start, end, strict=True)]
    u, v, w = x - start[0], y - start[1], z - start[2]
    along = (u * axis[0] + v * axis[1] + w * axis[2]) / sum(length**2 for length in axis)
    along = np.clip(along, 0.0, 1.0)
    distance = np.sqrt(
        (u - along * axis[0]) ** 2 + (v - along * axis[1]) ** 2 + (w - along * axis[2]) ** 2
    )
    return distance - (start_radius + (end_radius - start_radius) * along)


def smooth_union(first: FloatArray, second: FloatArray, blend: float) -> FloatArray:
    """Union of two shapes whose seam is rounded over ``blend`` mm (quadratic smooth minimum)."""
    overlap = np.maximum(blend - np.abs(first - second), 0.0) / blend
    return np.minimum(first, second) - overlap * overlap * (0.25 * blend)


def step(value: FloatArray, width: float) -> FloatArray:
    """Smooth step: 0 below ``-width``, 1 above ``width``, without overshoot."""
    unit = np.clip(0.5 + 0.5 * value / width, 0.0, 1.0)
    return unit * unit * (3.0 - 2.0 * unit)


@dataclass(frozen=True)
class Noise:
    """A smooth random field, zero mean and unit variance, periodic in ``cells * pitch`` mm.

    Attributes:
        lattice: (cells, cells, cells) float32.
        pitch: Distance of lattice points in mm.
    """

    lattice: FloatArray
    pitch: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, wavelength: float, *, pitch: float, cells: int = 48
    ) -> Noise:
        """A field whose waves are about ``wavelength`` mm long, in all directions alike."""
        white = np.fft.rfftn(rng.standard_normal((cells,) * 3, dtype=np.float32))
        whole, half = np.fft.fftfreq(cells, pitch), np.fft.rfftfreq(cells, pitch)
        frequency = np.sqrt(
            whole[:, None, None] ** 2 + whole[None, :, None] ** 2 + half[None, None, :] ** 2
        )
        band = np.exp(-0.5 * ((frequency * wavelength - 1.0) / 0.16) ** 2)
        lattice = np.fft.irfftn(white * band, s=(cells,) * 3).astype(np.float32)
        return cls(lattice / lattice.std(), pitch)

    def slope(self) -> Noise:
        """Length of the field's gradient per mm, as a field of its own."""
        parts = np.gradient(np.pad(self.lattice, 1, mode="wrap"), self.pitch)
        length = np.sqrt(sum(part * part for part in parts))
        return Noise(np.asarray(length, np.float32)[1:-1, 1:-1, 1:-1], self.pitch)

    def at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Values at places in mm, interpolated linearly."""
        places = np.stack([x, y, z]) / np.float32(self.pitch)
        return ndimage.map_coordinates(self.lattice, places, order=1, mode="grid-wrap")

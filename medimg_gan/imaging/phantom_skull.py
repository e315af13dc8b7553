"""The head around the brain: vault, skull base, skin, orbits and air cells of the phantom.

Proportions follow a standard adult head (brain 165 x 135 mm, eyes 30 mm either side of the
midline); template frame as in :class:`~medimg_gan.imaging.phantom_geometry.Points`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.imaging.phantom_geometry import Points, capsule, ellipsoid, smooth_union, step
from medimg_gan.imaging.phantom_traits import Traits

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

HALF_WIDTH, HALF_LENGTH, HEIGHT = 68.0, 84.0, 73.0
"""Inner surface of the vault from the origin, in mm."""
ROUNDNESS = 2.25
"""Exponent of the vault's superellipsoid: 2 is an ellipsoid, more is boxier."""


def vault(points: Points, traits: Traits, *, narrow_base: bool) -> FloatArray:
    """Signed distance to the inner surface of the skull, as if it had no floor, in mm.

    Args:
        points: Places, (N,).
        traits: The patient.
        narrow_base: Whether the back tapers below the brain (bone does; skin does not).
    """
    egg = 1 - traits.egg * points.y - 0.03 * step(points.y - 50, 40)
    depth = np.maximum(-points.z, 0.0)
    length = np.full_like(points.y, HALF_LENGTH)
    if narrow_base:
        taper = 1 - 0.0075 * np.maximum(depth - 12, 0.0) * step(-points.y, 30)
        length, egg = length * taper, egg * (0.35 + 0.65 * taper)
    height = np.where(points.z > 0, points.z / HEIGHT, points.z * (0.42 / HEIGHT))
    radii = (HALF_WIDTH * egg, length, HEIGHT)
    unit = [np.abs(points.x) / radii[0], np.abs(points.y) / radii[1], np.abs(height)]
    slopes = [1 / radii[0], 1 / radii[1], 1 / HEIGHT]
    steep = [part ** (ROUNDNESS - 1) for part in unit]
    total = sum(part * side for part, side in zip(unit, steep, strict=True))
    norm = np.maximum(total, 1e-6) ** (1 / ROUNDNESS)
    gradient = np.sqrt(sum((a * b) ** 2 for a, b in zip(steep, slopes, strict=True)))
    return (norm - 1) * norm ** (ROUNDNESS - 1) / np.maximum(gradient, 1e-4)


def floor(points: Points) -> FloatArray:
    """Signed distance to the skull base, in mm; positive below it.

    Three steps: the anterior fossa above the orbits, the middle fossa of the temporal lobes, and
    the posterior fossa, which is open downwards.
    """
    s, y = points.s, points.y
    roof = -21 + 4 * step(s - 14, 12) * step(y - 20, 20)
    middle = step(22 - 0.012 * (s - 34) ** 2 - y, 7)
    behind = step(-6 - 0.55 * (s - 12) - y, 6)
    sella = 13 * step(13 - s, 8) * step(y + 14, 5) * step(20 - y, 10)
    level = roof - 22 * middle - 45 * behind + sella
    return (level - points.z) * 0.8


def petrous(points: Points) -> FloatArray:
    """Signed distance to the petrous ridges and the wings of the sphenoid, in mm."""
    s, y, z = points.s, points.y, points.z
    ridge = capsule(s, y, z, (16, -5, -34), (62, -30, -32), 6.0, 11.0)
    wing = capsule(s, y, z, (14, 16, -19), (56, 26, -17), 2.5, 3.0)
    clivus = capsule(s, y, z, (0, 0, -32), (0, -10, -56), 4.5, 6.0)
    return np.minimum(smooth_union(ridge, clivus, 6.0), wing)


def skin(points: Points, outline: FloatArray, traits: Traits) -> FloatArray:
    """Signed distance to the outside of the head, in mm.

    Args:
        points: Places, (N,).
        outline: :func:`vault` without taper there.
        traits: The patient.
    """
    s, y, z = points.s, points.y, points.z
    thickness = traits.skull + scalp_thickness(points, traits) + muscle_thickness(points, traits)
    nose = capsule(s, y, z, (0, 87, -22), (0, 102, -58), 8.0, 12.0)
    ear = ellipsoid(s - 0.3 * (-16 - y), y, z, (80, -18, -32), (3.5, 13.0, 24.0))
    cheek = capsule(s, y, z, (34, 74, -58), (50, 40, -60), 22.0, 26.0)
    head = smooth_union(outline - thickness, nose, 12.0)
    return np.minimum(smooth_union(head, cheek, 16.0), ear)


def scalp_thickness(points: Points, traits: Traits) -> FloatArray:
    """Skin and fat outside skull and muscle, thicker behind and above, in mm; (N,)."""
    slow = traits.relief.at(points.x + 31, points.y, points.z)
    behind = step(-points.y - 30, 40)
    return traits.scalp * (1 + 0.16 * slow + 0.25 * behind)


def muscle_thickness(points: Points, traits: Traits) -> FloatArray:
    """Temporal muscle beside the forehead, in mm; (N,)."""
    temporal = step(points.s - 34, 16) * step(10 - points.z, 30) * step(points.y + 24, 30)
    return traits.muscle * temporal * step(56 - points.y, 22)


def skull_thickness(points: Points, traits: Traits) -> FloatArray:
    """Both tables and the diploe between them, thin at the temples, in mm; (N,)."""
    slow = traits.relief.at(points.x, points.y + 57, points.z)
    temple = step(points.s - 48, 16) * step(12 - points.z, 20) * step(points.y + 45, 20)
    ends = 0.22 * step(np.abs(points.y) - 62, 15)
    return traits.skull * (1 + 0.13 * slow + ends) * (1 - 0.5 * temple)


def air_cells(points: Points, traits: Traits) -> FloatArray:
    """Signed distance to air inside bone: sinuses, nose, mastoid and ear canal, in mm."""
    s, x, y, z = points.s, points.x, points.y, points.z
    bubbles = (traits.cells.at(x, y, z) - 0.1) * 1.6
    ethmoid = np.maximum(ellipsoid(s, y, z, (0, 50, -34), (13, 25, 15)), np.minimum(bubbles, 3))
    ethmoid = np.maximum(ethmoid, 0.7 - s)
    sphenoid = np.maximum(ellipsoid(x, y, z, (2, 18, -33), (13, 9, 8)), 0.6 - np.abs(x - 3))
    mastoid = np.maximum(ellipsoid(s, y, z, (58, -32, -38), (8, 13, 15)), bubbles)
    maxillary = ellipsoid(s, y, z, (29, 58, -66), (14, 17, 17))
    nose = ellipsoid(s, y, z, (5, 66, -62), (4, 30, 22))
    canal = capsule(s, y, z, (60, -14, -36), (90, -16, -36), 2.5, 3.5)
    cells = [ethmoid, sphenoid, mastoid, maxillary, nose, canal]
    if traits.sinus > 0:
        cells.append(_frontal_sinus(points, traits))
    return np.minimum.reduce(cells)


def _frontal_sinus(points: Points, traits: Traits) -> FloatArray:
    """Two lobes within the frontal bone, unequal as they are in life."""
    size = traits.sinus
    lobes = [
        ellipsoid(points.x, points.y, points.z, (side * 12, 87, -14), (11 * size, 5.5, height))
        for side, height in ((1, 14 * size), (-1, 11 * size))
    ]
    return np.maximum(np.minimum(*lobes), 0.7 - points.s)


def facial_bone(points: Points) -> FloatArray:
    """Signed distance to walls of orbit and nose, cheek bone and brow, in mm."""
    s, y, z = points.s, points.y, points.z
    lateral = capsule(s, y, z, (47, 62, -30), (40, 26, -30), 2.8, 3.5)
    lateral = np.maximum(lateral, np.abs(z + 30) - 14)
    tall = np.where(np.abs(z + 34) > 12, (np.abs(z + 34) - 12), 0.0)
    medial = np.hypot(np.abs(s - 14.0) - 0.2, tall) - 0.8
    medial = np.maximum(medial, np.abs(y - 50) - 24)
    brow = capsule(s, y, z, (10, 84, -19), (46, 66, -18), 4.5, 4.0)
    nasal = capsule(s, y, z, (3, 88, -24), (4, 97, -40), 2.2, 2.0)
    cheek = capsule(s, y, z, (48, 58, -46), (66, 8, -48), 4.5, 3.0)
    maxilla = np.abs(ellipsoid(s, y, z, (29, 58, -66), (15, 18, 18))) - 1.2
    jaw = capsule(s, y, z, (52, -2, -48), (54, 2, -80), 5.0, 5.0)
    return np.minimum.reduce([lateral, medial, brow, nasal, cheek, maxilla, jaw])


def orbit(points: Points, traits: Traits) -> dict[str, FloatArray]:
    """Signed distances to what fills the eye sockets, in mm.

    Returns:
        ``socket`` (all of it, the rest being fat), ``globe``, ``sclera`` (with its outside),
        ``lens``, ``nerve`` and ``muscle``; each (N,).
    """
    s, x, y, z = points.s, points.x, points.y, points.z
    turn = np.where(x > 0, traits.gaze, -traits.gaze)
    level, radius = -31.0, traits.eye
    globe = np.sqrt((s - 31.5) ** 2 + (y - 67) ** 2 + (z - level) ** 2) - radius
    # The lens looks along the gaze: a flat ellipsoid in the eye's own, turned frame.
    across = (s - 31.5) * np.cos(turn) - (y - 67) * np.sin(turn)
    ahead = (s - 31.5) * np.sin(turn) + (y - 67) * np.cos(turn)
    lens = ellipsoid(across, ahead, z, (0, radius - 4.0, level), (4.6, 2.1, 4.6))
    cornea = np.sqrt(across**2 + (ahead - 4.5) ** 2 + (z - level) ** 2) - (radius - 3.0)
    globe = smooth_union(globe, cornea, 2.0)
    nerve = capsule(s, y, z, (30, 55, level), (9, 18, -25), 2.0, 2.2)
    straps = [
        capsule(s, y, z, (19.5, 66, level), (13, 24, -28), 1.3, 2.2),
        capsule(s, y, z, (43.5, 64, level), (17, 22, -28), 1.3, 2.2),
        capsule(s, y, z, (31, 64, level + 12.5), (15, 22, -26), 1.3, 2.0),
        capsule(s, y, z, (31, 64, level - 12.5), (15, 22, -30), 1.3, 2.0),
    ]
    socket = capsule(s, y, z, (31.5, 68, level), (12, 20, -28), 16.0, 4.0)
    return {
        "socket": socket,
        "globe": globe + 1.2,
        "sclera": globe,
        "lens": lens,
        "nerve": nerve,
        "muscle": np.minimum.reduce(straps),
    }

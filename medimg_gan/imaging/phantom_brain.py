"""The brain of the phantom: folded cortex, deep nuclei, ventricles, cerebellum, membranes.

Furrows are the zero surfaces of a random field of one wavelength, which gives the winding,
even-spaced pattern of real gyri. The field is read along rays from the middle of each hemisphere,
so that furrows run inwards, and each ends at a depth of its own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.imaging.phantom_geometry import Points, capsule, ellipsoid, smooth_union, step
from medimg_gan.imaging.phantom_traits import Traits

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


def core(points: Points) -> FloatArray:
    """Signed distance to what joins the hemispheres (callosum, thalami), in mm."""
    return ellipsoid(0 * points.s, points.y, points.z, (0, -6, 4), (30, 38, 24))


def tentorium_level(points: Points) -> FloatArray:
    """Height of the tent between cerebrum and cerebellum, in mm."""
    return 4 - 0.42 * points.s + 0.45 * np.minimum(points.y + 45, 0.0)


def cerebellum_front(points: Points) -> FloatArray:
    """Where the cerebellum begins behind the brainstem and the petrous ridges, y in mm."""
    return -30.5 - 0.0045 * points.s**2


def membranes(points: Points, cavity: FloatArray) -> FloatArray:
    """Signed distance to falx, tentorium and the sagittal sinus, in mm.

    Args:
        points: Places, (N,).
        cavity: Signed distance to the inside of the skull, negative inside.
    """
    inner = core(points)
    falx = np.hypot(points.s, np.maximum(14 - inner, 0.0)) - 0.45
    falx = np.maximum(falx, tentorium_level(points) - points.z - 1)
    tent = np.abs(points.z - tentorium_level(points)) * 0.9 - 0.6
    tent = np.maximum(tent, np.maximum(points.y + 30, 22 - points.s - 0.5 * (-points.y - 35)))
    sinus = np.hypot(points.s, np.maximum(-cavity - 1.0, 0.0)) - 3.2
    sinus = np.maximum(sinus, np.maximum(-points.z - 2, 8 - inner))
    return np.minimum.reduce([falx, tent, sinus])


def cerebrum_hull(points: Points, cavity: FloatArray, traits: Traits) -> FloatArray:
    """Depth below the smooth outside of the hemispheres, in mm; positive inside."""
    s, y, z = points.s, points.y, points.z
    relief = traits.relief.at(points.x, points.y, points.z + 91)
    outer = -cavity - traits.gap * (1 + 0.25 * relief)
    apart = np.hypot(s, np.maximum(-core(points), 0.0)) - 0.9 - 0.9 * traits.atrophy
    above_tent = (z - tentorium_level(points)) * 0.9 - 1.4
    below = np.maximum(above_tent, y - cerebellum_front(points) - 1.5)
    cistern = ellipsoid(s, y, z, (0, -8, -28), (13 + 3 * traits.atrophy, 21, 18))
    return np.minimum.reduce([outer, apart, below, cistern])


def furrow(points: Points, hull: FloatArray, traits: Traits) -> FloatArray:
    """Distance to the nearest furrow's wall in mm, negative within its fluid.

    Args:
        points: Places, (N,).
        hull: :func:`cerebrum_hull` there.
        traits: The patient.
    """
    side = np.where(points.x > 0, np.float32(1), np.float32(-1))
    anchor_y = np.clip(points.y, -50, 44) * 0.75
    u, v, w = points.x - side * 24, points.y - anchor_y, points.z - 10
    radius = np.sqrt(u * u + v * v + w * w) + 4.0
    reach = (34 + 0.28 * radius) / radius
    # Each hemisphere reads its own part of the field.
    place = (u * reach + side * 40, v * reach + anchor_y, w * reach)
    slope = np.maximum(traits.folds_slope.at(*place), 0.09)
    wall = np.abs(traits.folds.at(*place)) / slope / np.clip(reach, 0.7, 1.6)
    end = 13 + 5 * traits.relief.at(points.x + 17, points.y + 17, points.z)
    beyond = np.maximum(hull - np.clip(end, 5, 22), 0.0)
    half_width = 0.35 + (0.45 + 0.9 * traits.atrophy) * np.exp(-np.maximum(hull, 0) / 7)
    deep = ellipsoid(points.s, points.y, points.z, (0, -6, 5), (31, 42, 25))
    walls = np.maximum(np.hypot(wall, beyond) - half_width, -deep)
    return np.minimum(walls, sylvian(points, traits))


def sylvian(points: Points, traits: Traits) -> FloatArray:
    """Signed distance to the lateral fissure and the cleft over the insula, in mm."""
    s, y, z = points.s, points.y, points.z
    rise = (z + 8 - 0.62 * (26 - y)) * 0.85 + 2.5 * traits.relief.at(4 * s, 4 * y, 4 * z)
    sheet = np.sqrt(
        rise**2
        + np.maximum(36 - s, 0.0) ** 2
        + np.maximum(y - 28, 0.0) ** 2
        + np.maximum(-32 - y, 0.0) ** 2
    )
    bend = 36.5 - 0.006 * (y - 2) ** 2
    insula = np.sqrt(
        (s - bend) ** 2
        + np.maximum(np.abs(rise) - 11, 0.0) ** 2
        + np.maximum(np.abs(y - 3) - 21, 0.0) ** 2
    )
    width = 0.5 + 1.5 * traits.atrophy
    return np.minimum(sheet - 0.6 * width, insula - width)


def deep_nuclei(points: Points) -> FloatArray:
    """Signed distance to caudate, lentiform nucleus and thalamus, in mm."""
    s, y, z = points.s, points.y, points.z
    turn = np.float32(0.30)
    across = (s - 22) * np.cos(turn) + (y - 4) * np.sin(turn)
    along = (y - 4) * np.cos(turn) - (s - 22) * np.sin(turn)
    lentiform = ellipsoid(across, along, z, (0, 0, 3), (5.6, 16, 10))
    thalamus = ellipsoid(s + 0.35 * (y + 13), y, z, (10.5, -13, 6), (7.0, 13, 9))
    head = ellipsoid(s, y, z, (11.5, 20, 8), (4.6, 8.5, 9))
    body = capsule(s, y, z, (14, 12, 16), (19, -22, 19), 3.5, 2.0)
    return np.minimum.reduce([lentiform, thalamus, head, body])


def ventricles(points: Points, traits: Traits) -> FloatArray:
    """Signed distance to the four ventricles, in mm."""
    y, z = points.y, points.z
    side = np.where(points.x > 0, 1 + traits.ventricle_tilt, 1 - traits.ventricle_tilt)
    size = traits.ventricles
    s = points.s - 0.4 * (size - 1) * 4
    chain = [
        ((10.5, 29, 7), 2.2), ((6.5, 20, 12), 3.4), ((6.5, 2, 21), 4.2), ((11, -22, 21), 4.3),
        ((22, -38, 11), 5.4), ((22, -58, 7), 1.8),
    ]  # fmt: skip
    lateral = capsule(s, y, z, (23, -38, 8), (33, -22, -12), 4.0 * size, 1.8 * size)
    for (start, first), (end, second) in pairwise(chain):
        part = capsule(s, y, z, start, end, first * size, second * size)
        lateral = smooth_union(lateral, part, 3.0)
    lateral = np.maximum(lateral - (side - 1) * 5, 0.5 - points.s)
    third = ellipsoid(points.x, y, z, (0, -6, 2), (1.5 * size + 0.4, 15, 10))
    fourth = ellipsoid(points.x, y, z, (0, -34, -30), (6.5 * size**0.5, 4.5 * size**0.5, 9))
    plate = ellipsoid(points.x, y, z, (0, -36, 0), (10, 3.5 + traits.atrophy, 6))
    return np.minimum.reduce([lateral, third, fourth, plate])


def calcifications(points: Points, traits: Traits) -> FloatArray:
    """Signed distance to calcified pineal gland and choroid plexus, in mm; (N,)."""
    pineal, plexus = traits.calcified
    s, y, z = points.s, points.y, points.z
    spots = np.full_like(s, 99.0)
    if pineal > 0:
        spots = np.minimum(spots, ellipsoid(s, y, z, (0, -31, 4), (pineal, pineal, pineal)))
    if plexus > 0:
        glomus = ellipsoid(s, y, z, (20, -40, 11), (plexus, 1.4 * plexus, plexus))
        spots = np.minimum(spots, glomus)
    return spots


def white_matter_disease(
    points: Points, ventricle: FloatArray, traits: Traits
) -> tuple[FloatArray, FloatArray]:
    """Signed distances to watery caps around the ventricles and to lacunes, in mm.

    Both come with age and are what a tumour must be told apart from.

    Args:
        points: Places, (N,).
        ventricle: :func:`ventricles` there.
        traits: The patient.
    """
    caps = np.full_like(ventricle, 99.0)
    near = np.flatnonzero(ventricle < 30)
    part = points[near]
    relief = traits.relief.at(2.5 * part.x, 2.5 * part.y, 2.5 * part.z)
    reach = 11 * max(traits.atrophy - 0.25, 0.0) * (1 + 0.8 * relief)
    caps[near] = ventricle[near] - reach + 1.5
    lacunes = np.full_like(ventricle, 99.0)
    for x, y, z, radius in traits.lacunes:
        distance = np.sqrt((points.x - x) ** 2 + (points.y - y) ** 2 + (points.z - z) ** 2)
        lacunes = np.minimum(lacunes, distance - radius)
    return caps, lacunes


def brainstem(points: Points) -> FloatArray:
    """Signed distance to midbrain, pons, medulla and the cerebellar stalks, in mm."""
    s, y, z = points.s, points.y, points.z
    midbrain = ellipsoid(s, y, z, (6.5, -17, -6), (9.5, 10.5, 14))
    pons = ellipsoid(s, y, z, (0, -16, -26), (16.5, 12.5, 15))
    medulla = capsule(s, y, z, (0, -22, -36), (0, -28, -70), 9.0, 7.0)
    stalks = capsule(s, y, z, (11, -22, -28), (22, -36, -30), 6.0, 6.0)
    joined = smooth_union(smooth_union(midbrain, pons, 5.0), medulla, 5.0)
    return smooth_union(joined, stalks, 3.0)


def cerebellum_depths(
    points: Points, cavity: FloatArray, traits: Traits
) -> tuple[FloatArray, FloatArray]:
    """Depth below the cerebellum's hull, and below its folded surface, in mm; positive inside."""
    hull, surface = np.full_like(points.y, -99.0), np.full_like(points.y, -99.0)
    near = np.flatnonzero((points.y < -28) & (points.z < 8))
    points, cavity = points[near], cavity[near]
    s, y, z = points.s, points.y, points.z
    notch = 4.0 * np.exp(-((s / 6) ** 2)) * step(-y - 52, 12)
    depth = np.minimum.reduce(
        [
            -cavity - 1.2 - traits.gap * 0.5 - notch,
            (tentorium_level(points) - z) * 0.9 - 1.2,
            cerebellum_front(points) - y,
        ]
    )
    # Folia lie across: the field is stretched along x and read around the cerebellum's middle.
    field = traits.folia.at(points.x * 0.22, y, z)
    furrows = np.abs(field) * 1.9 - 0.25 - 0.35 * traits.atrophy + np.maximum(depth - 8, 0.0)
    hull[near], surface[near] = depth, np.minimum(depth, furrows)
    return hull, surface

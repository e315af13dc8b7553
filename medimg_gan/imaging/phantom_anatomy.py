"""From a patient's traits to the fraction of every tissue in every voxel.

Tissues are painted from front to back: each takes its share of what the tissues before it have
left of a voxel, so that the fractions of a voxel always sum to 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.imaging import phantom_brain as brain
from medimg_gan.imaging import phantom_skull as head
from medimg_gan.imaging import phantom_tumour as lesion
from medimg_gan.imaging.phantom_geometry import Chosen, Points, cover
from medimg_gan.imaging.phantom_tissue import Tissue
from medimg_gan.imaging.phantom_traits import Traits
from medimg_gan.imaging.phantom_tumour import Tumour

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

Size = tuple[int, int, int]

FIELD_OF_VIEW = (192.0, 240.0, 130.0)
"""Left-right, front-back and height of the scanned box in mm, whatever the grid."""
SUBSLICES = 3
"""Planes averaged within the thickness of each slice."""
CHUNK = 60_000
"""Places computed at once: few enough to stay in a core's cache."""


def grid_affine(size: Size) -> FloatArray:
    """(4, 4) voxel index -> mm, RAS+, with the scanner's origin amid the box at eye level."""
    spacing = np.array(FIELD_OF_VIEW) / size
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * (np.array(size) - 1) / 2
    return affine


def tissue_fractions(traits: Traits, tumour: Tumour | None, size: Size) -> FloatArray:
    """Fraction of each tissue in each voxel.

    Args:
        traits: The patient.
        tumour: Its tumour, if any.
        size: Voxels along I, J, K.

    Returns:
        (tissues, I, J, K) float32, rows by :class:`Tissue`; sums to 1 over the first axis.
    """
    affine = grid_affine(size)
    plane = [
        np.asarray(affine[axis, axis] * np.arange(size[axis]) + affine[axis, 3], np.float32)
        for axis in range(2)
    ]
    thickness = affine[2, 2]
    inner = (np.arange(SUBSLICES) + 0.5) / SUBSLICES - 0.5
    # Slices first while painting: then every step works on contiguous memory.
    fractions = np.empty((len(Tissue), size[2], size[0], size[1]), np.float32)
    chunk = max(1, CHUNK // (size[0] * size[1] * SUBSLICES))
    for start in range(0, size[2], chunk):
        slices = np.arange(start, min(start + chunk, size[2]))
        heights = affine[2, 3] + thickness * (slices[:, None] + inner)
        z, x, y = np.meshgrid(heights.ravel().astype(np.float32), *plane, indexing="ij")
        points = to_template(x.ravel(), y.ravel(), z.ravel(), traits)
        painted = _paint(points, traits, tumour, float(affine[0, 0]))
        shape = (len(Tissue), len(slices), SUBSLICES, size[0], size[1])
        np.mean(painted.reshape(shape), axis=2, out=fractions[:, slices[0] : slices[-1] + 1])
    return np.moveaxis(fractions, 1, -1)


def to_template(x: FloatArray, y: FloatArray, z: FloatArray, traits: Traits) -> Points:
    """From scanner coordinates in mm to the head's own frame."""
    shifted = np.stack([x, y, z]) + traits.shift[:, None].astype(np.float32)
    turned = (traits.rotation / traits.stretch[:, None]).astype(np.float32) @ shifted
    bent = turned.copy()
    for axis in range(3):
        for kx, ky, kz, phase, amplitude in traits.warp[axis].astype(np.float32):
            bent[axis] += amplitude * np.sin(
                kx * turned[0] + ky * turned[1] + kz * turned[2] + phase
            )
    return Points.at(*bent)


class _Canvas:
    """Fractions of N voxels; ``paint`` gives a tissue its share of what is left."""

    def __init__(self, count: int) -> None:
        self.left = np.ones(count, np.float32)
        self.fractions = np.zeros((len(Tissue), count), np.float32)

    def paint(self, tissue: Tissue, share: FloatArray, where: Chosen | slice) -> None:
        part = self.left[where] * share
        self.fractions[tissue, where] += part
        self.left[where] -= part


def _paint(points: Points, traits: Traits, tumour: Tumour | None, width: float) -> FloatArray:
    """Fractions (tissues, N) at template places; ``width`` is a voxel's edge in mm."""
    canvas = _Canvas(points.x.size)
    outline = head.vault(points, traits, narrow_base=False)
    surface = outline.copy()  # far from the skin, only the sign matters
    near = np.flatnonzero(np.abs(outline - 10) < 30)
    surface[near] = head.skin(points[near], outline[near], traits)
    canvas.paint(Tissue.AIR, cover(-surface, width), slice(None))
    body = np.flatnonzero(surface < width)
    canvas.paint(Tissue.SKIN, cover(-surface[body] - 1.8, width), body)
    inside = points[body]
    vault = head.vault(inside, traits, narrow_base=True)
    base = head.floor(inside)
    low = np.flatnonzero(inside.z < 12)
    _paint_face(canvas, inside[low], traits, width, body[low])
    cavity = np.maximum(vault, base)
    within = np.flatnonzero(cavity < width)
    _paint_brain(canvas, inside[within], cavity[within], traits, tumour, width, body[within])
    rest = np.flatnonzero(canvas.left[body] > 0)
    _paint_skull(
        canvas,
        inside[rest],
        vault[rest],
        base[rest],
        surface[body[rest]],
        traits,
        width,
        body[rest],
    )
    return canvas.fractions


def _paint_face(
    canvas: _Canvas, points: Points, traits: Traits, width: float, where: Chosen
) -> None:
    if points.x.size == 0:
        return
    canvas.paint(Tissue.AIR, cover(head.air_cells(points, traits), width), where)
    parts = head.orbit(points, traits)
    canvas.paint(Tissue.LENS, cover(parts["lens"], width), where)
    canvas.paint(Tissue.VITREOUS, cover(parts["globe"], width), where)
    canvas.paint(Tissue.MUSCLE, cover(parts["sclera"], width), where)
    canvas.paint(Tissue.WHITE, cover(parts["nerve"], width), where)
    canvas.paint(Tissue.MUSCLE, cover(parts["muscle"], width), where)
    canvas.paint(Tissue.BONE, cover(head.facial_bone(points), width), where)
    canvas.paint(Tissue.FAT, cover(parts["socket"], width), where)
    petrous = head.petrous(points)
    canvas.paint(Tissue.BONE, cover(petrous, width), where)


def _paint_brain(
    canvas: _Canvas,
    points: Points,
    cavity: FloatArray,
    traits: Traits,
    tumour: Tumour | None,
    width: float,
    where: Chosen,
) -> None:
    """Everything inside the skull; what no tissue claims is fluid."""
    within = cover(cavity, width)
    oedema = None
    if tumour is not None:
        fits = within * cover(cavity + 3.0, width)
        oedema = _paint_tumour(canvas, points, fits, tumour, width, where)
        points = lesion.pushed(points, tumour)
    canvas.paint(Tissue.DURA, within * cover(brain.membranes(points, cavity), width), where)
    spots = brain.calcifications(points, traits)
    canvas.paint(Tissue.CALCIFICATION, 0.8 * within * cover(spots, width), where)
    ventricle = brain.ventricles(points, traits)
    canvas.paint(Tissue.FLUID, within * cover(ventricle, width), where)
    hull = brain.cerebrum_hull(points, cavity, traits)
    pial = np.minimum(hull, brain.furrow(points, hull, traits))
    cerebellum, folded = brain.cerebellum_depths(points, cavity, traits)
    stem = brain.brainstem(points)
    white = np.maximum(cover(traits.cortex - pial, width), cover(stem, width))
    white = np.maximum(white, cover(np.maximum(9 - cerebellum, 1.3 - folded), width))
    grey = np.maximum(cover(-pial, width), cover(-folded, width))
    if oedema is not None:
        # Vasogenic oedema follows white matter and spares the cortex.
        canvas.paint(Tissue.OEDEMA, within * white * cover(oedema, 2.5 * width), where)
    caps, lacunes = brain.white_matter_disease(points, ventricle, traits)
    canvas.paint(Tissue.FLUID, 0.8 * within * white * cover(lacunes, width), where)
    canvas.paint(Tissue.OEDEMA, 0.5 * within * white * cover(caps, 2 * width), where)
    nuclei = cover(brain.deep_nuclei(points), width) * white
    canvas.paint(Tissue.DEEP_GREY, within * nuclei, where)
    canvas.paint(Tissue.WHITE, within * white, where)
    canvas.paint(Tissue.GREY, within * grey, where)
    canvas.paint(Tissue.FLUID, within, where)


def _paint_tumour(
    canvas: _Canvas,
    points: Points,
    fits: FloatArray,
    tumour: Tumour,
    width: float,
    where: Chosen,
) -> FloatArray:
    """Core and rim, as far as there is room; gives the signed distance to the oedema."""
    outside, oedema = lesion.depth(points, tumour)
    canvas.paint(Tissue.TUMOUR_CORE, fits * cover(outside + tumour.rim, width), where)
    rim = fits * cover(outside, width)
    canvas.paint(Tissue.TUMOUR_RIM, tumour.enhancement * rim, where)
    canvas.paint(Tissue.TUMOUR_CORE, rim, where)
    return oedema


def _paint_skull(
    canvas: _Canvas,
    points: Points,
    vault: FloatArray,
    base: FloatArray,
    surface: FloatArray,
    traits: Traits,
    width: float,
    where: Chosen,
) -> None:
    """Tables, diploe, muscle, and fat for all that is left of the head."""
    thickness = head.skull_thickness(points, traits)
    table = np.minimum(1.6, 0.3 * thickness)
    under = base - 2.5
    bone = cover(np.maximum(vault - table, under), width)
    canvas.paint(Tissue.BONE, bone, where)
    diploe = cover(np.maximum(vault - (thickness - table), under + 1.2), width)
    canvas.paint(Tissue.DIPLOE, diploe, where)
    canvas.paint(Tissue.BONE, cover(np.maximum(vault - thickness, under), width), where)
    # Below the base, fat lies between the muscles of face and neck.
    below = np.flatnonzero(np.minimum(-vault, base) > 2)
    muscle = surface + head.scalp_thickness(points, traits)
    face = points[below]
    planes = traits.cells.at(face.x * 0.3, face.y * 0.3, face.z * 0.15)
    muscle[below] = np.maximum(muscle[below], planes * 2.5 - 2.5)
    canvas.paint(Tissue.MUSCLE, cover(muscle, width), where)
    canvas.paint(Tissue.FAT, np.ones_like(vault), where)

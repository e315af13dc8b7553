"""Lesions that a translation kept, lost or invented (the harm that Cohen et al. 2018 describe).

Critics learn the prior of their images: where one set holds more tumours than the other,
translating adds or removes some. A lesion's *pattern* is its values, less noise, minus the mean of
a ring around it (a bright rim and a dark core may cancel in a mean). It is **kept** if the
translation shows at least half of the truth's pattern. A lesion is **invented** where a translated
scan without any shows, in a compact patch of lesion-like size, values that its truth has nowhere
near, however blurred, and more pattern than the truth does. Blur, a small misregistration and
another contrast are errors, but bring no such values; what is missing (a ventricle, say) is no
lesion either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from medimg_gan.metrics.paired import BONE, TISSUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.types import FloatArray, IntArray

    Mask = np.ndarray[Any, np.dtype[np.bool_]]
    Spacing = tuple[float, float, float]

KEPT = 0.5
"""Share of the true contrast from which a lesion counts as kept."""
RING_MM = 5.0
"""Thickness of the ring around a lesion."""
MARGIN_MM = 8.0
"""Distance from bone and air of truth and translation, and from the volume's ends, at which patches
are looked for: nearer, an edge that is a little off looks like one."""
SMOOTHING_MM = 2.0
"""Standard deviation of the Gaussian that takes the noise from values and differences."""
LEAST_MM, MOST_MM = 4.0, 30.0
"""Radii of the spheres between whose volumes a patch is lesion-like."""
COMPACT = 0.1
"""Share of its bounding box that a patch must fill (a ball 0.52, a tumour with fingers of oedema
0.17); sheets and rims do not."""
REACH_MM = 4.0
"""Half side of the box in which the truth is searched for a value like the translation's; one slice
at least. A lesion that ends so near to fluid as dark as itself goes unseen."""
BLURS_MM = (2.0, 4.0)
"""Standard deviations by which the truth is blurred besides: blurring brings bone and fluid to
places from where they cannot be reached."""
BEYOND = 0.75
"""How far beyond the truth's values a patch's must lie, as a share of the threshold."""
MORE = 1.15
"""Pattern of the translation over the truth's from which something was added, not lost or moved."""
LEAST_STRENGTH = 4.0
"""HU of pattern below which a lesion cannot be seen in CT (noise is 4 to 8 HU), and is not scored:
it can neither be kept nor lost. Anatomy under an erased lesion then passes for it."""


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes:
        strength: Root mean square of its pattern in the truth, in the values' unit; smoothing has
            taken a third of a small lesion's.
        ratio: Share of the pattern that the translation shows: <made, true> / <true, true>. 1 is
            the truth itself, 0 nothing of it, below 0 is inverted.
    """

    strength: float
    ratio: float

    @property
    def visible(self) -> bool:
        """Whether the truth shows it at all."""
        return self.strength >= LEAST_STRENGTH

    @property
    def kept(self) -> bool:
        """Whether it is still there: same sign, at least half as strong."""
        return self.ratio >= KEPT


def lesions_of(
    made: FloatArray, truth: FloatArray, mask: Mask, tissue: Mask, spacing: Spacing
) -> list[Lesion]:
    """The lesions of a mask, a connected piece each.

    Args:
        made: (I, J, K) translated values.
        truth: (I, J, K) true values.
        mask: (I, J, K) where lesions are.
        tissue: (I, J, K) soft tissue in the truth, no bone or air; the rest is not looked at.
        spacing: mm along I, J, K.
    """
    pieces = _pieces(mask)
    smooth = [_smooth(values, tissue, spacing) for values in (truth, made)]
    found = []
    for number, box in enumerate(_boxes(pieces, spacing), 1):
        piece = pieces[box] == number
        ring = _ring(piece, spacing) & tissue[box] & ~mask[box]
        inside = piece & tissue[box]
        if not (inside.any() and ring.any()):
            continue
        true, shown = (_pattern(values[box], inside, ring) for values in smooth)
        power = float((true * true).mean())
        if power > 0:
            found.append(Lesion(power**0.5, float((shown * true).mean()) / power))
    return found


def invention_threshold(lesions: Sequence[Lesion]) -> float:
    """Strength from which a patch counts: half the median of the visible lesions' own.

    At least ``LEAST_STRENGTH``, which also serves where there are no lesions.
    """
    strengths = [lesion.strength for lesion in lesions if lesion.visible]
    return max(KEPT * float(np.median(strengths)), LEAST_STRENGTH) if strengths else LEAST_STRENGTH


def invented(
    made: FloatArray, truth: FloatArray, tissue: Mask, spacing: Spacing, threshold: float
) -> list[float]:
    """Strengths of the lesions that a translation of a scan without any shows.

    Args:
        made: (I, J, K) translated values in HU.
        truth: (I, J, K) true values in HU.
        tissue: (I, J, K) soft tissue, where lesions could be.
        spacing: mm along I, J, K.
        threshold: From :func:`invention_threshold`.
    """
    deep = _far_inside(tissue & ~_grown_into(made, tissue), spacing)
    if not deep.any():
        return []
    truths = _sharp_and_blurred(truth, tissue, spacing)
    shown = _on_the_scale_of(truths, _smooth(made, tissue, spacing), deep)
    low, high = _nearby(truths, tissue, spacing)
    beyond = np.maximum(shown - high, low - shown) > BEYOND * threshold
    # Corners connect: a rim and a core of opposite sign are one lesion.
    pieces = _pieces(deep & beyond, np.ones((3, 3, 3)))
    found = []
    for number, box in enumerate(_boxes(pieces, spacing), 1):
        patch = pieces[box] == number
        ring = _ring(patch, spacing) & tissue[box]
        if not (_lesion_like(patch, spacing) and ring.any()):
            continue
        strength, there = (_rms(_pattern(v[box], patch, ring)) for v in (shown, truths[0]))
        if strength >= max(threshold, MORE * there):
            found.append(strength)
    return found


def _grown_into(made: FloatArray, tissue: Mask) -> Mask:
    """Where bone or air of the truth reaches in the translation, if that draws them too large."""
    hard = (made < TISSUES["fat"][0]) | (made >= BONE)
    return np.array(ndimage.binary_propagation(~tissue, mask=~tissue | hard), bool)


def _far_inside(tissue: Mask, spacing: Spacing) -> Mask:
    """Tissue more than ``MARGIN_MM`` from any other, and from the volume's own ends."""
    padded = _distance(np.pad(tissue, 1), spacing)[1:-1, 1:-1, 1:-1]
    return padded > MARGIN_MM


def _sharp_and_blurred(truth: FloatArray, tissue: Mask, spacing: Spacing) -> list[FloatArray]:
    """The smoothed truth, then the same of the whole truth blurred, bone and air included."""
    blurred = [
        ndimage.gaussian_filter(truth.astype(np.float64), [blur / step for step in spacing])
        for blur in BLURS_MM
    ]
    return [_smooth(values, tissue, spacing) for values in (truth, *blurred)]


def _on_the_scale_of(truths: list[FloatArray], made: FloatArray, deep: Mask) -> FloatArray:
    """The translation with the sharp truth's median, and no more contrast than the truth's.

    Contrast is the slope over that of the truths which the translation fits best: over the sharp
    one, a blurred translation of too much contrast would seem to have too little.
    """
    ours = made[deep] - made[deep].mean()
    best, gain = -1.0, 1.0
    for truth in truths:
        theirs = truth[deep] - truth[deep].mean()
        together, own = float(ours @ theirs), float(theirs @ theirs)
        fit = together / max((own * float(ours @ ours)) ** 0.5, 1e-9)
        if fit > best:
            best, gain = fit, together / max(own, 1e-9)
    return (made - np.median(made[deep])) / max(1.0, gain) + np.median(truths[0][deep])


def _nearby(
    truths: list[FloatArray], tissue: Mask, spacing: Spacing
) -> tuple[FloatArray, FloatArray]:
    """The lowest and the highest value of tissue around each voxel, in any of the truths."""
    size = [2 * max(1, round(REACH_MM / step)) + 1 for step in spacing]
    lowest = np.where(tissue, np.minimum.reduce(truths), np.inf)
    highest = np.where(tissue, np.maximum.reduce(truths), -np.inf)
    return ndimage.minimum_filter(lowest, size), ndimage.maximum_filter(highest, size)


def _pieces(mask: Mask, neighbours: np.ndarray[Any, Any] | None = None) -> IntArray:
    """Each connected piece's number, from 1; 0 elsewhere."""
    pieces = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, neighbours, output=pieces)
    return pieces


def _distance(mask: Mask, spacing: Spacing) -> FloatArray:
    """Of each True voxel to the nearest False one, in mm."""
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing))


def _pattern(values: FloatArray, inside: Mask, ring: Mask) -> FloatArray:
    return values[inside] - values[ring].mean()


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _boxes(pieces: IntArray, spacing: Spacing) -> list[tuple[slice, ...]]:
    """A box around each piece, with room for its ring."""
    room = [int(np.ceil(RING_MM / step)) for step in spacing]
    return [
        tuple(
            slice(max(part.start - more, 0), part.stop + more)
            for part, more in zip(box, room, strict=True)
        )
        for box in ndimage.find_objects(pieces)
    ]


def _ring(piece: Mask, spacing: Spacing) -> Mask:
    """Voxels outside a piece, up to ``RING_MM`` from it."""
    return ~piece & (_distance(~piece, spacing) <= RING_MM)


def _smooth(values: FloatArray, tissue: Mask, spacing: Spacing) -> FloatArray:
    """Gaussian mean over the tissue alone; 0 outside it."""
    sigma = [SMOOTHING_MM / step for step in spacing]
    weight = ndimage.gaussian_filter(tissue.astype(np.float64), sigma)
    total = ndimage.gaussian_filter(np.where(tissue, values, 0.0).astype(np.float64), sigma)
    return np.where(tissue, total / np.maximum(weight, 1e-6), 0.0)


def _lesion_like(patch: Mask, spacing: Spacing) -> bool:
    volume = float(patch.sum() * np.prod(spacing))
    smallest, largest = (4 / 3 * np.pi * radius**3 for radius in (LEAST_MM, MOST_MM))
    filled = patch[ndimage.find_objects(patch.astype(int))[0]].mean()
    return smallest <= volume <= largest and filled >= COMPACT

"""Slices of one split that are too like slices of another, whoever they are said to show.

The limit is set by the training patients: how near slices of different patients come to each other
(:func:`medimg_gan.metrics.likeness.limit_of_copies`). Outlines find slices that
were compressed again, made brighter or mirrored; features also find slices that were shifted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics.likeness import (
    content_hashes,
    limit_of_copies,
    mirrored,
    nearest_apart,
    outlines,
    perceptual_hashes,
    shows_something,
)

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.types import FloatArray, IntArray

    Entry = dict[str, Any]
    Pairs = list[tuple[FloatArray, FloatArray]]

APART = (("train", "val"), ("train", "test"), ("val", "test"))
DESCRIBED = 16
"""Nearest pairs by outline of which features are taken: networks are slow on a CPU."""
CONTROLS = 32
"""Pairs of different training patients whose features set the limit."""


@dataclass(frozen=True)
class Compared:
    """Slices of one split that show something, and what they are compared by."""

    images: FloatArray
    patients: np.ndarray[Any, Any]
    labels: IntArray
    content: np.ndarray[Any, Any]
    outline: FloatArray
    bits: FloatArray
    flipped: FloatArray
    blank: int

    @staticmethod
    def of(images: FloatArray, labels: IntArray, patients: np.ndarray[Any, Any]) -> Compared:
        """Those of images (N, 1, H, W) in [-1, 1] that are not blank."""
        kept = np.flatnonzero(shows_something(images))
        some = np.asarray(images[kept], np.float32)
        outline = outlines(some)
        flipped = perceptual_hashes(mirrored(outline, images.shape[-1]))
        blank = len(images) - len(kept)
        return Compared(
            some, patients[kept], labels[kept], content_hashes(some), outline,
            perceptual_hashes(outline), flipped, blank,
        )  # fmt: skip

    def nearest_bits(self, other: Compared, *, apart: bool = False) -> tuple[FloatArray, IntArray]:
        """Bits by which each slice's hash differs from the nearest of ``other``, flipped or not."""
        groups = (self.patients, np.tile(other.patients, 2)) if apart else (None, None)
        both = np.concatenate([other.bits, other.flipped])
        distances, found = nearest_apart(self.bits, both, *groups)
        # Whole numbers, rounding apart; inf stays.
        return np.rint(distances**2 / 4), found % max(1, len(other.bits))


def line(check: str, what: str, found: int, looked_at: int, detail: str, bad: str) -> Entry:
    """A line of the table: ``bad`` if anything was found, else clean."""
    return {
        "check": check,
        "what": what,
        "found": int(found),
        "looked_at": int(looked_at),
        "outcome": bad if found else "clean",
        "detail": detail,
    }


def by_outline(seen: dict[str, Compared], control: FloatArray, pairs: Pairs) -> list[Entry]:
    """Perceptual hashes between all splits; what is too near is added to ``pairs``.

    ``control`` are bits between each training slice and the nearest of another training patient.
    """
    entries = []
    for one, other in APART:
        held, sources = seen[other], seen[one]
        distances, closest = held.nearest_bits(sources)
        limit = limit_of_copies(control)
        near = np.flatnonzero(distances < limit)
        pairs += [(held.images[row], sources.images[closest[row]]) for row in near]
        detail = (
            f"Fewer than {math.ceil(limit)} of the {held.bits.shape[1]} bits of a perceptual hash "
            f"differ, flipped or not; half of the training slices differ by {_median(control):.0f} "
            "or more from every other patient's."
        )
        what = f"{other} slices in {one}"
        entries.append(
            line("near copies by hash", what, len(near), len(held.bits), detail, "warning")
        )
    return entries


def by_features(seen: dict[str, Compared], extractor: Extractor, pairs: Pairs) -> list[Entry]:
    """Features of the pairs whose outlines are nearest, against those of training patients."""
    train = seen["train"]

    def apart(one: FloatArray, other: FloatArray) -> FloatArray:
        return np.linalg.norm(extractor(one) - extractor(other), axis=1)

    step = max(1, len(train.outline) // CONTROLS)
    asked = np.arange(0, len(train.outline), step)[:CONTROLS]
    gaps, others = nearest_apart(
        train.outline[asked], train.outline, train.patients[asked], train.patients
    )
    asked, others = asked[np.isfinite(gaps)], others[np.isfinite(gaps)]
    control = apart(train.images[asked], train.images[others]) if len(asked) else np.empty(0)
    entries = []
    for name in ("val", "test"):
        held = seen[name]
        gaps, closest = nearest_apart(held.outline, train.outline)
        first = np.argsort(gaps, kind="stable")[:DESCRIBED]
        distances = apart(held.images[first], train.images[closest[first]])
        limit = limit_of_copies(control)
        near = first[distances < limit]
        pairs += [(held.images[row], train.images[closest[row]]) for row in near]
        detail = (
            f"Features {extractor.name} of the {len(first)} pairs with the nearest outlines: "
            f"distance below {limit:.3g}; {_median(control):.3g} is usual between different "
            "training patients."
        )
        what = f"{name} slices in train"
        looked_at = len(held.outline)
        entries.append(
            line("near copies by features", what, len(near), looked_at, detail, "warning")
        )
    return entries


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")

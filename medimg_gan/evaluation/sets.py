"""Which slices are compared: equal counts of synthetic, held-out and training slices by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.console import progress
from medimg_gan.errors import SplitError
from medimg_gan.metrics.images import ImageSet, halves_by_patient, image_set
from medimg_gan.metrics.measurements import Instrument

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.types import FloatArray, IntArray

    Synthesise = Callable[[int, int, int], FloatArray]
    """(count, class number, seed) -> (count, 1, H, W) float32 in [-1, 1]."""

HALVINGS = 3
"""Random deals of the real patients into two halves."""
FEWEST = 6
"""Slices of a class below which it gets no figures of its own."""
CHUNK = 32


@dataclass(frozen=True)
class RealSlices:
    """All real slices at hand.

    Attributes:
        images: (N, 1, H, W) float32 in [-1, 1].
        labels: (N,) class numbers; zeros for an unconditional generator.
        patients: (N,) pseudonyms.
        trained: (N,) bool: the generator saw this patient.
        classes: Names by number; one for an unconditional generator.
    """

    images: FloatArray
    labels: IntArray
    patients: np.ndarray[Any, Any]
    trained: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Material:
    """What is compared; every set has ``counts[c]`` images of class c.

    Attributes:
        counts: Images of each class in every set.
        synthetic: From the generator.
        held_out: Real, of patients that it did not see: the reference.
        training: Real, of patients that it saw; None where there are none among the data.
        halves: Pairs of real sets that share no patient; empty where patients are too few.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    synthetic: ImageSet
    held_out: ImageSet
    training: ImageSet | None
    halves: list[tuple[ImageSet, ImageSet]]


@dataclass(frozen=True)
class _Plan:
    """Rows of the real slices, by class the same number in every set."""

    counts: list[int]
    held_out: IntArray
    training: IntArray
    halves: list[tuple[IntArray, IntArray]]


def draw_material(
    real: RealSlices,
    synthesise: Synthesise,
    extractors: Mapping[str, Extractor],
    instrument: Instrument,
    *,
    most: int,
    seed: int,
) -> Material:
    """Choose real slices, make as many synthetic ones, and compute what the measures need.

    Args:
        real: All real slices.
        synthesise: Of the generator.
        extractors: By name.
        instrument: For the measurements.
        most: Upper bound of the images in a set.
        seed: Of the choice and of the synthetic slices.

    Raises:
        SplitError: If there are too few held-out (or training) slices for any figure.
    """
    plan = _plan(real, most, seed)
    used = np.unique(np.concatenate([plan.held_out, plan.training]))
    place = {row: number for number, row in enumerate(used.tolist())}
    made = [
        synthesise(count, label, seed + label) for label, count in enumerate(plan.counts) if count
    ]
    labels = np.repeat(np.arange(len(plan.counts)), plan.counts)
    total = len(used) + len(labels)
    with progress("computing features", total, "slices") as ticker:

        def described(images: FloatArray, numbers: IntArray) -> ImageSet:
            parts = []
            for begin in range(0, len(images), CHUNK):
                some = images[begin : begin + CHUNK]
                parts.append(image_set(some, extractors, measure=instrument.measure).spaces)
                ticker.advance(len(some))
            return ImageSet(
                {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, numbers
            )

        pool = described(real.images[used], real.labels[used])
        synthetic = described(np.concatenate(made), labels)

    def some(rows: IntArray) -> ImageSet:
        return pool.take(np.array([place[row] for row in rows.tolist()], int))

    return Material(
        classes=real.classes,
        counts=tuple(plan.counts),
        synthetic=synthetic,
        held_out=some(plan.held_out),
        training=some(plan.training) if len(plan.training) else None,
        halves=[(some(one), some(other)) for one, other in plan.halves],
    )


def _plan(real: RealSlices, most: int, seed: int) -> _Plan:
    order = np.random.default_rng(seed).permutation(len(real.labels))
    sides = [order[~real.trained[order]], order[real.trained[order]]]
    numbers = range(len(real.classes))
    there = [[int((real.labels[side] == label).sum()) for label in numbers] for side in sides]
    _refuse_too_few(there, real.classes)
    sides = [side for side in sides if len(side)]
    rarest = [min(counts) for counts in zip(*(row for row in there if sum(row)), strict=True)]
    limit = min(1.0, most / sum(rarest))
    counts = [max(int(count * limit), FEWEST) if count >= FEWEST else 0 for count in rarest]
    pool = np.concatenate([_first(side, real.labels, counts) for side in sides])
    deals = [halves_by_patient(real.patients[pool], real.labels[pool], n) for n in range(HALVINGS)]
    halves = [(pool[one], pool[other]) for one, other in deals]
    smallest = [
        min(int((real.labels[half] == label).sum()) for pair in halves for half in pair)
        for label in numbers
    ]
    # Halves are about as large as the other sets; where single patients hold a class, they cannot.
    enough = all(
        least >= max(FEWEST, count / 2)
        for least, count in zip(smallest, counts, strict=True)
        if count
    )
    if enough:
        counts = [min(pair) for pair in zip(counts, smallest, strict=True)]
    held_out, *training = [_first(side, real.labels, counts) for side in sides]
    halved = [
        (_first(one, real.labels, counts), _first(other, real.labels, counts))
        for one, other in halves
    ]
    return _Plan(
        counts, held_out, training[0] if training else held_out[:0], halved if enough else []
    )


def _first(rows: IntArray, labels: IntArray, counts: list[int]) -> IntArray:
    """The first so many rows of each class."""
    return np.concatenate(
        [rows[labels[rows] == label][:count] for label, count in enumerate(counts)]
    )


def _refuse_too_few(there: list[list[int]], classes: tuple[str, ...]) -> None:
    held_out, training = there
    seen = ", ".join(
        f"{name}: {out} held-out, {trained} training slices"
        for name, out, trained in zip(classes, held_out, training, strict=True)
    )
    if not sum(held_out):
        raise SplitError(
            "no slices of patients that the generator did not see",
            observed=seen,
            cause="all patients of --data are training patients of the run",
            fix="give --data with the run's own held-out patients, or with new ones",
        )
    both = [min(pair) if sum(training) else pair[0] for pair in zip(*there, strict=True)]
    if max(both) < FEWEST:
        raise SplitError(
            f"too few slices: a figure needs {FEWEST} of a class on each side",
            observed=seen,
            fix="more patients, or --data of the run's own classes",
        )

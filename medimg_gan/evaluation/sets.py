"""The compared sets of images, with everything that the measures need of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.console import progress
from medimg_gan.evaluation.plan import RealSlices, make_plan
from medimg_gan.metrics.images import ImageSet, image_set
from medimg_gan.metrics.measurements import Instrument

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.types import FloatArray, IntArray

    Synthesise = Callable[[int, int, int], FloatArray]
    """(count, class number, seed) -> (count, 1, H, W) float32 in [-1, 1]."""

CHUNK = 32
MOST_SEARCHED = 1000


@dataclass(frozen=True)
class Material:
    """What is compared; every set but the last has ``counts[c]`` images of class c.

    Attributes:
        counts: Images of each class in every set.
        synthetic: From the generator.
        held_out: Real, of patients that it did not see: the reference.
        training: Real, of patients that it saw; None where there are none among the data.
        halves: Pairs of real sets that share no patient; empty where patients are too few.
        searched: Training slices in which copies are looked for: all, up to ``MOST_SEARCHED``.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    synthetic: ImageSet
    held_out: ImageSet
    training: ImageSet | None
    halves: list[tuple[ImageSet, ImageSet]]
    searched: ImageSet | None


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
    plan = make_plan(real, most, seed)
    searched = np.flatnonzero(real.trained)
    if len(searched) > MOST_SEARCHED:
        searched = np.random.default_rng(seed).choice(searched, MOST_SEARCHED, replace=False)
    used = np.unique(
        np.concatenate([plan.held_out, plan.training, searched, *sum(plan.halves, ())])
    )
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
        searched=some(searched) if len(searched) else None,
    )

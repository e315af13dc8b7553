"""Which slices are compared: equal counts by class, no patient on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.errors import SplitError

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

HALVINGS = 3
"""Random deals of the real patients into two halves."""
FEWEST = 6
"""Slices of a class below which it gets no figures of its own."""


@dataclass(frozen=True)
class RealSlices:
    """All real slices at hand.

    Attributes:
        images: (N, 1, H, W) float32 in [-1, 1].
        labels: (N,) class numbers; zeros for an unconditional generator.
        patients: (N,) pseudonyms.
        split: (N,) of the generator's own training: train, val, or test for all that it never
            saw.
        classes: Names by number; one for an unconditional generator.
        chosen_on_validation: Whether the validation patients chose the generator's weights.
        mirror: Whether the generator may have seen its slices flipped left to right.
    """

    images: FloatArray
    labels: IntArray
    patients: np.ndarray[Any, Any]
    split: np.ndarray[Any, Any]
    classes: tuple[str, ...]
    chosen_on_validation: bool = False
    mirror: bool = False

    @property
    def trained(self) -> np.ndarray:
        """(N,) bool: the generator learned from this patient."""
        return self.split == "train"

    @property
    def copied_from(self) -> FloatArray:
        """(T, 1, H, W) what a copy would be of: slices learned from and, maybe, their mirrors."""
        images = self.images[self.trained]
        return np.concatenate([images, images[..., ::-1]]) if self.mirror else images

    @property
    def validation(self) -> np.ndarray:
        """(N,) bool: held out, and used for choices."""
        return self.split == "val"

    @property
    def test(self) -> np.ndarray:
        """(N,) bool: held out, and used for nothing."""
        return ~self.trained & ~self.validation

    @property
    def held_out(self) -> np.ndarray:
        """(N,) bool: what figures are taken on.

        Where validation chose the weights, the others alone, if they have enough of each class.
        """
        return self.test if self.chosen_on_validation and self._tests_suffice else ~self.trained

    @property
    def flattered(self) -> bool:
        """Whether figures are taken on patients who chose the weights."""
        return self.chosen_on_validation and bool((self.held_out & self.validation).any())

    @property
    def _tests_suffice(self) -> bool:
        return min(_by_class(np.flatnonzero(self.test), self)) >= FEWEST


@dataclass(frozen=True)
class Plan:
    """Rows of the real slices, by class the same number in every set."""

    counts: list[int]
    held_out: IntArray
    training: IntArray
    halves: list[tuple[IntArray, IntArray]]


def make_plan(real: RealSlices, most: int, seed: int) -> Plan:
    """Choose equal counts by class: the most that every set can give, up to ``most`` in all.

    Args:
        real: All real slices.
        most: Upper bound of the images in a set.
        seed: Of the choice.

    Raises:
        SplitError: If there are too few held-out (or training) slices for any figure.
    """
    order = np.random.default_rng(seed).permutation(len(real.labels))
    sides = [order[real.held_out[order]], order[real.trained[order]]]
    there = [_by_class(side, real) for side in sides]
    _refuse_too_few(there, real.classes)
    sides = [side for side in sides if len(side)]
    rarest = [min(counts) for counts in zip(*(row for row in there if sum(row)), strict=True)]
    limit = min(1.0, most / sum(rarest))
    counts = [max(int(count * limit), FEWEST) if count >= FEWEST else 0 for count in rarest]
    pool = np.concatenate([_first(side, real.labels, counts) for side in sides])
    deals = [halves_by_patient(real.patients[pool], real.labels[pool], n) for n in range(HALVINGS)]
    halves = [(pool[one], pool[other]) for one, other in deals]
    smallest = np.min([_by_class(half, real) for pair in halves for half in pair], axis=0).tolist()
    # An even deal of the pool would give this; where few patients hold a class, there is none.
    even = [count * len(sides) / 2 for count in counts]
    if all(
        least >= max(FEWEST, share / 2)
        for least, share in zip(smallest, even, strict=True)
        if share
    ):
        counts = [min(pair) for pair in zip(counts, smallest, strict=True)]
    else:
        halves = []
    held_out, *training = [_first(side, real.labels, counts) for side in sides]
    return Plan(
        counts,
        held_out,
        training[0] if training else held_out[:0],
        [
            (_first(one, real.labels, counts), _first(other, real.labels, counts))
            for one, other in halves
        ],
    )


def _by_class(rows: IntArray, real: RealSlices) -> list[int]:
    return np.bincount(real.labels[rows], minlength=len(real.classes)).tolist()


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


def halves_by_patient(
    patients: np.ndarray[Any, Any], labels: IntArray, seed: int
) -> tuple[IntArray, IntArray]:
    """Rows of two halves that share no patient, in a random deal as even as can be by class.

    Args:
        patients: (N,) the patient of each image.
        labels: (N,) class numbers.
        seed: Of the deal.
    """
    names, owner = np.unique(patients, return_inverse=True)
    classes, number = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(names), len(classes)))
    np.add.at(counts, (owner, number), 1)
    share = counts / counts.sum(axis=0)
    halves, side = np.zeros((2, len(classes))), np.zeros(len(names), int)
    order = np.random.default_rng(seed).permutation(len(names))
    for patient in sorted(order, key=lambda patient: -share[patient].max()):
        fuller = [((halves[half] + share[patient]) ** 2).sum() - (halves[half] ** 2).sum()
                  for half in (0, 1)]  # fmt: skip
        side[patient] = int(np.argmin(fuller))
        halves[side[patient]] += share[patient]
    return np.flatnonzero(side[owner] == 0), np.flatnonzero(side[owner] == 1)

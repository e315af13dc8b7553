"""From slices to patients: one probability vector and one truth for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

    Rule = Literal["mean", "max"]


def by_patient(
    probabilities: FloatArray,
    labels: IntArray,
    patients: np.ndarray[Any, Any],
    minority: int,
    rule: Rule,
) -> tuple[FloatArray, IntArray]:
    """Class probabilities (P, K) and classes (P,) of the patients, in the order of their names.

    A patient with any minority slice is of the minority class; any other is of the class that most
    of its slices have. ``"mean"`` averages the slices' probabilities: for classes that a patient
    has as a whole. ``"max"`` takes the highest minority probability, and shares out what is left as
    the mean of the other classes has it: for findings that only some of a patient's slices show.

    Args:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) classes of the slices.
        patients: (N,) the patient of each slice.
        minority: The class of interest.
        rule: ``"mean"`` or ``"max"``.
    """
    _, which, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    classes = probabilities.shape[1]
    sums = np.zeros((len(sizes), classes))
    np.add.at(sums, which, probabilities)
    joined = sums / sizes[:, None]
    if rule == "max":
        highest = np.zeros(len(sizes))
        np.maximum.at(highest, which, probabilities[:, minority])
        others = np.delete(np.arange(classes), minority)
        rest = joined[:, others].sum(axis=1, keepdims=True)
        even = np.full((len(sizes), len(others)), 1 / len(others))
        share = np.divide(joined[:, others], rest, out=even, where=rest > 0)
        joined[:, others] = (1 - highest)[:, None] * share
        joined[:, minority] = highest
    votes = np.zeros((len(sizes), classes), dtype=np.int64)
    np.add.at(votes, (which, labels), 1)
    truth = np.where(votes[:, minority] > 0, minority, votes.argmax(axis=1))
    return joined, truth

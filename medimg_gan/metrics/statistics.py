"""Scores of single arms with intervals, by bootstrap over patients and seeds.

Slices of one patient are alike, so the patient is what is drawn (with all its slices), within
strata of having the class of interest or not, so that no draw lacks either. Training noise is drawn
with it, by resampling the seeds too (the crossed, or pigeonhole, bootstrap: Owen 2007, Ann. Appl.
Stat. 1:386). Every arm is scored on the *same* draws, so that differences of arms are paired; what
is concluded from these stands in ``comparison.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics.outcome import Outcome, once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medimg_gan.metrics.classification import Score
    from medimg_gan.types import FloatArray, IntArray

LEVEL = 0.95
ROWS_AT_ONCE = 256
"""Resamples scored together: bounds memory at this many numbers per slice."""


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile interval; ``low`` and ``high`` at 95 %."""

    mean: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Resamples:
    """Draws shared by every arm of a study; made by :func:`draw`.

    Attributes:
        patient_counts: (B, P) how often each patient was drawn.
        patient_of_slice: (N,) index into the patients.
        seed_counts: (B, S) how often each seed was drawn.
        fewest_patients: Those with slices of the class of interest, or those with other slices,
            whichever are fewer: the degrees of freedom follow them.
    """

    patient_counts: FloatArray
    patient_of_slice: IntArray
    seed_counts: FloatArray
    fewest_patients: int

    def first(self, number: int) -> Resamples:
        """The first so many draws."""
        return replace(
            self,
            patient_counts=self.patient_counts[:number],
            seed_counts=self.seed_counts[:number],
        )


def draw(
    patients: np.ndarray[Any, Any],
    seeds: int,
    *,
    resamples: int,
    seed: int,
    positive: np.ndarray[Any, Any] | None = None,
) -> Resamples:
    """Draw patients and seeds with replacement.

    Args:
        patients: (N,) the patient of each test slice.
        seeds: Number S of trainings per arm.
        resamples: Number B of draws.
        seed: Makes the draws repeatable.
        positive: (N,) whether a slice is of the class of interest; patients with such a slice and
            patients without are then drawn apart, each as many as there are.
    """
    names, patient_of_slice = np.unique(patients, return_inverse=True)
    of_class = np.zeros(len(patients), bool) if positive is None else np.asarray(positive) == 1
    stratum = np.zeros(len(names), dtype=bool)
    stratum[patient_of_slice[of_class]] = True
    generator = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(names)))
    members = [np.flatnonzero(stratum == side) for side in (False, True)]
    for inside in members:
        if len(inside):
            counts[:, inside] = _counts(generator, len(inside), resamples)
    seed_counts = _counts(generator, seeds, resamples)
    # Not the smaller stratum: where nearly all patients have slices of both kinds, the few that
    # have none of the class would decide about a score that they hardly touch.
    kinds = [np.unique(patient_of_slice[inside]) for inside in (of_class, ~of_class)]
    fewest = min(len(kind) for kind in kinds if len(kind))
    return Resamples(counts, patient_of_slice, seed_counts, fewest)


def replicates(
    scores: Mapping[str, Score], outcomes: Sequence[Outcome], resamples: Resamples
) -> dict[str, FloatArray]:
    """Every score of every seed in every resample of the patients: name -> (B, S).

    NaN where a resample holds no minority slice or nothing else; such draws are left out of
    intervals, which makes them conditional on both being present.
    """
    shape = (len(resamples.patient_counts), len(outcomes))
    drawn: dict[str, FloatArray] = {name: np.empty(shape) for name in scores}
    for begin in range(0, shape[0], ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        weights = resamples.patient_counts[rows][:, resamples.patient_of_slice]
        for column, outcome in enumerate(outcomes):
            for name, score in scores.items():
                drawn[name][rows, column] = score(outcome, weights)
    return drawn


def over_seeds(drawn: FloatArray, resamples: Resamples) -> FloatArray:
    """Replicates (B, S) averaged over the drawn seeds: (B,), patients and seeds resampled."""
    return (drawn * resamples.seed_counts).sum(axis=1) / resamples.seed_counts.sum(axis=1)


def seed_scores(score: Score, outcomes: Sequence[Outcome]) -> FloatArray:
    """The plain score of every seed: (S,)."""
    return np.array([score(outcome, once(outcome))[0] for outcome in outcomes])


def mean_score(score: Score, outcomes: Sequence[Outcome]) -> float:
    """The plain score, averaged over the seeds."""
    return float(seed_scores(score, outcomes).mean())


def interval(mean: float, drawn: FloatArray) -> Interval:
    """The percentile interval of bootstrap replicates (Efron & Tibshirani 1993, ch. 13).

    It stays within the score's range, which a normal interval near 0 or 1 does not.

    Args:
        mean: The score on the data as they are.
        drawn: (B,) replicates; NaN ones are left out.
    """
    usable = drawn[np.isfinite(drawn)]
    if len(usable) == 0:
        return Interval(mean, mean, mean)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Interval(mean, float(low), float(high))


def mean_of_patients(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Interval:
    """The mean over patients, with the interval of a bootstrap that draws patients.

    Args:
        values: One figure a patient; those that are not finite (no bone, say) are left out.
        resamples: Draws.
        seed: Makes them repeatable.

    Returns:
        NaN throughout where no figure is finite.
    """
    finite = np.array([value for value in values if np.isfinite(value)])
    if not len(finite):
        return Interval(np.nan, np.nan, np.nan)
    counts = _counts(np.random.default_rng(seed), len(finite), resamples)
    return interval(float(finite.mean()), counts @ finite / len(finite))


def _counts(generator: np.random.Generator, items: int, resamples: int) -> FloatArray:
    return generator.multinomial(items, np.full(items, 1 / items), size=resamples).astype(float)

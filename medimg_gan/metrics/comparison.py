"""Differences of two arms: interval, p, correction for many arms, and what could have been seen.

Patients and seeds are both random (another study would have others of each), and crossed: every
seed's classifier scores every patient. The variance of the difference of two arms is put together
from its parts, as in a random-effects analysis of variance with two crossed factors (Searle,
Casella & McCulloch 1992, ch. 4); the patients' part comes from the paired bootstrap, so any score
will do.

Why not the percentile (or BCa) interval of draws of both: a handful of seeds has no draw beyond its
most extreme seed. Where the chance of training rules, three seeds lie on one side of zero once in
four studies without any effect, and both intervals, which only choose among the draws, exclude zero
each time. ``tests/study/simulation.py`` shows it beside the interval used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from medimg_gan.metrics.statistics import LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.types import FloatArray

ALPHA = 1 - LEVEL
POWER = 0.8
NEGLIGIBLE = 1e-12
"""A standard error of sums of rounded shares that is none."""
FEWEST_PATIENTS = 6
"""Below six minority patients even a unanimous sign test cannot reach two-sided p < 0.05."""
FEWEST_SEEDS = 2
"""With one training per arm its chance is unseen."""


@dataclass(frozen=True)
class Comparison:
    """The difference of two arms on the same patients and seeds.

    Attributes:
        mean: First minus second, averaged over the seeds.
        low: Lower end of the 95 % interval; never below -1.
        high: Upper end; never above 1.
        standard_error: Over patients and seeds.
        degrees: Of freedom, by Satterthwaite (1946).
        p: Two-sided, for no difference; below 0.05 where the interval excludes 0.
    """

    mean: float
    low: float
    high: float
    standard_error: float
    degrees: float
    p: float

    @staticmethod
    def within(mean: float, reach: float, error: float, degrees: float, p: float) -> Comparison:
        """Mean and how far its interval reaches, which is cut where shares cannot differ by more.

        All scores are shares, or mean squares of their errors, in [0, 1]. With two seeds, t has
        one degree of freedom and reaches 12.7 standard errors.
        """
        return Comparison(mean, max(mean - reach, -1.0), min(mean + reach, 1.0), error, degrees, p)

    @property
    def cut(self) -> bool:
        """Whether the interval ends where differences of shares do."""
        return self.standard_error > 0 and (self.low == -1 or self.high == 1)

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for JSON."""
        return {
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "standard_error": self.standard_error,
            "p": self.p,
        }


def compare(by_seed: FloatArray, drawn: FloatArray, patients: int) -> Comparison:
    """Interval and p of a paired difference.

    Args:
        by_seed: (S,) difference of each pair of trainings on all patients.
        drawn: (B, S) the same on each draw of patients; draws with a NaN are left out.
        patients: Number of patients that carry the score; see ``Resamples.fewest_patients``.
    """
    mean = float(by_seed.mean())
    variance, degrees = variance_of_mean(by_seed, drawn, patients)
    error = float(np.sqrt(variance))
    if error < NEGLIGIBLE:
        # All patients and seeds differ by the same: only the number of signs speaks (sign test).
        p = min(1.0, 2 * 0.5**patients) if abs(mean) > NEGLIGIBLE else 1.0
        return Comparison(mean, mean, mean, 0.0, degrees, p)
    reach = float(stats.t.ppf(1 - ALPHA / 2, degrees)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, degrees))
    return Comparison.within(mean, reach, error, degrees, p)


def variance_of_mean(by_seed: FloatArray, drawn: FloatArray, patients: int) -> tuple[float, float]:
    """Variance of a mean over random patients and random seeds, and its degrees of freedom.

    With one value per patient (P) and seed (S), the expectations are

    - patients drawn, mean of the seeds: ``a/P + c/(PS)``,
    - spread of the seeds' means over S: ``b/S + c/(PS)``,
    - patients drawn, seed by seed:      ``a/P + c/P``,

    for the components of patients a, seeds b, and their interaction c. The variance sought,
    ``a/P + b/S + c/(PS)``, is the sum of the first two less their common term, which the first and
    third give. It is never taken below either of the two.
    """
    usable = drawn[np.isfinite(drawn).all(axis=1)]
    seeds = by_seed.size
    if len(usable) == 0:
        return 0.0, float(max(seeds - 1, 1))
    unbiased = patients / max(patients - 1, 1)
    of_patients = unbiased * float(usable.mean(axis=1).var())
    if seeds == 1:
        return of_patients, float(max(patients - 1, 1))
    of_seeds = float(by_seed.var(ddof=1)) / seeds
    each = unbiased * float(usable.var(axis=0).mean())
    common = min(max(each - of_patients, 0.0) / (seeds - 1), of_patients, of_seeds)
    variance = of_patients + of_seeds - common
    # Satterthwaite for the sum, as if the common term were known: it is the smallest of the three.
    patient_degrees, seed_degrees = max(patients - 1, 1), seeds - 1
    bottom = of_patients**2 / patient_degrees + of_seeds**2 / seed_degrees
    degrees = variance**2 / bottom if bottom > 0 else float(patient_degrees)
    return variance, float(max(degrees, min(patient_degrees, seed_degrees)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of each of several tests (Holm 1979, Scand. J. Stat. 6:65), in the given order."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    raised = np.maximum.accumulate(factors * np.asarray(p_values, dtype=float)[order])
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(raised, 1.0)
    return adjusted.tolist()


def minimal_detectable(standard_error: float, degrees: float, tests: int = 1) -> float:
    """The true difference that a study with this much noise would claim 8 times in 10.

    Power of the t test (noncentral t) at level 0.05 / m: the first of Holm's m steps, which the
    only arm that helps has to pass.

    Args:
        standard_error: Of the difference.
        degrees: Of freedom.
        tests: Number m of arms tested.
    """
    critical = float(stats.t.ppf(1 - ALPHA / (2 * tests), degrees))

    def lacking(shift: float) -> float:
        return float(stats.nct.sf(critical, degrees, shift)) - POWER

    shift = float(np.asarray(brentq(lacking, 0.0, 4 * critical + 4)))
    return shift * standard_error


def outcome_of(
    difference: Comparison, adjusted_p: float, minority_patients: int, seeds: int
) -> str:
    """``"helped"``, ``"hurt"``, ``"no evidence"``, or ``"cannot tell"`` with too little data.

    Args:
        difference: With synthetic slices minus without.
        adjusted_p: Its p after :func:`holm` over all arms tested.
        minority_patients: Test patients of the minority class.
        seeds: Trainings per arm.
    """
    if minority_patients < FEWEST_PATIENTS or seeds < FEWEST_SEEDS:
        return "cannot tell"
    if adjusted_p > ALPHA:
        return "no evidence"
    if difference.low > 0:
        return "helped"
    return "hurt" if difference.high < 0 else "no evidence"

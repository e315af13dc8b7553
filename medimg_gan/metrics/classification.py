"""How well a classifier finds the minority class, on any re-weighting of the same slices.

Every score takes weights (B, N): row b says how often each of N slices counts. One row of ones is
the plain score; the rows of a bootstrap give all its replicates in one go, without a Python loop.
A score that is undefined for a row (no minority slice, or nothing else) is NaN there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.metrics.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from medimg_gan.types import FloatArray, IntArray

    Score = Callable[[Outcome, FloatArray], FloatArray]
    """(outcome of N slices, weights (B, N)) -> (B,) scores."""

BINS = 10
"""Of calibration: equal widths of probability."""


@dataclass(frozen=True)
class Metric:
    """One measure: its function and how it is shown.

    Attributes:
        score: (outcome of N slices, weights (B, N)) -> (B,) scores.
        title: Heading in tables and plots.
        higher_is_better: False for errors such as the Brier score.
        about: One sentence for the report.
    """

    score: Score
    title: str
    higher_is_better: bool
    about: str


def threshold_at_specificity(score: FloatArray, positive: FloatArray, specificity: float) -> float:
    """The lowest threshold that calls at most ``1 - specificity`` of the negatives positive.

    It is one of the negatives' own scores t, and a slice is called positive if its score is
    *above* t, so that ties with t stay negative.

    Args:
        score: (N,) probability of the positive class, from the validation split.
        positive: (N,) 1 for the positive class, 0 for the rest.
        specificity: Wanted share of negatives below or at the threshold, in (0, 1].

    Raises:
        ValueError: If there is no negative.
    """
    negatives = np.sort(np.asarray(score)[np.asarray(positive) == 0])
    if len(negatives) == 0:
        raise ValueError("a specificity needs slices of another class")
    # The small term keeps 0.9 * 10 = 9.000000000000002 from counting as 10.
    kept = max(int(np.ceil(specificity * len(negatives) - 1e-9)), 1)
    return float(negatives[kept - 1])


def minority_sensitivity(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Share of minority slices that are called minority at the outcome's threshold."""
    positive = outcome.positive
    return _ratio(weights @ (positive * outcome.called), weights @ positive)


def specificity(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Share of the other slices that are not called minority at the outcome's threshold."""
    negative = 1.0 - outcome.positive
    return _ratio(weights @ (negative * (1.0 - outcome.called)), weights @ negative)


def balanced_accuracy(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Mean over classes of the share of slices whose most probable class is the true one.

    A class with no weight in a row is left out of that row's mean.
    """
    right = (outcome.probabilities.argmax(axis=1) == outcome.labels).astype(np.float64)
    classes = np.arange(outcome.probabilities.shape[1])
    member = (outcome.labels[:, None] == classes).astype(np.float64)
    total = weights @ member
    correct = weights @ (member * right[:, None])
    recall = np.divide(correct, total, out=np.zeros_like(correct), where=total > 0)
    return _ratio(recall.sum(axis=1), (total > 0).sum(axis=1).astype(np.float64))


def auroc(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve, minority against rest.

    The chance that a minority slice scores above another, a tie counting half (Hanley & McNeil
    1982), among the pairs that one classifier scored (see ``outcome``).
    """
    wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for members in outcome.by_fold:
        positive, negative = weight_by_score(outcome, weights, members)
        below = np.cumsum(negative, axis=1) - negative
        wins += (positive * (below + 0.5 * negative)).sum(axis=1)
        pairs += positive.sum(axis=1) * negative.sum(axis=1)
    return _ratio(wins, pairs)


def auprc(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Average precision, minority against rest: sum of (R_n - R_{n-1}) P_n, as scikit-learn.

    That is the mean over minority slices of the precision at the slice's own score, counted among
    what the same classifier scored (see ``outcome``).
    """
    area, total = np.zeros(len(weights)), np.zeros(len(weights))
    for members in outcome.by_fold:
        positive, negative = weight_by_score(outcome, weights, members)
        found = np.cumsum(positive[:, ::-1], axis=1)
        called = found + np.cumsum(negative[:, ::-1], axis=1)
        precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
        both = (positive.sum(axis=1) > 0) & (negative.sum(axis=1) > 0)
        area += np.where(both, (positive[:, ::-1] * precision).sum(axis=1), 0.0)
        total += np.where(both, positive.sum(axis=1), 0.0)
    return _ratio(area, total)


def brier(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Mean squared error of the minority probability (Brier 1950); 0 is perfect."""
    error = (outcome.score - outcome.positive) ** 2
    return _ratio(weights @ error, weights.sum(axis=1))


def f1(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Harmonic mean of sensitivity and precision of the minority at the outcome's threshold."""
    hits = weights @ (outcome.positive * outcome.called)
    return _ratio(2 * hits, weights @ outcome.positive + weights @ outcome.called)


def calibration_error(outcome: Outcome, weights: FloatArray) -> FloatArray:
    """Expected calibration error of the minority probability (Naeini et al. 2015, AAAI).

    Mean over slices of the gap between mean probability and share of minority slices in the
    slice's bin; BINS bins of equal width.
    """
    member = (probability_bins(outcome.score)[:, None] == np.arange(BINS)).astype(np.float64)
    gap = member * (outcome.score - outcome.positive)[:, None]
    return _ratio(np.abs(weights @ gap).sum(axis=1), weights.sum(axis=1))


def calibration_curve(outcomes: Sequence[Outcome]) -> list[dict[str, float]]:
    """Bins that hold a slice, over all outcomes (seeds) together: what a reliability plot shows.

    Returns:
        Of each bin ``probability`` (mean), ``share`` (of minority slices) and ``slices`` (mean
        number per outcome).
    """
    score = np.concatenate([outcome.score for outcome in outcomes])
    positive = np.concatenate([outcome.positive for outcome in outcomes])
    bins = probability_bins(score)
    inside = [bins == number for number in np.unique(bins)]
    return [
        {
            "probability": float(score[members].mean()),
            "share": float(positive[members].mean()),
            "slices": float(members.sum() / len(outcomes)),
        }
        for members in inside
    ]


def probability_bins(score: FloatArray) -> IntArray:
    """The bin 0..BINS-1 of each probability; 1.0 falls into the last."""
    return np.clip((np.asarray(score) * BINS).astype(np.int64), 0, BINS - 1)


def weight_by_score(
    outcome: Outcome, weights: FloatArray, members: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Minority and other weight at each distinct score of some slices, ascending: two (B, G)."""
    ordered = members[np.argsort(outcome.score[members], kind="stable")]
    ascending, positive = outcome.score[ordered], outcome.positive[ordered]
    starts = np.flatnonzero(np.r_[True, np.diff(ascending) > 0])
    weight = weights[:, ordered]
    return (
        np.add.reduceat(weight * positive, starts, axis=1),
        np.add.reduceat(weight * (1.0 - positive), starts, axis=1),
    )


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


METRICS: dict[str, Metric] = {
    "minority_sensitivity": Metric(
        minority_sensitivity,
        "Minority sensitivity",
        True,
        "Share of minority slices that are found, at the threshold that reaches the wanted "
        "specificity on validation.",
    ),
    "balanced_accuracy": Metric(
        balanced_accuracy,
        "Balanced accuracy",
        True,
        "Mean over all classes of the share of slices given their true class.",
    ),
    "auroc": Metric(auroc, "AUROC", True, "Minority against rest; 0.5 is guessing."),
    "auprc": Metric(
        auprc,
        "AUPRC",
        True,
        "Average precision, minority against rest; guessing gives the minority's share.",
    ),
    "f1": Metric(
        f1,
        "F1",
        True,
        "Harmonic mean of the minority's sensitivity and precision, at the same threshold.",
    ),
    "brier": Metric(
        brier,
        "Brier score",
        False,
        "Mean squared error of the minority probability; lower is better.",
    ),
    "calibration_error": Metric(
        calibration_error,
        "Calibration error",
        False,
        "Mean gap between minority probability and truth, in ten bins of probability.",
    ),
    "specificity": Metric(
        specificity,
        "Specificity reached",
        True,
        "On test, at the threshold chosen on validation: arms are compared at equal specificity "
        "only as far as these agree.",
    ),
}
"""Every measure of a classifier, by the name it has in ``report.json``."""

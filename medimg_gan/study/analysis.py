"""From kept probabilities to figures and intervals; validation chooses, test tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.classification import once, threshold_at_specificity
from medimg_gan.metrics.statistics import (
    Interval,
    Resamples,
    draw,
    interval,
    mean_score,
    replicates,
    smallest_visible,
)
from medimg_gan.study.arms import find_arm

if TYPE_CHECKING:
    from medimg_gan.study.arms import Role
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.fits import Fit, FitResult
    from medimg_gan.types import FloatArray

PRIMARY = "minority_sensitivity"
"""The measure that the verdict is about."""
CHOSEN_BY = (PRIMARY, "auroc")
"""Measures on validation by which an arm or ratio is chosen; the second breaks ties."""


@dataclass(frozen=True)
class Row:
    """One arm at one ratio: a line of the table.

    Attributes:
        arm: Key of ARMS.
        ratio: Minority over largest other class, after mixing.
        added: Slices added to the training split.
        validation: One outcome per seed.
        test: One outcome per seed, at the threshold found on validation.
    """

    arm: str
    ratio: float
    added: int
    validation: list[Outcome]
    test: list[Outcome]

    @property
    def role(self) -> Role:
        """What the arm is in the comparison."""
        return find_arm(self.arm).role

    @property
    def key(self) -> tuple[str, float]:
        """Arm and ratio."""
        return self.arm, self.ratio

    def chosen_by(self) -> tuple[float, ...]:
        """Scores on validation that rank the row."""
        return tuple(mean_score(METRICS[name].score, self.validation) for name in CHOSEN_BY)


@dataclass(frozen=True)
class Analysis:
    """Everything the report says in numbers.

    Attributes:
        rows: All arms and ratios.
        reference: The best arm without synthetic slices, chosen on validation.
        candidate: The best arm and ratio with them, chosen on validation.
        scores: Row key -> measure -> interval on test.
        differences: Row key -> measure -> interval of row minus reference, paired.
        visible: Difference in the primary measure that would be found 8 times in 10.
    """

    rows: list[Row]
    reference: Row
    candidate: Row
    scores: dict[tuple[str, float], dict[str, Interval]]
    differences: dict[tuple[str, float], dict[str, Interval]]
    visible: float


def gather_rows(data: StudyData, config: StudyConfig, results: dict[Fit, FitResult]) -> list[Row]:
    """Group the trainings of all seeds by arm and ratio, in the order they were planned."""
    rows: dict[tuple[str, float], Row] = {}
    for fit, result in results.items():
        key = (fit.arm, fit.ratio)
        row = rows.setdefault(key, Row(fit.arm, fit.ratio, fit.added, [], []))
        positive = (data.val.labels == data.minority).astype(float)
        threshold = threshold_at_specificity(
            result.validation[:, data.minority], positive, config.specificity
        )
        row.validation.append(Outcome(result.validation, data.val.labels, data.minority, threshold))
        row.test.append(Outcome(result.test, data.test.labels, data.minority, threshold))
    return list(rows.values())


def analyse(data: StudyData, config: StudyConfig, results: dict[Fit, FitResult]) -> Analysis:
    """Score every arm on test and compare it with the best arm without synthetic slices."""
    rows = gather_rows(data, config, results)
    reference = max((row for row in rows if row.role == "baseline"), key=Row.chosen_by)
    candidate = max((row for row in rows if row.role == "synthetic"), key=Row.chosen_by)
    draws = draw(data.test.patients, config.seeds, resamples=config.resamples, seed=config.seed)
    means = {row.key: _means(row) for row in rows}
    drawn = {row.key: _replicates(row, draws) for row in rows}
    scores = {
        key: {name: interval(means[key][name], drawn[key][name]) for name in METRICS}
        for key in drawn
    }
    differences = {
        key: {
            name: interval(
                means[key][name] - means[reference.key][name],
                drawn[key][name] - drawn[reference.key][name],
            )
            for name in METRICS
        }
        for key in drawn
    }
    visible = smallest_visible(drawn[candidate.key][PRIMARY] - drawn[reference.key][PRIMARY])
    return Analysis(rows, reference, candidate, scores, differences, visible)


def row_as_dict(row: Row, analysis: Analysis) -> dict[str, Any]:
    """One entry of ``arms`` in the report."""
    arm = find_arm(row.arm)
    return {
        "name": row.arm,
        "title": arm.title,
        "about": arm.about,
        "role": row.role,
        "ratio": row.ratio,
        "added": row.added,
        "seeds": len(row.test),
        "metrics": {name: found.as_dict() for name, found in analysis.scores[row.key].items()},
        "difference_to_reference": {
            name: found.as_dict() for name, found in analysis.differences[row.key].items()
        },
        "validation": {
            name: mean_score(metric.score, row.validation) for name, metric in METRICS.items()
        },
        "per_seed": {
            name: [float(metric.score(outcome, once(outcome))[0]) for outcome in row.test]
            for name, metric in METRICS.items()
        },
    }


def _means(row: Row) -> dict[str, float]:
    return {name: mean_score(metric.score, row.test) for name, metric in METRICS.items()}


def _replicates(row: Row, draws: Resamples) -> dict[str, FloatArray]:
    return {name: replicates(metric.score, row.test, draws) for name, metric in METRICS.items()}

"""From kept probabilities to figures and intervals; validation chooses, test tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics import METRICS
from medimg_gan.metrics.classification import calibration_curve
from medimg_gan.metrics.comparison import compare
from medimg_gan.metrics.delong import compare_auroc
from medimg_gan.metrics.statistics import (
    draw,
    interval,
    mean_score,
    over_seeds,
    replicates,
    seed_scores,
)
from medimg_gan.study.arms import find_arm
from medimg_gan.study.decision import decide
from medimg_gan.study.rows import PRIMARY, gather_rows, rows_by_patient

if TYPE_CHECKING:
    from medimg_gan.metrics.comparison import Comparison
    from medimg_gan.metrics.statistics import Interval, Resamples
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.decision import Decision, Key
    from medimg_gan.study.fits import Fit, FitResult
    from medimg_gan.study.rows import Row
    from medimg_gan.types import IntArray

SECONDARY_DRAWS = 2000
"""Most draws for measures that the verdict is not about: a standard error is then known within 2 %,
and areas under curves, which must be summed anew in every draw, do not take minutes."""


@dataclass(frozen=True)
class Figures:
    """Scores of all rows on test, and how each differs from the reference.

    Attributes:
        scores: Row key -> measure -> interval.
        differences: Row key -> measure -> row minus reference, paired; not corrected for number.
    """

    scores: dict[Key, dict[str, Interval]]
    differences: dict[Key, dict[str, Comparison]]


@dataclass(frozen=True)
class Analysis:
    """Everything the report says in numbers.

    Attributes:
        rows: All arms and ratios.
        decision: What is compared with what, and the claim's own figures.
        by_slice: A slice counts once.
        by_patient: A patient counts once; None where patients cannot be told apart.
        delong: Row key -> difference in AUROC by slice, seeds held fixed.
    """

    rows: list[Row]
    decision: Decision
    by_slice: Figures
    by_patient: Figures | None
    delong: dict[Key, Comparison]


def analyse(data: StudyData, config: StudyConfig, results: dict[Fit, FitResult]) -> Analysis:
    """Score every arm on test and compare it with the best arm without synthetic slices."""
    rows = gather_rows(data, config, results)
    patients = data.test.patients

    def drawn_for(names: np.ndarray[Any, Any], labels: IntArray) -> Resamples:
        return draw(
            names,
            config.seeds,
            resamples=config.resamples,
            seed=config.seed,
            positive=labels == data.minority,
        )

    draws = drawn_for(patients, data.test.labels)
    decision = decide(rows, draws)
    whole = rows_by_patient(data, config, rows)
    by_patient = None
    if whole:
        labels = whole[0].test[0].labels
        drawn = drawn_for(np.unique(patients), labels)  # in by_patient's order
        by_patient = describe(whole, decision.reference.key, drawn)
    delong = {row.key: compare_auroc(row.test, decision.reference.test, patients) for row in rows}
    by_slice = describe(rows, decision.reference.key, draws)
    return Analysis(rows, decision, by_slice, by_patient, delong)


def describe(rows: list[Row], reference: Key, draws: Resamples) -> Figures:
    """Every measure of every row, and its difference to the reference, on the same draws."""
    primary = {PRIMARY: METRICS[PRIMARY].score}
    others = {name: metric.score for name, metric in METRICS.items() if name != PRIMARY}
    few = draws.first(SECONDARY_DRAWS)
    drawn = {
        row.key: replicates(primary, row.test, draws) | replicates(others, row.test, few)
        for row in rows
    }
    plain = {
        row.key: {name: seed_scores(metric.score, row.test) for name, metric in METRICS.items()}
        for row in rows
    }
    scores, differences = {}, {}
    for key in drawn:
        scores[key] = {
            name: interval(
                float(plain[key][name].mean()),
                over_seeds(drawn[key][name], draws if name == PRIMARY else few),
            )
            for name in METRICS
        }
        differences[key] = {
            name: compare(
                plain[key][name] - plain[reference][name],
                drawn[key][name] - drawn[reference][name],
                draws.smallest_stratum,
            )
            for name in METRICS
        }
    return Figures(scores, differences)


def row_as_dict(row: Row, analysis: Analysis) -> dict[str, Any]:
    """One entry of ``arms`` in the report."""
    arm = find_arm(row.arm)
    found: dict[str, Any] = {
        "name": row.arm,
        "title": arm.title,
        "about": arm.about,
        "role": row.role,
        "ratio": row.ratio,
        "added": row.added,
        "seeds": len(row.test),
        **_as_dicts(analysis.by_slice, row.key),
        "delong": analysis.delong[row.key].as_dict(),
        "calibration": calibration_curve(row.test),
        "validation": {
            name: mean_score(metric.score, row.validation) for name, metric in METRICS.items()
        },
        "per_seed": {
            name: seed_scores(metric.score, row.test).tolist() for name, metric in METRICS.items()
        },
    }
    if analysis.by_patient:
        found["by_patient"] = _as_dicts(analysis.by_patient, row.key)
    if row.key in analysis.decision.tested:
        found["p_holm"] = analysis.decision.tested[row.key]
    return found


def _as_dicts(figures: Figures, key: Key) -> dict[str, Any]:
    return {
        "metrics": {name: found.as_dict() for name, found in figures.scores[key].items()},
        "difference_to_reference": {
            name: found.as_dict() for name, found in figures.differences[key].items()
        },
    }

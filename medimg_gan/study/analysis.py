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
from medimg_gan.study.rows import PRIMARY, gather_rows, pool_rows, rows_by_patient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.metrics import Outcome
    from medimg_gan.metrics.comparison import Comparison
    from medimg_gan.metrics.statistics import Interval, Resamples
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.decision import Decision, Key
    from medimg_gan.study.fits import Fit
    from medimg_gan.study.jobs import FitResult
    from medimg_gan.study.rows import Row

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
        rows: All arms and ratios, the test slices of all folds pooled.
        decision: What is compared with what, and the claim's own figures.
        tests: Row or choice key -> its test outcomes, one per seed, the folds' slices pooled.
        by_slice: A slice counts once.
        by_patient: A patient counts once; None where patients cannot be told apart.
        delong: Row key -> difference in AUROC by slice, seeds held fixed.
    """

    rows: list[Row]
    decision: Decision
    tests: dict[Key, list[Outcome]]
    by_slice: Figures
    by_patient: Figures | None
    delong: dict[Key, Comparison]


def analyse(
    folds: Sequence[StudyData], config: StudyConfig, results: Sequence[dict[Fit, FitResult]]
) -> Analysis:
    """Score every arm on test and compare it with the best arm without synthetic slices.

    Args:
        folds: One or more, no patient tested by two.
        config: As they were trained.
        results: Of each fold.
    """
    by_fold = [gather_rows(data, config, found) for data, found in zip(folds, results, strict=True)]
    patients = np.concatenate([data.test.patients for data in folds])
    minority = folds[0].minority

    def drawn_for(names: np.ndarray[Any, Any], outcome: Outcome) -> Resamples:
        return draw(
            names,
            config.seeds,
            resamples=config.resamples,
            seed=config.seed,
            positive=outcome.labels == minority,
        )

    rows = pool_rows(by_fold)
    draws = drawn_for(patients, rows[0].test[0])
    decision = decide(by_fold, draws)
    whole = rows_by_patient(folds, config, by_fold)
    by_patient = None
    if whole:
        names = np.concatenate([np.unique(data.test.patients) for data in folds])
        tests = _tests(whole, rows, decision)
        drawn = drawn_for(names, tests[decision.reference.key][0])
        by_patient = describe(tests, decision.reference.key, drawn)
    tests = _tests(by_fold, rows, decision)
    reference = tests[decision.reference.key]
    delong = {row.key: compare_auroc(row.test, reference, patients) for row in rows}
    by_slice = describe(tests, decision.reference.key, draws)
    return Analysis(rows, decision, tests, by_slice, by_patient, delong)


def _tests(
    by_fold: Sequence[Sequence[Row]], rows: Sequence[Row], decision: Decision
) -> dict[Key, list[Outcome]]:
    """The test outcomes of every row, and of what the folds chose where they chose differently."""
    keys = [row.key for row in rows]
    found = {key: row.test for key, row in zip(keys, pool_rows(by_fold), strict=True)}
    for choice in (decision.reference, decision.candidate):
        found[choice.key] = choice.test(by_fold)
    return found


def describe(tests: dict[Key, list[Outcome]], reference: Key, draws: Resamples) -> Figures:
    """Every measure of every row, and its difference to the reference, on the same draws.

    Args:
        tests: Row key -> one outcome per seed.
        reference: Key of one of them.
        draws: Of the patients.
    """
    primary = {PRIMARY: METRICS[PRIMARY].score}
    others = {name: metric.score for name, metric in METRICS.items() if name != PRIMARY}
    few = draws.first(SECONDARY_DRAWS)
    drawn = {
        key: replicates(primary, test, draws) | replicates(others, test, few)
        for key, test in tests.items()
    }
    plain = {
        key: {name: seed_scores(metric.score, test) for name, metric in METRICS.items()}
        for key, test in tests.items()
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
                draws.fewest_patients,
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

"""Train on one kind of slice, test on the other: what the synthetic slices hold of the real ones.

TSTR (train on synthetic, test on real; Esteban et al. 2017) is low where the generator leaves out
what tells the classes apart; TRTS (train on real, test on synthetic) where it draws what no real
slice looks like. Both stand beside TRTR. A collapsed generator may well have a high TRTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.outcome import pool
from medimg_gan.metrics.statistics import draw, interval, over_seeds, replicates, seed_scores
from medimg_gan.study.analysis import SECONDARY_DRAWS
from medimg_gan.study.jobs import ASKED_ABOUT_SYNTHETIC
from medimg_gan.study.rows import gather_rows, pool_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.fits import Fit
    from medimg_gan.study.jobs import FitResult
    from medimg_gan.study.rows import Row

ABOUT = {
    "trtr": ("real", "real"),
    "tstr": ("synthetic", "real"),
    "trts": ("real", "synthetic"),
}
"""Name -> what was learnt from, and what was asked about."""


def exchange(
    folds: Sequence[StudyData], config: StudyConfig, results: Sequence[dict[Fit, FitResult]]
) -> dict[str, dict[str, Any]]:
    """Scores of those of TRTR, TSTR and TRTS whose arms (real, tstr) were trained.

    Args:
        folds: One or more; their slices are pooled.
        config: As they were trained.
        results: Of each fold.

    Returns:
        Name -> ``trained_on``, ``tested_on`` and ``metrics`` with 95 % intervals: over patients
        and seeds on real slices, over slices and seeds on synthetic ones (which have no patient).
    """
    by_fold = [gather_rows(data, config, found) for data, found in zip(folds, results, strict=True)]
    rows = {row.arm: row for row in pool_rows(by_fold)}
    real = np.concatenate([data.test.patients for data in folds])
    asked = {
        name: (rows[arm].test, real)
        for name, arm in (("trtr", ASKED_ABOUT_SYNTHETIC), ("tstr", "tstr"))
        if arm in rows
    }
    answers = [_about_synthetic(*fold) for fold in zip(folds, by_fold, results, strict=True)]
    if all(answers):  # fits kept from earlier versions were not asked
        outcomes = [pool(seed) for seed in zip(*answers, strict=True)]
        asked["trts"] = (outcomes, np.arange(len(outcomes[0].labels)))
    return {
        name: {
            "trained_on": ABOUT[name][0],
            "tested_on": ABOUT[name][1],
            "metrics": _scores(outcomes, units, config),
        }
        for name, (outcomes, units) in asked.items()
    }


def _about_synthetic(
    data: StudyData, rows: Sequence[Row], results: dict[Fit, FitResult]
) -> list[Outcome]:
    """What classifiers of real slices said of a fold's synthetic ones; none if not all did."""
    fits = [result.synthetic for fit, result in results.items() if fit.arm == ASKED_ABOUT_SYNTHETIC]
    said = [probabilities for probabilities in fits if probabilities is not None]
    if not said or len(said) < len(fits):
        return []
    real = next(row for row in rows if row.arm == ASKED_ABOUT_SYNTHETIC)
    labels = np.sort(data.test.labels)
    return [
        Outcome(probabilities, labels, data.minority, outcome.threshold)
        for probabilities, outcome in zip(said, real.test, strict=True)
    ]


def _scores(
    outcomes: list[Outcome], units: np.ndarray[Any, Any], config: StudyConfig
) -> dict[str, dict[str, float]]:
    draws = draw(
        units,
        len(outcomes),
        resamples=min(config.resamples, SECONDARY_DRAWS),
        seed=config.seed,
        positive=outcomes[0].positive,
    )
    drawn = replicates({name: metric.score for name, metric in METRICS.items()}, outcomes, draws)
    return {
        name: interval(
            float(seed_scores(metric.score, outcomes).mean()), over_seeds(drawn[name], draws)
        ).as_dict()
        for name, metric in METRICS.items()
    }

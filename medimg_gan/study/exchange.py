"""Train on one kind of slice, test on the other: what the synthetic slices hold of the real ones.

TSTR (train on synthetic, test on real; Esteban et al. 2017) is low where the generator leaves out
what tells the classes apart; TRTS (train on real, test on synthetic) where it draws what no real
slice looks like. Both stand beside TRTR. A collapsed generator may well have a high TRTS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.statistics import draw, interval, over_seeds, replicates, seed_scores
from medimg_gan.study.analysis import SECONDARY_DRAWS
from medimg_gan.study.fits import ASKED_ABOUT_SYNTHETIC
from medimg_gan.study.rows import gather_rows

if TYPE_CHECKING:
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.fits import Fit, FitResult

ABOUT = {
    "trtr": ("real", "real"),
    "tstr": ("synthetic", "real"),
    "trts": ("real", "synthetic"),
}
"""Name -> what was learnt from, and what was asked about."""


def exchange(
    data: StudyData, config: StudyConfig, results: dict[Fit, FitResult]
) -> dict[str, dict[str, Any]]:
    """Scores of those of TRTR, TSTR and TRTS whose arms (real, tstr) were trained.

    Returns:
        Name -> ``trained_on``, ``tested_on`` and ``metrics`` with 95 % intervals: over patients
        and seeds on real slices, over slices and seeds on synthetic ones (which have no patient).
    """
    rows = {row.arm: row for row in gather_rows(data, config, results)}
    real = data.test.patients
    asked = {}
    if ASKED_ABOUT_SYNTHETIC in rows:
        asked["trtr"] = (rows[ASKED_ABOUT_SYNTHETIC].test, real)
    if "tstr" in rows:
        asked["tstr"] = (rows["tstr"].test, real)
    fits = [result for fit, result in results.items() if fit.arm == ASKED_ABOUT_SYNTHETIC]
    found = [result.synthetic for result in fits if result.synthetic is not None]
    if found and len(found) == len(fits):  # fits kept from earlier versions were not asked
        labels = np.sort(data.test.labels)
        outcomes = [
            Outcome(probabilities, labels, data.minority, outcome.threshold)
            for probabilities, outcome in zip(found, rows[ASKED_ABOUT_SYNTHETIC].test, strict=True)
        ]
        asked["trts"] = (outcomes, np.arange(len(labels)))
    return {
        name: {
            "trained_on": ABOUT[name][0],
            "tested_on": ABOUT[name][1],
            "metrics": _scores(outcomes, units, config),
        }
        for name, (outcomes, units) in asked.items()
    }


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

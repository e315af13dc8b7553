"""The lines of a study's table: what each arm's classifiers said, by slice and by patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.classification import threshold_at_specificity
from medimg_gan.metrics.outcome import pool
from medimg_gan.metrics.patients import by_patient
from medimg_gan.metrics.statistics import mean_score
from medimg_gan.study.arms import find_arm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.metrics.patients import Rule
    from medimg_gan.study.arms import Role
    from medimg_gan.study.data import Split, StudyConfig, StudyData
    from medimg_gan.study.fits import Fit
    from medimg_gan.study.jobs import FitResult
    from medimg_gan.types import FloatArray, IntArray

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


def gather_rows(data: StudyData, config: StudyConfig, results: dict[Fit, FitResult]) -> list[Row]:
    """Group the trainings of all seeds by arm and ratio, in the order they were planned."""
    rows: dict[tuple[str, float], Row] = {}
    for fit, result in results.items():
        row = rows.setdefault((fit.arm, fit.ratio), Row(fit.arm, fit.ratio, fit.added, [], []))
        _append(
            row,
            (result.validation, data.val.labels),
            (result.test, data.test.labels),
            data.minority,
            config.specificity,
        )
    return list(rows.values())


def pool_rows(by_fold: Sequence[Sequence[Row]]) -> list[Row]:
    """The rows of all folds, each seed's outcomes pooled; every fold has the same arms and ratios.

    Arms that add nothing stand at the ratio of their fold's real slices: the mean is shown.
    """
    return [
        Row(
            same[0].arm,
            _shared([row.ratio for row in same]),
            round(_shared([row.added for row in same])),
            [pool(seed) for seed in zip(*(row.validation for row in same), strict=True)],
            [pool(seed) for seed in zip(*(row.test for row in same), strict=True)],
        )
        for same in zip(*by_fold, strict=True)
    ]


def _shared(values: Sequence[float]) -> float:
    """What all folds have, or their mean."""
    return values[0] if len(set(values)) == 1 else round(float(np.mean(values)), 3)


def patient_rule(folds: Sequence[StudyData]) -> Rule:
    """``"mean"`` where every training patient is of one kind throughout, else ``"max"``."""
    for data in folds:
        minority = data.train.labels == data.minority
        if len(np.intersect1d(data.train.patients[minority], data.train.patients[~minority])):
            return "max"
    return "mean"


def rows_by_patient(
    folds: Sequence[StudyData], config: StudyConfig, by_fold: Sequence[Sequence[Row]]
) -> list[list[Row]] | None:
    """Each fold's rows with a patient in place of a slice; their threshold is found anew.

    None where patients are unknown, or where a fold's validation or test lacks patients without
    the minority class.
    """
    for data in folds:
        if not data.patients_known or any(
            split.patients_with(data.minority) == len(np.unique(split.patients))
            for split in (data.val, data.test)
        ):
            return None
    rule = patient_rule(folds)
    return [
        [_by_patient(data, config, row, rule) for row in rows]
        for data, rows in zip(folds, by_fold, strict=True)
    ]


def _by_patient(data: StudyData, config: StudyConfig, row: Row, rule: Rule) -> Row:
    def joined(split: Split, outcome: Outcome) -> tuple[FloatArray, IntArray]:
        return by_patient(outcome.probabilities, split.labels, split.patients, data.minority, rule)

    whole = Row(row.arm, row.ratio, row.added, [], [])
    for validation, test in zip(row.validation, row.test, strict=True):
        _append(
            whole,
            joined(data.val, validation),
            joined(data.test, test),
            data.minority,
            config.specificity,
        )
    return whole


def _append(
    row: Row,
    validation: tuple[FloatArray, IntArray],
    test: tuple[FloatArray, IntArray],
    minority: int,
    specificity: float,
) -> None:
    """Add one seed's (probabilities, labels), at the threshold that validation gives."""
    probabilities, labels = validation
    positive = (labels == minority).astype(float)
    threshold = threshold_at_specificity(probabilities[:, minority], positive, specificity)
    row.validation.append(Outcome(probabilities, labels, minority, threshold))
    row.test.append(Outcome(*test, minority, threshold))

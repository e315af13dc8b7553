"""Run a study from ready arrays to everything its report shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.config import as_dict
from medimg_gan.metrics import METRICS
from medimg_gan.metrics.neighbours import CopyCheck, copy_check, nearest
from medimg_gan.runs import environment
from medimg_gan.study.analysis import SECONDARY_DRAWS, analyse, row_as_dict
from medimg_gan.study.arms import largest_other_class, synthesise_checked
from medimg_gan.study.exchange import exchange
from medimg_gan.study.filter_report import report_filters
from medimg_gan.study.fits import run_fits
from medimg_gan.study.rows import PRIMARY, patient_rule
from medimg_gan.study.verdict import caveats, selection, verdict

if TYPE_CHECKING:
    from pathlib import Path

    from medimg_gan.study.data import Split, StudyConfig, StudyData
    from medimg_gan.types import FloatArray

SHOWN = 10
"""Columns of the sample grid."""
COMPARED = 256
"""Most synthetic slices in the copy check."""
PATIENT_RULES = {
    "mean": "A patient's probability is the mean of its slices', as each training patient is of "
    "one kind throughout.",
    "max": "A patient's probability is the highest of its slices', as training patients have "
    "slices of both kinds; any minority slice makes a patient one of the minority.",
}


@dataclass(frozen=True)
class StudyResult:
    """What :func:`medimg_gan.report.write_report` takes.

    Attributes:
        report: Plain JSON values, see ``report_schema.json``.
        pictures: Title of a row -> (n, 1, H, W) slices in [-1, 1]; column i of all rows belongs
            together.
    """

    report: dict[str, Any]
    pictures: dict[str, FloatArray]


def run_study(data: StudyData, config: StudyConfig, folder: Path) -> StudyResult:
    """Train every arm with every seed, compare, and judge.

    Args:
        data: Real splits and the generator.
        config: Arms, ratios, seeds, classifier.
        folder: Each training is kept in ``folder/fits``; a repetition only does what is missing.

    Raises:
        ConfigError: If arms or ratios leave nothing to compare.
        DataError: If the synthetic slices do not fit the real ones.
    """
    filters = report_filters(data, config)
    results = run_fits(data, config, folder)
    analysis = analyse(data, config, results)
    decision = analysis.decision
    pictures, copies = _look(data, config)
    outcome, sentence = verdict(data, config, analysis)
    report = {
        "schema_version": 2,
        "verdict": sentence,
        "outcome": outcome,
        "caveats": caveats(data, config, analysis, copies) + filters.caveats,
        "minority": data.minority_name,
        "classes": list(data.classes),
        "primary_metric": PRIMARY,
        "operating_point": {"specificity": config.specificity, "threshold_from": "val"},
        "arms": [row_as_dict(row, analysis) for row in analysis.rows],
        "reference": selection(decision.reference),
        "candidate": selection(decision.candidate),
        "difference": {
            name: found.as_dict()
            for name, found in analysis.by_slice.differences[decision.candidate.key].items()
        },
        "p_holm": decision.adjusted_p,
        "smallest_visible_difference": decision.visible,
        "exchange": exchange(data, config, results),
        "counts": {name: _counts(split, data) for name, split in data.splits.items()},
        "patients_known": data.patients_known,
        "copy_check": asdict(copies),
        "filters": filters.figures,
        "method": _method(data, config),
        "synthetic_source": data.source,
        "config": as_dict(config),
        "environment": environment(),
    }
    return StudyResult(report, pictures | filters.pictures)


def _look(data: StudyData, config: StudyConfig) -> tuple[dict[str, FloatArray], CopyCheck]:
    """Slices to show, and how near the synthetic ones come to the training slices."""
    training = data.train.of_class(data.minority)
    held_out = np.concatenate([data.val.of_class(data.minority), data.test.of_class(data.minority)])
    synthetic = synthesise_checked(data, COMPARED, data.minority, config.seed)
    shown = synthetic[:SHOWN]
    _, closest = nearest(shown, training)
    order = np.random.default_rng(config.seed).permutation(len(training))[:SHOWN]
    pictures = {
        f"Real {data.minority_name} (training)": training[np.sort(order)],
        f"Synthetic {data.minority_name}": shown,
        "Nearest real training slice": training[closest],
    }
    return pictures, copy_check(synthetic, held_out, training)


def _counts(split: Split, data: StudyData) -> dict[str, Any]:
    return {
        "slices": {
            name: int((split.labels == label).sum()) for label, name in enumerate(data.classes)
        },
        "patients": {name: split.patients_with(label) for label, name in enumerate(data.classes)},
        "all_slices": len(split.labels),
        "all_patients": len(np.unique(split.patients)),
    }


def _method(data: StudyData, config: StudyConfig) -> dict[str, Any]:
    unit = "patients" if data.patients_known else "slices (patients unknown)"
    largest = largest_other_class(data.train.labels, data.minority)
    return {
        "ratio": "Minority slices in the training split after mixing, over the real slices of the "
        f"largest other class ({largest}); 1 is balance. Arms that add nothing stand at the ratio "
        "of the real slices.",
        "budget": f"{config.classifier.steps} optimiser steps of {config.classifier.batch_size} "
        "slices, one network, one schedule, the same seeds and validation in every arm.",
        "intervals": "Scores: 95 % percentile intervals of bootstrap draws "
        f"({config.resamples}; {min(config.resamples, SECONDARY_DRAWS)} for secondary measures) of "
        f"{unit} (within those with {data.minority_name} and those without) and of seeds. "
        "Differences: the same draws of patients for both arms, seeds as a random effect, t "
        "interval with Satterthwaite's degrees of freedom.",
        "tests": "Every synthetic arm and ratio against the reference, with Holm's correction; "
        "help is claimed for the one that validation preferred only. AUROC also by DeLong's test "
        "with slices clustered in patients (Obuchowski), for these trainings.",
        "by patient": PATIENT_RULES[patient_rule(data)],
        "choices": "Ratio, reference arm, threshold and kept weights are chosen on validation "
        "(arms by minority sensitivity, ties by AUROC); test gives the figures only.",
        "metrics": {
            name: {
                "title": metric.title,
                "about": metric.about,
                "higher_is_better": metric.higher_is_better,
            }
            for name, metric in METRICS.items()
        },
    }

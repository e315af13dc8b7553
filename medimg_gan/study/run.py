"""Run a study from ready arrays to everything its report shows."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.data.ratio import largest_other_class
from medimg_gan.metrics import METRICS
from medimg_gan.metrics.neighbours import CopyCheck, copy_check, nearest
from medimg_gan.runs import environment
from medimg_gan.study.analysis import SECONDARY_DRAWS, analyse, row_as_dict
from medimg_gan.study.changes import changed_patients
from medimg_gan.study.curves import decisions
from medimg_gan.study.data import StudyData, check_folds, thinned_in
from medimg_gan.study.exchange import exchange
from medimg_gan.study.fidelity import fidelity
from medimg_gan.study.filter_report import sift
from medimg_gan.study.fits import run_fits
from medimg_gan.study.leakage import check_leakage, pooled
from medimg_gan.study.reasons import reasons
from medimg_gan.study.rows import PRIMARY, patient_rule
from medimg_gan.study.synthetic_additions import synthesise_checked
from medimg_gan.study.verdict import caveats, selection, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from medimg_gan.study.data import Split, StudyConfig
    from medimg_gan.study.filter_report import FilterReport
    from medimg_gan.study.leakage import RealLeakage
    from medimg_gan.study.trainers import Trainers
    from medimg_gan.types import FloatArray

SHOWN = 24
"""Most slices of a grid of samples."""
NEAREST = "The nearest real training slice of each"
COMPARED = 256
"""Most synthetic slices in the copy check."""
PATIENT_RULES = {
    "mean": "A patient's probability is the mean of its slices', as each training patient is of "
    "one kind throughout.",
    "max": "A patient's probability is the highest of its slices', as training patients have "
    "slices of both kinds; any minority slice makes a patient one of the minority.",
}

ABOUT_FOLDS = (
    "Each fold has its own training, validation and test patients, GAN, thresholds and choice of "
    "ratio and reference; no patient is tested twice. Test slices of all folds are pooled: calls "
    "at each fold's threshold, AUROC and AUPRC among slices of the same fold only. The difference "
    "is between what each fold's validation chose; the table has every arm and ratio in all folds. "
    "Intervals take patients as independent, although those of a fold share classifiers and GAN."
)


@dataclass(frozen=True)
class StudyResult:
    """What :func:`medimg_gan.report.write_report` takes.

    Attributes:
        report: Plain JSON values, see ``report_schema.json``.
        pictures: Title of a grid -> (n, 1, H, W) slices in [-1, 1].
    """

    report: dict[str, Any]
    pictures: dict[str, FloatArray]


def run_study(
    data: StudyData | Sequence[StudyData],
    config: StudyConfig,
    folder: Path,
    trainers: Trainers | None = None,
    *,
    checked: Sequence[RealLeakage] = (),
    filters: FilterReport | None = None,
) -> StudyResult:
    """Train every arm with every seed, compare, and judge.

    Args:
        data: Real splits and the generator; of several folds where each has its own.
        config: Arms, ratios, seeds, classifier.
        folder: Each training is kept in ``folder/fits`` (``folder/fold-1/fits`` ... of several
            folds); a repetition only does what is missing.
        trainers: Who trains; this process alone if not given.
        checked: What was found in the real slices of each fold, where it was looked for before.
        filters: What filters do to these data, where they were asked before.

    Raises:
        ConfigError: If arms or ratios leave nothing to compare.
        DataError: If the synthetic slices do not fit the real ones.
        SplitError: If a patient is tested in two folds, or anything held out is in what is
                learnt from; see ``leakage``.
    """
    folds = [data] if isinstance(data, StudyData) else list(data)
    check_folds(folds)
    first = folds[0]
    known = checked or [None] * len(folds)
    leakages = [check_leakage(data, config, real) for data, real in zip(folds, known, strict=True)]
    filters = filters or sift(folds, config)
    asked, config = config, filters.of_running(config)
    results = run_fits(folds, config, folder, trainers)
    say("study: all trained; scoring, comparing and drawing")
    analysis = analyse(folds, config, results)
    decision = analysis.decision
    patients = np.concatenate([data.test.patients for data in folds])
    pictures, copies = _look(folds, config)
    outcome, sentence = verdict(folds, config, analysis)
    report = {
        "schema_version": 3,
        "verdict": sentence,
        "outcome": outcome,
        "caveats": [
            *caveats(folds, config, analysis, copies),
            *filters.caveats.values(),
            *dict.fromkeys(said for leakage in leakages for said in leakage.warnings),
        ],
        "minority": first.minority_name,
        "classes": list(first.classes),
        "folds": len(folds),
        "primary_metric": PRIMARY,
        "operating_point": {"specificity": config.specificity, "threshold_from": "val"},
        "classifier": config.classifier.network,
        "arms": [
            row_as_dict(row, analysis) | decisions(row, decision, patients, config)
            for row in analysis.rows
        ],
        "reference": selection(decision.reference, analysis.rows),
        "candidate": selection(decision.candidate, analysis.rows),
        "difference": {
            name: found.as_dict()
            for name, found in analysis.by_slice.differences[decision.candidate.key].items()
        },
        "p_holm": decision.adjusted_p,
        "smallest_visible_difference": decision.visible,
        "changed_patients": changed_patients(
            analysis.tests[decision.reference.key],
            analysis.tests[decision.candidate.key],
            patients,
            known=first.patients_known,
        ),
        "exchange": exchange(folds, config, results),
        "fidelity": fidelity(folds, config),
        "leakage": pooled(leakage.table for leakage in leakages),
        "counts": _counts(folds),
        "patients_known": first.patients_known,
        "copy_check": asdict(copies),
        "filters": filters.figures,
        "method": _method(folds, config),
        "synthetic_source": "; ".join(fold.source for fold in folds),
        "config": as_dict(asked),
        "environment": environment(),
    }
    report["reasons"] = reasons(report)
    return StudyResult(report, pictures | leakages[0].pictures | filters.pictures)


def _look(
    folds: Sequence[StudyData], config: StudyConfig
) -> tuple[dict[str, FloatArray], CopyCheck]:
    """Slices to show (the first fold's), and how near synthetic ones come to training slices."""
    looks = [_look_at_fold(data, config) for data in folds]
    pictures = looks[0][0]
    checks = np.array([astuple(copies) for _, copies in looks])
    return pictures, CopyCheck(*checks.mean(axis=0).tolist())


def _look_at_fold(data: StudyData, config: StudyConfig) -> tuple[dict[str, FloatArray], CopyCheck]:
    training = data.train.of_class(data.minority)
    held_out = np.concatenate([data.val.of_class(data.minority), data.test.of_class(data.minority)])
    synthetic = synthesise_checked(data, COMPARED, data.minority, config.seed)
    shown = synthetic[:SHOWN]
    _, closest = nearest(shown, training)
    order = np.random.default_rng(config.seed).permutation(len(training))[:SHOWN]
    pictures = {
        f"Real {data.minority_name} (training)": training[np.sort(order)],
        f"Synthetic {data.minority_name}": shown,
        NEAREST: training[closest],
    }
    return pictures, copy_check(synthetic, held_out, training)


def _counts(folds: Sequence[StudyData]) -> dict[str, Any]:
    """Slices and patients by split: of test over all folds, of train and val a fold's mean."""
    return {
        name: _mean_counts(
            [_counts_of_split(data.splits[name], data) for data in folds],
            1 if name == "test" else len(folds),
        )
        for name in folds[0].splits
    }


def _mean_counts(counts: Sequence[dict[str, Any]], over: int) -> dict[str, Any]:
    def mean(values: Sequence[Any]) -> Any:
        if isinstance(values[0], dict):
            return {key: mean([value[key] for value in values]) for key in values[0]}
        return round(sum(values) / over)

    return mean(counts)


def _counts_of_split(split: Split, data: StudyData) -> dict[str, Any]:
    return {
        "slices": {
            name: int((split.labels == label).sum()) for label, name in enumerate(data.classes)
        },
        "patients": {name: split.patients_with(label) for label, name in enumerate(data.classes)},
        "all_slices": len(split.labels),
        "all_patients": len(np.unique(split.patients)),
    }


def _method(folds: Sequence[StudyData], config: StudyConfig) -> dict[str, Any]:
    data = folds[0]
    unit = "patients" if data.patients_known else "slices (patients unknown)"
    largest = [largest_other_class(fold.train.labels, fold.minority) for fold in folds]
    same = len(set(largest)) == 1
    counts = str(largest[0]) if same else f"fold by fold {', '.join(map(str, largest))}"
    thinned = thinned_in(folds)
    return {
        "ratio": "Minority slices in the training split after mixing, over the real slices of the "
        f"largest other class ({counts}); 1 is balance. Arms that add nothing stand at the ratio "
        "of the real slices.",
        "budget": f"{config.classifier.steps} optimiser steps of {config.classifier.batch_size} "
        "slices, one network, one schedule, the same seeds and validation in every arm.",
        "intervals": "Scores: 95 % percentile intervals of bootstrap draws "
        f"({config.resamples}; {min(config.resamples, SECONDARY_DRAWS)} for secondary measures) of "
        f"{unit} (within those with {data.minority_name} and those without) and of seeds. "
        "Differences: the same draws of patients for both arms, seeds as a random effect, t "
        "interval with Satterthwaite's degrees of freedom, cut at 100 points either way, as shares "
        "cannot differ by more.",
        "tests": "Every synthetic arm and ratio against the reference, with Holm's correction; "
        "help is claimed for the one that validation preferred only, harm only if it survives "
        "Bonferroni's correction over all arms and ratios that the reference was chosen from too; "
        "where folds chose differently, the one that most of them chose must pass as well. AUROC "
        "also by DeLong's test, slices clustered in patients (Obuchowski), for these trainings.",
        "by patient": PATIENT_RULES[patient_rule(folds)],
        "choices": "Ratio, reference arm, threshold and kept weights are chosen on validation "
        "(arms by minority sensitivity, ties by AUROC); test gives the figures only.",
        **({"folds": ABOUT_FOLDS} if len(folds) > 1 else {}),
        "imbalance": f"Made on purpose: {thinned}." if thinned else "As in the data.",
        "metrics": {
            name: {
                "title": metric.title,
                "about": metric.about,
                "higher_is_better": metric.higher_is_better,
            }
            for name, metric in METRICS.items()
        },
    }

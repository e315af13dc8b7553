"""The sentence a reader takes home, and what to hold against it; both are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics.comparison import FEWEST_PATIENTS, FEWEST_SEEDS, outcome_of
from medimg_gan.metrics.neighbours import COPY_QUANTILE
from medimg_gan.metrics.operating import sensitivity_at
from medimg_gan.metrics.outcome import once
from medimg_gan.study.arms import find_arm
from medimg_gan.study.data import thinned_in
from medimg_gan.study.fits import idle_ratios
from medimg_gan.study.rows import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.metrics.neighbours import CopyCheck
    from medimg_gan.study.analysis import Analysis
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.decision import Choice, Decision
    from medimg_gan.study.rows import Row

FEW_PATIENTS = 10
ENOUGH_SEEDS = 5
UNEQUAL_SPECIFICITY = 0.02
"""Two points of specificity are worth some five of sensitivity, where ROC curves are steep."""
MANY_COPIES = 3 * COPY_QUANTILE
CUT = " (cut there: shares cannot differ by more)"


def verdict(folds: Sequence[StudyData], config: StudyConfig, analysis: Analysis) -> tuple[str, str]:
    """The outcome in a word or two, and the sentence with its figures."""
    data = folds[0]
    count = sum(fold.test.patients_with(data.minority) for fold in folds)
    decision = analysis.decision
    difference = decision.difference
    outcome = outcome_of(difference, decision.adjusted_p, count, config.seeds)
    unit, cut = _unit(data), CUT if difference.cut else ""
    figures = (
        f"{data.minority_name} sensitivity at {_percent(config.specificity)} specificity is "
        f"{_score(analysis, decision.candidate)} with them "
        f"({_named(decision.candidate)}) and {_score(analysis, decision.reference)} with the best "
        f"arm without ({_named(decision.reference)}): a difference of {_points(difference.mean)} "
        f"points, 95 % interval {_points(difference.low)} to {_points(difference.high)}{cut}"
        f"{_corrected(decision)}, over {_many(count, f'test {unit}')} with {data.minority_name}"
        f"{_in_folds(folds)}{_independent(data)}."
    )
    opening = {
        "helped": "Synthetic slices helped",
        "hurt": "Synthetic slices hurt",
        "no evidence": "No evidence that synthetic slices helped",
        "cannot tell": "Cannot tell whether synthetic slices helped",
    }[outcome]
    ending = ""
    if outcome == "no evidence" and decision.visible > 1:
        ending = " With 80 % power this study could have found no difference, however large."
    elif outcome == "no evidence":
        ending = (
            f" With 80 % power this study could have found a difference of "
            f"{100 * decision.visible:.0f} points; a smaller one may well exist."
        )
    elif outcome == "cannot tell":
        ending = (
            f" No interval can carry a claim with fewer than {FEWEST_PATIENTS} such test {unit}s "
            f"or fewer than {FEWEST_SEEDS} trainings per arm."
        )
    return outcome, f"{opening}: {figures}{ending}"


def caveats(
    folds: Sequence[StudyData], config: StudyConfig, analysis: Analysis, copies: CopyCheck
) -> list[str]:
    """What weakens the verdict, most serious first."""
    return [
        *_about_thinning(folds),
        *_about_patients(folds),
        *_about_seeds(config),
        *_about_reference(analysis),
        *_about_arms(folds, config, analysis),
        *_about_specificity(config, analysis),
        *_about_copies(copies),
    ]


def _about_thinning(folds: Sequence[StudyData]) -> list[str]:
    thinned = thinned_in(folds)
    if not thinned:
        return []
    return [
        f"The imbalance was made on purpose: {thinned}. The verdict is about a class of "
        f"{folds[0].minority_name} that is rarer in training than in these data."
    ]


def _about_patients(folds: Sequence[StudyData]) -> list[str]:
    said = []
    data = folds[0]
    if not data.patients_known:
        said.append(
            "Patients are unknown: every file counts as a patient of its own, so every interval is "
            "too narrow and p too small; and unless a split was given that keeps them apart, "
            "slices of one patient may stand in several splits."
        )
    unit = _unit(data)
    tested = sum(fold.test.patients_with(data.minority) for fold in folds)
    validated, trained = (
        min(fold.splits[name].patients_with(data.minority) for fold in folds)
        for name in ("val", "train")
    )
    where = " of a fold" if len(folds) > 1 else ""
    for name, count, use in (
        (f"test split{_in_folds(folds)}", tested, "intervals are rough"),
        (
            f"validation split{where}",
            validated,
            "the choice of ratio, threshold and reference is unsure",
        ),
        (f"training split{where}", trained, "the generator saw little variety"),
    ):
        if count < FEW_PATIENTS:
            said.append(
                f"Only {_many(count, unit)} with {data.minority_name} in the {name}: {use}."
            )
    return said


def _about_seeds(config: StudyConfig) -> list[str]:
    if config.seeds == 1:
        return ["One training per arm: the intervals do not hold the chance of training."]
    if config.seeds < ENOUGH_SEEDS:
        return [
            f"{config.seeds} trainings per arm; {ENOUGH_SEEDS} or more would measure the chance "
            "of training better."
        ]
    return []


def _about_reference(analysis: Analysis) -> list[str]:
    """A gain over the reference that another arm without synthetic slices has too."""
    scores, decision = analysis.by_slice.scores, analysis.decision
    baselines = [row for row in analysis.rows if row.role == "baseline"]
    best = max(baselines, key=lambda row: scores[row.key][PRIMARY].mean)
    reached = scores[best.key][PRIMARY].mean
    if decision.difference.mean <= 0 or reached < scores[decision.candidate.key][PRIMARY].mean:
        return []
    return [
        f"On test {find_arm(best.arm).title.lower()} (ratio {best.ratio:g}) finds as much without "
        f"synthetic slices ({reached:.3f}); the reference is the arm that validation preferred."
    ]


def _about_arms(folds: Sequence[StudyData], config: StudyConfig, analysis: Analysis) -> list[str]:
    said = []
    chosen = analysis.decision.candidate
    if idle_ratios(folds, config):
        said.append(idle_ratios(folds, config))
    if "duplicate" not in config.arms:
        said.append(
            "The arm that adds duplicates of real slices was not run, so a gain may come from "
            "the balance alone."
        )
    arms = [find_arm(name) for name in config.arms]
    both = any(arm.role == "baseline" and arm.swept and arm.augmented for arm in arms)
    augmented = any(find_arm(analysis.rows[place].arm).augmented for place in chosen.places)
    if augmented and not both and analysis.decision.difference.mean > 0:
        said.append(
            "No arm without synthetic slices has more minority slices and classical augmentation "
            "at once (duplicate-classical), as the arm with them has, so a gain may come from "
            "these two together."
        )
    return said


def _about_specificity(config: StudyConfig, analysis: Analysis) -> list[str]:
    said = []
    scores, decision = analysis.by_slice.scores, analysis.decision
    pair = decision.candidate.key, decision.reference.key
    one, other = (scores[key]["specificity"].mean for key in pair)
    if abs(one - other) > UNEQUAL_SPECIFICITY:
        place = np.array([1 - config.specificity])
        found = [
            np.mean([sensitivity_at(each, once(each), place) for each in analysis.tests[key]])
            for key in pair
        ]
        said.append(
            f"On test the two arms do not work at equal specificity ({one:.3f} with synthetic "
            f"slices, {other:.3f} without). By their ROC curves on test, the difference at "
            f"{_percent(config.specificity)} is {_points(float(found[0] - found[1]))} points."
        )
    sensitivity, auroc = (
        analysis.by_slice.differences[pair[0]][name] for name in (PRIMARY, "auroc")
    )
    if (sensitivity.low > 0 and auroc.mean < 0) or (sensitivity.high < 0 and auroc.mean > 0):
        said.append(
            f"AUROC points the other way ({_points(auroc.mean)} points), so the sensitivity may "
            "reflect where the threshold fell."
        )
    return said


def _about_copies(copies: CopyCheck) -> list[str]:
    if copies.too_close <= MANY_COPIES:
        return []
    near, usual = _percent(copies.too_close), _percent(1 - COPY_QUANTILE)
    return [
        f"{near} of the synthetic slices lie closer to a training slice than {usual} of held-out "
        "real slices do: the generator may copy patients (or blurs, which also shortens pixel "
        "distances); look at the pictures."
    ]


def selection(choice: Choice, rows: Sequence[Row]) -> dict[str, Any]:
    """How the report names what was chosen: the row that most folds chose, then each fold's."""
    row = choice.row
    named = {"name": row.arm, "title": find_arm(row.arm).title, "ratio": row.ratio}
    if len(choice.places) > 1:
        chosen = [rows[place] for place in choice.places]
        named["by_fold"] = [{"name": one.arm, "ratio": one.ratio} for one in chosen]
    return named


def _named(choice: Choice) -> str:
    row = choice.row
    arm = find_arm(row.arm)
    name = f"{arm.title.lower()}, ratio {row.ratio:g}" if arm.swept else arm.title.lower()
    if choice.agreed:
        return name
    most = max(map(choice.places.count, choice.places))
    return f"as each fold's validation chose; {name} in {most} of {len(choice.places)}"


def _in_folds(folds: Sequence[StudyData]) -> str:
    return f" of {len(folds)} folds" if len(folds) > 1 else ""


def _score(analysis: Analysis, choice: Choice) -> str:
    return f"{analysis.by_slice.scores[choice.key][PRIMARY].mean:.3f}"


def _corrected(decision: Decision) -> str:
    """The corrected p, where there was anything to correct for."""
    count, others = len(decision.tested), decision.baselines
    p = f"p = {decision.adjusted_p:.2g}"
    if decision.difference.mean < 0 and others > 1:
        return f" ({p} after correction for {count + others} arms and ratios, {others} without)"
    return f" ({p} after Holm over {count} arms and ratios)" if count > 1 else ""


def _points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign (never -0.0)."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def _percent(share: float) -> str:
    return f"{round(100 * share, 1):g} %"


def _unit(data: StudyData) -> str:
    return "patient" if data.patients_known else "slice"


def _independent(data: StudyData) -> str:
    return "" if data.patients_known else ", taken as independent (their patients are unknown)"


def _many(count: int, unit: str) -> str:
    return f"{count} {unit}" + ("" if count == 1 else "s")

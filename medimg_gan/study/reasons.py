"""Why a study came out as it did: what its own figures say, in plain words.

A reason is given only where a figure of the report supports it; each limit says why it stands
where it does. None of this is a test: the verdict is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medimg_gan.report.names import folds_differ
from medimg_gan.study.filter_stages import K_CENTRE
from medimg_gan.study.report_figures import (
    arm_named,
    chosen_arm,
    difference,
    exchanged,
    fidelity_of,
    percent,
    points,
    signed,
    skill,
)
from medimg_gan.study.verdict import FEW_PATIENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.study.report_figures import Report

TARGET = 0.05
"""The gain in minority sensitivity that a study should not miss: published ones are little larger
(7 points, Frid-Adar et al. 2018)."""
FAR = 0.5
"""Share of the real slices' own figure below which synthetic ones are far from real: at a half,
every second test slice that real slices come near has no synthetic slice near it."""
ALIKE = 0.2
"""Part of the way from the real slices' likeness (MS-SSIM) to identical pictures, 1: random sets of
31 real slices of one class (Cheng et al., 64 pixels) stay within 0.15 of it from each other."""
KEPT_SKILL = 0.8
"""Of AUROC above guessing, 0.5, that real training gives: below it, a fifth is lost."""
MOSTLY = 0.5
"""Share of slices thrown away from which "most" is true."""
FEWEST_LEARNT = 100
"""The smallest sets from which the small-data methods are reported to learn (DiffAugment, Zhao et
al. 2020: 100-shot)."""
BALANCE = "balance, not new slices, was missing"
NEW_VIEWS = "new views of the real slices, not new slices, were missing"


def reasons(report: Report) -> list[str]:
    """What lies behind the outcome, most likely first; of help, what speaks for it.

    A study too small to tell comes first where the estimate is a gain, and last where it is none:
    then the other reasons are the likelier.

    Args:
        report: Follows ``report_schema.json``; ``reasons`` itself is not needed.
    """
    if report["outcome"] == "helped":
        asked = BEHIND_HELP
    elif difference(report)["mean"] > 0:
        asked = (_too_small, *WHY_NOT)
    else:
        asked = (*WHY_NOT, _too_small)
    return [said for ask in asked if (said := ask(report))]


def _too_small(report: Report) -> str:
    """A gain worth having is possible, but would be missed more than 2 times in 10."""
    visible, high = report["smallest_visible_difference"], difference(report)["high"]
    if visible <= TARGET or high < TARGET:
        return ""
    unit = "patients" if report["patients_known"] else "slices"
    count = report["counts"]["test"]["patients"][report["minority"]]
    seeds = report["arms"][0]["seeds"]
    seen = f"only a difference of {100 * visible:.0f} points" if visible < 1 else "no difference"
    return (
        f"The study is too small for a small effect: a gain of {points(TARGET)} points lies "
        f"within the interval, but with {count} test {unit} with {report['minority']} and "
        f"{seeds} training{'' if seeds == 1 else 's'} per arm {seen} would be claimed "
        "8 times in 10. More test patients (or folds) and seeds would tell."
    )


def _no_room(report: Report) -> str:
    score = chosen_arm(report, "reference")["metrics"][report["primary_metric"]]["mean"]
    if 1 - score >= TARGET:
        return ""
    return (
        f"There is little room: the best arm without synthetic slices already finds "
        f"{percent(score)} of {report['minority']}, so less than {points(TARGET)} points are "
        "left to gain."
    )


def _covered(report: Report) -> str:
    """An arm without synthetic slices gains reliably over real only, and as much or more."""
    real, reference = arm_named(report, "real"), report["reference"]
    if not real or reference["name"] == "real":
        return ""
    loss = real["difference_to_reference"][report["primary_metric"]]
    gain = difference(report)["mean"] - loss["mean"]
    if loss["high"] >= 0 or gain > -loss["mean"]:
        return ""
    what = NEW_VIEWS if reference["name"] == "classical" else BALANCE
    most = " (in most folds)" if folds_differ(reference) else ""
    return (
        f"A simpler cure does as much: {reference['title'].lower()}{most} gains "
        f"{points(-loss['mean'])} points over the real slices alone (95 % interval "
        f"{signed(-loss['high'])} to {signed(-loss['low'])}), the arm with synthetic slices "
        f"{points(gain)}: {what}."
    )


def _far_from_real(report: Report) -> str:
    found, floor = fidelity_of(report, "coverage")
    if not (floor > 0 and found < FAR * floor):  # either may be unknown
        return ""
    kernel, between_real = fidelity_of(report, "kid")
    more = (
        f"; the kernel distance to them is {kernel:.3g}, between real slices {between_real:.3g}"
        if not math.isnan(kernel)
        else ""
    )
    return (
        f"{_slices(report)} are far from real ones: they come near {percent(found)} of the "
        f"test slices of {report['minority']} (coverage), training slices near {percent(floor)}"
        f"{more}."
    )


def _slices(report: Report) -> str:
    """Figures of fidelity and TSTR are of slices that no filter saw."""
    return f"The synthetic slices{' (before filters)' if report.get('filters') else ''}"


def _little_variety(report: Report) -> str:
    likeness, real = fidelity_of(report, "similarity")
    if real < 1 and likeness - real > ALIKE * (1 - real):
        return (
            f"{_slices(report)} resemble each other: MS-SSIM within {report['minority']} is "
            f"{likeness:.2f}, of real slices {real:.2f} (1 is identical)."
        )
    (recall, recall_floor), (precision, precision_floor) = (
        fidelity_of(report, name) for name in ("recall", "precision")
    )
    # Where slices are far from real, a low recall says nothing of their variety.
    if precision >= FAR * precision_floor and recall < FAR * recall_floor:
        return (
            f"{_slices(report)} look real one by one, but span little: {percent(recall)} of "
            f"the test slices of {report['minority']} lie among them (recall), "
            f"{percent(recall_floor)} among training slices."
        )
    return ""


def _little_learnt_from_them(report: Report) -> str:
    """TSTR reliably below TRTR, and by much."""
    alone, real = exchanged(report)
    if not alone or alone["high"] >= real["low"] or skill(alone) >= KEPT_SKILL * skill(real):
        return ""
    return (
        f"{_slices(report)} hold little of what tells {report['minority']} from the rest: "
        f"trained on them alone, the classifier reaches AUROC {alone['mean']:.2f} on real test "
        f"slices; trained on real ones, {real['mean']:.2f}."
    )


def _mostly_rejected(report: Report) -> str:
    """K-centre chooses among slices that are fit; what it leaves out says nothing against them."""
    found = report.get("filters")
    stages = [one for one in (found or {}).get("stages", []) if one["name"] != K_CENTRE]
    kept = math.prod(one["kept"] / one["asked"] for one in stages if one["asked"])
    if 1 - kept <= MOSTLY:
        return ""
    worst = max(stages, key=lambda one: one["dropped"])
    return (
        f"Most synthetic slices are unfit: the filters threw {percent(1 - kept)} of them away, "
        f"most for this: {worst['title']}."
    )


def _little_to_learn(report: Report) -> str:
    train, minority = report["counts"]["train"], report["minority"]
    slices, patients = train["slices"][minority], train["patients"][minority]
    known = report["patients_known"]
    if slices >= FEWEST_LEARNT and not (known and patients < FEW_PATIENTS):
        return ""
    of = f" of {patients} patient{'' if patients == 1 else 's'}" if known else ""
    return f"The generator had little to learn from: {slices} training slices{of} with {minority}."


def _not_balance_alone(report: Report) -> str:
    return _beats(report, "duplicate", "It is not the balance alone")


def _not_classical_alone(report: Report) -> str:
    return _beats(report, "classical", "Classical augmentation does not do the same")


def _beats(report: Report, name: str, opening: str) -> str:
    """Whether the candidate lies above the whole interval of an arm's best ratio."""
    measure = report["primary_metric"]
    arms = [one for one in report["arms"] if one["name"] == name]
    if not arms:
        return ""
    best = max(arms, key=lambda one: one["metrics"][measure]["mean"])
    other, candidate = best["difference_to_reference"][measure], difference(report)
    if other["high"] >= candidate["mean"]:
        return ""
    return (
        f"{opening}: {best['title'].lower()} stays {points(candidate['mean'] - other['mean'])} "
        "points below."
    )


def _ranks_better(report: Report) -> str:
    auroc = report["difference"]["auroc"]
    if auroc["low"] <= 0:
        return ""
    return (
        f"It is not where the threshold fell: AUROC rises by {points(auroc['mean'])} points (95 % "
        f"interval {signed(auroc['low'])} to {signed(auroc['high'])})."
    )


def _much_learnt_from_them(report: Report) -> str:
    alone, real = exchanged(report)
    if not alone or skill(alone) < KEPT_SKILL * skill(real):
        return ""
    return (
        f"The synthetic slices hold what tells {report['minority']} from the rest: trained on them "
        f"alone, the classifier reaches AUROC {alone['mean']:.2f} on real test slices; trained on "
        f"real ones, {real['mean']:.2f}."
    )


WHY_NOT: tuple[Callable[[Report], str], ...] = (
    _no_room,
    _covered,
    _far_from_real,
    _little_learnt_from_them,
    _mostly_rejected,
    _little_variety,
    _little_to_learn,
)
"""What would defeat any generator, then its faults, then where they may come from."""
BEHIND_HELP: tuple[Callable[[Report], str], ...] = (
    _not_balance_alone,
    _not_classical_alone,
    _ranks_better,
    _much_learnt_from_them,
)

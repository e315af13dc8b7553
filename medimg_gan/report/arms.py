"""All arms in numbers: scores, tests against the reference, figures by patient, exchange."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from medimg_gan.report.names import (
    arm_name,
    detectable,
    interval_cell,
    is_arm,
    is_chosen,
    label,
    metric_title,
    points_cell,
    probability,
)
from medimg_gan.report.tags import note, table

if TYPE_CHECKING:
    Report = dict[str, Any]

EXCHANGED = {
    "trtr": "Real, tested on real",
    "tstr": "Synthetic, tested on real (TSTR)",
    "trts": "Real, tested on synthetic (TRTS)",
}


def scores(report: Report) -> str:
    """Every arm and ratio; further ratios of an arm stand below its first, without a rule."""
    names = list(report["arms"][0]["metrics"])
    heads = ("Arm", "Ratio", "Added slices", *(metric_title(report, name) for name in names))
    lines, before = [], None
    for arm in report["arms"]:
        cells = [interval_cell(arm["metrics"][name]) for name in names]
        lines.append((_first(report, arm, before), f"{arm['ratio']:g}", str(arm["added"]), *cells))
        before = arm["name"]
    reference, candidate = (label(report, report[key]) for key in ("reference", "candidate"))
    return note(
        f"Mean over {report['arms'][0]['seeds']} seeds on the real test split, with 95 % "
        f"interval. Highlighted: the reference ({reference}) and the arm that the verdict is "
        f"about ({candidate}), both chosen on validation."
    ) + _wide(
        table(heads, lines, style="arms", chosen=[is_chosen(report, arm) for arm in report["arms"]])
    )


def _first(report: Report, arm: Mapping[str, Any], before: str | None) -> str:
    tag = "reference" if is_arm(arm, report["reference"]) else ""
    tag = "in the verdict" if is_arm(arm, report["candidate"]) else tag
    shown = f'<small class="tag">{tag}</small>' if tag else ""
    if arm["name"] == before and not tag:
        return f'<span class="same">{escape(arm["title"])}</span>'
    return f'<span class="mark {escape(arm["role"])}"></span>{escape(arm["title"])}{shown}'


def tests(report: Report) -> str:
    """Each arm's difference in the primary measure and in AUROC, with its p."""
    others = [arm for arm in report["arms"] if not is_arm(arm, report["reference"])]
    heads = (
        "Arm",
        metric_title(report, report["primary_metric"]),
        "p",
        "p, Holm",
        "AUROC",
        "p, DeLong",
    )
    lines = []
    for arm in others:
        primary = arm["difference_to_reference"][report["primary_metric"]]
        lines.append(
            (
                escape(arm_name(report, arm)),
                points_cell(primary),
                probability(primary["p"]),
                probability(arm["p_holm"]) if "p_holm" in arm else "–",
                points_cell(arm["delong"]),
                probability(arm["delong"]["p"]),
            )
        )
    chosen = [is_arm(arm, report["candidate"]) for arm in others]
    return (
        "<h3>Tests against the reference</h3>"
        + table(heads, lines, style="tight", chosen=chosen)
        + note(
            "Differences in percentage points with 95 % interval. Minimal detectable effect "
            f"(80 % power, with the correction): {detectable(report)}. DeLong: slices clustered in "
            "patients, these trainings held fixed."
        )
    )


def by_patient(report: Report) -> str:
    """The same scores where a patient counts once; nothing where patients are unknown."""
    arms = [arm for arm in report["arms"] if "by_patient" in arm]
    if not arms:
        return ""
    names = list(arms[0]["by_patient"]["metrics"])
    lines = [
        (
            escape(arm_name(report, arm)),
            *(interval_cell(arm["by_patient"]["metrics"][name]) for name in names),
        )
        for arm in arms
    ]
    heads = ("Arm", *(metric_title(report, name) for name in names))
    rule = report["method"].get("by patient", "")
    chosen = [is_chosen(report, arm) for arm in arms]
    return note(f"{rule} The threshold is found anew on the validation patients.") + _wide(
        table(heads, lines, chosen=chosen)
    )


def exchange(report: Report) -> str:
    """TSTR and TRTS beside training and testing on real slices."""
    if len(report["exchange"]) < 2:
        return ""
    names = list(next(iter(report["exchange"].values()))["metrics"])
    lines = [
        (EXCHANGED[key], *(interval_cell(entry["metrics"][name]) for name in names))
        for key, entry in report["exchange"].items()
    ]
    heads = ("Trained on", *(metric_title(report, name) for name in names))
    return _wide(table(heads, lines)) + note(
        "TSTR falls short of real where the generator leaves out what tells the classes apart, "
        "TRTS where it draws what no real slice looks like; a generator that draws few different "
        "slices may still have a high TRTS."
    )


def _wide(inside: str) -> str:
    return f'<div class="wide">{inside}</div>'

"""The tests of the arms, the figures by patient, calibration, and train-on-one-test-on-other."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from medimg_gan.report.names import arm_name, interval_cell, is_arm, is_chosen, label, metric_title
from medimg_gan.report.plots import Reliability, reliability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Report = dict[str, Any]

EXCHANGED = {
    "trtr": "Real, tested on real",
    "tstr": "Synthetic, tested on real (TSTR)",
    "trts": "Real, tested on synthetic (TRTS)",
}


def comparisons(report: Report) -> str:
    """All of it, as HTML; what the study has no figures for is left out."""
    return _tests(report) + _by_patient(report) + _calibration(report) + _exchange(report)


def _tests(report: Report) -> str:
    heads = ("Arm", metric_title(report, report["primary_metric"]), "p", "p, Holm", "AUROC, DeLong")
    lines = []
    for arm in report["arms"]:
        if is_arm(arm, report["reference"]):
            continue
        primary = arm["difference_to_reference"][report["primary_metric"]]
        corrected = _p(arm["p_holm"]) if "p_holm" in arm else "–"
        lines.append(
            (
                escape(arm_name(report, arm)),
                _points(primary),
                _p(primary["p"]),
                corrected,
                f"{_points(arm['delong'])}<small>p {_p(arm['delong']['p'])}</small>",
            )
        )
    visible = 100 * report["smallest_visible_difference"]
    return (
        f"<h3>Tests against the reference</h3>{_table(heads, lines)}"
        '<p class="note">Differences in percentage points with 95 % interval. Minimal detectable '
        f"effect (80 % power, with the correction): {visible:.0f} points. DeLong: slices clustered "
        "in patients, these trainings held fixed.</p>"
    )


def _by_patient(report: Report) -> str:
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
    return (
        f'<h2>A patient counts once</h2><p class="note">{escape(rule)} The threshold is found anew '
        f'on the validation patients.</p><div class="wide">{_table(heads, lines)}</div>'
    )


def _calibration(report: Report) -> str:
    arms = [arm for arm in report["arms"] if is_chosen(report, arm)]
    series = [
        Reliability(
            arm_name(report, arm),
            arm["role"],
            [(point["probability"], point["share"]) for point in arm["calibration"]],
        )
        for arm in arms
    ]
    names = " and ".join(label(report, report[key]) for key in ("reference", "candidate"))
    return (
        f"<h2>Calibration</h2><figure>{reliability(series, report['minority'])}<figcaption>"
        f"{escape(names)}: share of true {escape(report['minority'])} among slices given about "
        "the same probability, all seeds together. Dashed: perfect.</figcaption></figure>"
    )


def _exchange(report: Report) -> str:
    if len(report["exchange"]) < 2:
        return ""
    names = list(next(iter(report["exchange"].values()))["metrics"])
    lines = [
        (EXCHANGED[key], *(interval_cell(entry["metrics"][name]) for name in names))
        for key, entry in report["exchange"].items()
    ]
    heads = ("Trained on", *(metric_title(report, name) for name in names))
    return (
        "<h2>Train on one kind, test on the other</h2>"
        f'<div class="wide">{_table(heads, lines)}</div>'
        '<p class="note">TSTR falls short of real where the generator leaves out what tells the '
        "classes apart, TRTS where it draws what no real slice looks like; a generator that draws "
        "few different slices may still have a high TRTS.</p>"
    )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table; cells are HTML already, headings are text."""
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><tr>{top}</tr>{rows}</table>"


def _points(values: Mapping[str, float]) -> str:
    mean, low, high = (round(100 * values[end], 1) + 0.0 for end in ("mean", "low", "high"))
    return f"{mean:+.1f}<small>{low:+.1f} to {high:+.1f}</small>"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "&lt; 0.001"

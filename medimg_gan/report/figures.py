"""The plots of a study, by name: for the page, and for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medimg_gan.report.names import arm_name, is_arm, is_chosen, label, mark, metric_title
from medimg_gan.report.plots import Curve, ForestRow, Panel, curves, forest
from medimg_gan.report.squares import Operating, Reliability, operating, reliability

if TYPE_CHECKING:
    Report = dict[str, Any]

PLOTTED = ("minority_sensitivity", "balanced_accuracy", "auroc", "auprc")
CURVED = ("minority_sensitivity", "auroc")
ABOUT_CURVES = (
    "Mean over seeds at each place; band: pointwise 95 % interval over patients and seeds. Dashed: "
    "the specificity asked for on validation. Dotted: guessing."
)


def all_plots(report: Report) -> dict[str, list[str]]:
    """Every plot as SVG; an empty list where the study has no such figures."""
    return {
        "scores": _scores(report),
        "differences": _differences(report),
        "ratios": _ratios(report),
        "curves": _operating(report),
        "calibration": _calibration(report),
    }


def _scores(report: Report) -> list[str]:
    reference = next(arm for arm in report["arms"] if is_arm(arm, report["reference"]))
    panels = [
        Panel(metric_title(report, name), reference["metrics"][name]["mean"]) for name in PLOTTED
    ]
    rows = [
        ForestRow(
            arm_name(report, arm),
            arm["role"],
            [mark(arm["metrics"][name]) for name in PLOTTED],
            is_chosen(report, arm),
            arm["name"],
        )
        for arm in report["arms"]
    ]
    return forest(panels, rows, "Forest plot of the arms' scores")


def _differences(report: Report) -> list[str]:
    panels = [Panel(metric_title(report, name), 0.0, bounded=False) for name in PLOTTED]
    rows = [
        ForestRow(
            arm_name(report, arm),
            arm["role"],
            [mark(arm["difference_to_reference"][name]) for name in PLOTTED],
            is_arm(arm, report["candidate"]),
            arm["name"],
        )
        for arm in report["arms"]
        if not is_arm(arm, report["reference"])
    ]
    return forest(panels, rows, "Forest plot of the arms' differences to the reference")


def _ratios(report: Report) -> list[str]:
    """Curves for the arms that stand at several ratios; nothing if there is none."""
    swept: dict[str, list[Any]] = {}
    for arm in report["arms"]:
        swept.setdefault(arm["name"], []).append(arm)
    swept = {name: arms for name, arms in swept.items() if len(arms) > 1}
    if not swept:
        return []
    plain = next((arm for arm in report["arms"] if arm["name"] == "real"), None)
    still = plain or next(arm for arm in report["arms"] if is_arm(arm, report["reference"]))
    plots = []
    for metric in CURVED:
        series = []
        for arms in swept.values():
            ordered = sorted(arms, key=lambda arm: arm["ratio"])
            series.append(
                Curve(
                    ordered[0]["title"],
                    ordered[0]["role"],
                    [arm["ratio"] for arm in ordered],
                    [mark(arm["metrics"][metric]) for arm in ordered],
                )
            )
        rule = still["metrics"][metric]["mean"]
        plots.append(
            curves(metric_title(report, metric), series, rule=rule, rule_name=still["title"])
        )
    return plots


def _operating(report: Report) -> list[str]:
    drawn = sorted(
        (arm for arm in report["arms"] if "roc" in arm), key=lambda arm: is_chosen(report, arm)
    )  # the arms of the verdict lie above the other
    series = [
        Operating(arm_name(report, arm), _style(report, arm), arm["roc"], arm["pr"])
        for arm in drawn
    ]
    test = report["counts"]["test"]
    share = test["slices"][report["minority"]] / test["all_slices"]
    specificity = report["operating_point"]["specificity"]
    return [operating(series, specificity=specificity, share=share)] if series else []


def _style(report: Report, arm: dict[str, Any]) -> str:
    return arm["role"] if is_chosen(report, arm) else "probe dash1"


def _calibration(report: Report) -> list[str]:
    series = [
        Reliability(
            label(report, arm),
            arm["role"],
            [(point["probability"], point["share"]) for point in arm["calibration"]],
        )
        for arm in report["arms"]
        if is_chosen(report, arm)
    ]
    return [reliability(series, report["minority"])]

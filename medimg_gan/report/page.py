"""The page: every fragment is built from the plain report, and every text is escaped."""

from __future__ import annotations

import json
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from medimg_gan.report.comparisons import comparisons
from medimg_gan.report.names import (
    arm_name,
    interval_cell,
    is_arm,
    is_chosen,
    label,
    mark,
    metric_title,
)
from medimg_gan.report.pictures import strip
from medimg_gan.report.plots import Curve, ForestRow, Panel, curves, forest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medimg_gan.types import FloatArray

    Report = dict[str, Any]

PLOTTED = ("minority_sensitivity", "balanced_accuracy", "auroc", "auprc")
CURVED = ("minority_sensitivity", "auroc")
SPLIT_TITLES = {"train": "Training", "val": "Validation", "test": "Test"}
OUTCOME_CLASSES = {"helped": "helped", "hurt": "hurt"}


def render(report: Report, pictures: Mapping[str, FloatArray], template: str) -> str:
    """The whole page.

    Args:
        report: Follows ``report_schema.json``.
        pictures: Title of a strip -> (n, 1, H, W) slices in [-1, 1].
        template: A :class:`string.Template` of the page.
    """
    opening, _, figures = report["verdict"].partition(": ")
    test = report["counts"]["test"]
    reference = label(report, report["reference"])
    return Template(template).substitute(
        title=escape(f"Do synthetic slices help to find {report['minority']}?"),
        subtitle=escape(
            f"A classifier of {', '.join(report['classes'])}, tested on {test['all_slices']} real "
            f"slices that nothing was trained or chosen on."
        ),
        outcome_class=OUTCOME_CLASSES.get(report["outcome"], ""),
        opening=escape(f"{opening}."),
        figures=escape(figures[:1].upper() + figures[1:]),
        caveats=_caveats(report),
        table_note=escape(
            f"Mean over {report['arms'][0]['seeds']} seeds on the real test split, with 95 % "
            f"interval. Highlighted: the reference ({reference}) and the arm that the verdict is "
            f"about ({label(report, report['candidate'])}), both chosen on validation."
        ),
        table=_table(report),
        forest=_scores(report),
        forest_note=escape(f"Dot: mean. Bar: 95 % interval. Dashed: the reference, {reference}."),
        comparisons=comparisons(report),
        differences=_differences(report),
        differences_note=escape(
            f"Each arm minus the reference ({reference}), on the same draws of patients and seeds. "
            "Intervals and p are for each arm alone; the verdict corrects for the number "
            "of synthetic arms and ratios (Holm)."
        ),
        ratios=_ratios(report),
        pictures=_pictures(pictures),
        copies=_copies(report["copy_check"]),
        counts=_counts(report),
        method=_method(report),
        repeat=_repeat(report),
    )


def _caveats(report: Report) -> str:
    if not report["caveats"]:
        return ""
    items = "".join(f"<li>{escape(caveat)}</li>" for caveat in report["caveats"])
    return f"<h2>Keep in mind</h2><ul>{items}</ul>"


def _table(report: Report) -> str:
    names = list(report["arms"][0]["metrics"])
    heads = "".join(f"<th>{escape(metric_title(report, name))}</th>" for name in names)
    lines = [f"<tr><th>Arm</th><th>Ratio</th><th>Added slices</th>{heads}</tr>"]
    for arm in report["arms"]:
        tag = "reference" if is_arm(arm, report["reference"]) else ""
        tag = "in the verdict" if is_arm(arm, report["candidate"]) else tag
        first = (
            f'<span class="mark {escape(arm["role"])}"></span>{escape(arm["title"])}'
            f'<small class="tag">{tag}</small>'
        )
        cells = "".join(f"<td>{interval_cell(arm['metrics'][name])}</td>" for name in names)
        style = ' class="chosen"' if is_chosen(report, arm) else ""
        lines.append(
            f"<tr{style}><td>{first}</td><td>{arm['ratio']:g}</td><td>{arm['added']}</td>{cells}</tr>"
        )
    return f"<table>{''.join(lines)}</table>"


def _scores(report: Report) -> str:
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
        )
        for arm in report["arms"]
    ]
    return forest(panels, rows)


def _differences(report: Report) -> str:
    panels = [Panel(metric_title(report, name), 0.0, bounded=False) for name in PLOTTED]
    rows = [
        ForestRow(
            arm_name(report, arm),
            arm["role"],
            [mark(arm["difference_to_reference"][name]) for name in PLOTTED],
            is_arm(arm, report["candidate"]),
        )
        for arm in report["arms"]
        if not is_arm(arm, report["reference"])
    ]
    return forest(panels, rows)


def _ratios(report: Report) -> str:
    """Curves for the arms that stand at several ratios; nothing if there is none."""
    swept: dict[str, list[Any]] = {}
    for arm in report["arms"]:
        swept.setdefault(arm["name"], []).append(arm)
    swept = {name: arms for name, arms in swept.items() if len(arms) > 1}
    if not swept:
        return ""
    plain = next((arm for arm in report["arms"] if arm["name"] == "real"), None)
    still = plain or next(arm for arm in report["arms"] if is_arm(arm, report["reference"]))
    figures = []
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
        figures.append(
            curves(metric_title(report, metric), series, rule=rule, rule_name=still["title"])
        )
    return f"<h2>How many?</h2><figure>{'</figure><figure>'.join(figures)}</figure>"


def _pictures(pictures: Mapping[str, FloatArray]) -> str:
    return "".join(
        f'<div class="strip"><b>{escape(title)}</b>'
        f'<img alt="{escape(title, quote=True)}" src="{strip(images)}"></div>'
        for title, images in pictures.items()
    )


def _copies(copies: Mapping[str, float]) -> str:
    medians = (
        ("Synthetic slices", copies["synthetic"]),
        ("Real slices of other patients (control)", copies["held_out"]),
    )
    lines = "".join(f"<tr><td>{title}</td><td>{median:.3f}</td></tr>" for title, median in medians)
    return (
        '<table class="narrow"><tr><th>Distance to the nearest training slice</th>'
        f"<th>Median</th></tr>{lines}</table>"
        f"<p>{100 * copies['too_close']:.0f} % of the synthetic slices are nearer to a training "
        f"slice than {copies['limit']:.3f}; of the real slices of other patients, 5 % are.</p>"
        '<p class="note">Root-mean-square pixel distance of slices in [-1, 1], to the minority '
        "slices of the training split. A blurred slice is nearer to everything, so a small "
        "distance is a reason to look, not a proof.</p>"
    )


def _counts(report: Report) -> str:
    classes, known = report["classes"], report["patients_known"]
    heads = "".join(
        f"<th>{escape(name)}{' (minority)' if name == report['minority'] else ''}</th>"
        for name in classes
    )
    lines = [f"<tr><th>Split</th>{heads}<th>All</th></tr>"]
    for split, count in report["counts"].items():
        numbers = [(count["slices"][name], count["patients"][name]) for name in classes]
        numbers.append((count["all_slices"], count["all_patients"]))
        cells = "".join(_count(slices, patients, known) for slices, patients in numbers)
        lines.append(f"<tr><td>{SPLIT_TITLES.get(split, escape(split))}</td>{cells}</tr>")
    unknown = "" if known else '<p class="note">Patients are unknown; every slice stands alone.</p>'
    return f"<table>{''.join(lines)}</table>{unknown}"


def _count(slices: int, patients: int, known: bool) -> str:
    small = f"<small>{patients} patient{'' if patients == 1 else 's'}</small>" if known else ""
    return f"<td>{slices}{small}</td>"


def _method(report: Report) -> str:
    method = report["method"]
    design = {key.capitalize(): text for key, text in method.items() if key != "metrics"}
    arms = {arm["title"]: arm.get("about", "") for arm in report["arms"]}
    scores = {score["title"]: score["about"] for score in method.get("metrics", {}).values()}
    return "".join(
        f"<h3>{title}</h3>{_glossary(entries)}"
        for title, entries in (("Design", design), ("Arms", arms), ("Measures", scores))
        if entries
    )


def _glossary(entries: Mapping[str, str]) -> str:
    items = (f"<li><b>{escape(key)}:</b> {escape(text)}</li>" for key, text in entries.items())
    return f"<ul>{''.join(items)}</ul>"


def _repeat(report: Report) -> str:
    parts = []
    if report.get("command"):
        parts.append(f"<pre>{escape(report['command'])}</pre>")
    if report.get("synthetic_source"):
        parts.append(f"<p>Synthetic slices: {escape(report['synthetic_source'])}</p>")
    for title in ("config", "environment"):
        text = json.dumps(report[title], indent=2)
        parts.append(f'<h3>{title.capitalize()}</h3><pre class="columns">{escape(text)}</pre>')
    return "".join(parts)

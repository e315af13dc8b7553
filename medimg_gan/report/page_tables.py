"""The tables of a study's Markdown page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medimg_gan.report.arms import EXCHANGED
from medimg_gan.report.markdown import bold, plain, table
from medimg_gan.report.names import (
    arm_name,
    detectable,
    folds_differ,
    in_points,
    is_arm,
    is_chosen,
    label,
    metric_title,
)
from medimg_gan.report.provenance import OUTCOMES, SPLIT_TITLES
from medimg_gan.report.samples import DIRECTIONS

Report = dict[str, Any]

BESIDE = ("balanced_accuracy", "auroc", "auprc")
"""Measures shown beside the primary one; all, with intervals, are in report.json."""

FOLDS_DIFFER = (
    " Folds chose differently: bold is what most chose. The verdict is about what each fold chose "
    "for itself, and differences are to each fold's own reference."
)


def arms(report: Report) -> list[str]:
    """Every arm and ratio; reference and candidate in bold."""
    primary, specificity = report["primary_metric"], report["operating_point"]["specificity"]
    heads = [
        "Arm",
        "Added",
        f"{metric_title(report, primary)} at {100 * specificity:g} % specificity",
        "Difference in points",
        "p, Holm",
        *(metric_title(report, name) for name in BESIDE),
    ]
    lines = []
    for arm in report["arms"]:
        difference = "reference"
        if not is_arm(arm, report["reference"]) or folds_differ(report["reference"]):
            mean, interval = in_points(arm["difference_to_reference"][primary])
            difference = f"{mean} ({interval})"
        cells = [
            plain(arm_name(report, arm)),
            str(arm["added"]),
            _interval(arm["metrics"][primary]),
            difference,
            _probability(arm["p_holm"]) if "p_holm" in arm else "–",
            *(f"{arm['metrics'][name]['mean']:.3f}" for name in BESIDE),
        ]
        lines.append([bold(cell) for cell in cells] if is_chosen(report, arm) else cells)
    reference, candidate = (plain(label(report, report[key])) for key in ("reference", "candidate"))
    test = report["counts"]["test"]
    differing = folds_differ(report["reference"]) or folds_differ(report["candidate"])
    return [
        table([plain(head) for head in heads], lines),
        f"On {test['all_slices']} real test slices, with 95 % intervals. Bold: the reference "
        f"({reference}) and the arm that the verdict is about ({candidate}), both chosen on "
        "validation. Added: synthetic, or repeated or mixed real slices. Minimal detectable "
        f"effect: {detectable(report)} (80 % power)." + (FOLDS_DIFFER if differing else ""),
    ]


def filters(report: Report) -> list[str]:
    """What each filter threw away; nothing without filters."""
    found = report.get("filters")
    if not found:
        return []
    lines = [
        (
            plain(stage["title"].capitalize()),
            plain(stage["limit"]),
            str(stage["asked"]),
            str(stage["dropped"]),
            str(stage["kept"]),
        )
        for stage in found["stages"]
    ]
    return [
        f"{found['made']} synthetic slices were made, {found['kept']} different ones used, as many "
        "as needed at most. All filters are fitted on training slices alone.",
        table(("Filter", "Limit", "Asked about", "Thrown away", "Kept"), lines),
    ]


def fidelity(report: Report) -> list[str]:
    """Figures of fidelity and diversity, each beside its floor."""
    found = report.get("fidelity")
    if not found or not found["figures"]:
        return []
    groups: dict[str, dict[str, Any]] = {}
    for figure in found["figures"]:
        groups.setdefault(figure["group"], {})[figure["name"]] = figure
    heads = ["Figure"]
    for group, figures in groups.items():
        images = next(iter(figures.values()))["images"]
        heads += [f"{plain(group)}, {images} slices", "real (floor)"]
    named = {figure["name"]: figure for figure in found["figures"]}
    lines = []
    for name, figure in named.items():
        cells = [f"{plain(figure['title'])}, {DIRECTIONS[figure['higher_is_better']]}"]
        for figures in groups.values():
            one = figures.get(name)
            cells += [f"{one['synthetic']:.3g}", f"{one['real']:.3g}"] if one else ["–", "–"]
        lines.append(cells)
    return [
        table(heads, lines),
        f"Features: {plain(found['features'])}. Synthetic slices, and as many real training slices "
        "(the floor), against as many real test slices.",
    ]


def exchange(report: Report) -> list[str]:
    """TSTR and TRTS beside real; nothing where neither was trained."""
    found = report["exchange"]
    if len(found) < 2:
        return []
    measures = (report["primary_metric"], *BESIDE)
    lines = [
        [plain(EXCHANGED[key]), *(_interval(entry["metrics"][name]) for name in measures)]
        for key, entry in found.items()
    ]
    heads = ["Trained on", *(plain(metric_title(report, name)) for name in measures)]
    return [table(heads, lines)]


def leakage(report: Report) -> list[str]:
    """What was checked for slices or patients that stand in two splits."""
    lines = [
        (
            plain(f"{check['check'].capitalize()}: {check['what']}"),
            str(check["looked_at"]),
            str(check["found"]),
            OUTCOMES[check["outcome"]],
        )
        for check in report.get("leakage", [])
    ]
    return [table(("Checked", "Looked at", "Found", "Outcome"), lines)] if lines else []


def counts(report: Report) -> list[str]:
    """Slices, and patients in brackets, of every split and class."""
    classes, known = report["classes"], report["patients_known"]
    heads = [
        "Split",
        *(plain(name) + (" (minority)" if name == report["minority"] else "") for name in classes),
        "All",
    ]
    lines = []
    for split, count in report["counts"].items():
        numbers = [(count["slices"][name], count["patients"][name]) for name in classes]
        numbers.append((count["all_slices"], count["all_patients"]))
        cells = [f"{slices} ({patients})" if known else str(slices) for slices, patients in numbers]
        lines.append([SPLIT_TITLES.get(split, plain(split)), *cells])
    about = "Slices (patients)." if known else "Slices; patients are unknown."
    if report.get("folds", 1) > 1:
        about += f" {report['folds']} folds: test counts are sums, the others a fold's mean."
    return [table(heads, lines), about]


def _interval(values: Mapping[str, float]) -> str:
    return f"{values['mean']:.3f} ({values['low']:.3f}–{values['high']:.3f})"


def _probability(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"

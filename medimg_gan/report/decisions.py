"""What the classifiers of the verdict's two arms decide: confusion, and which patients change."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from medimg_gan.report.names import is_arm, label
from medimg_gan.report.tags import note, table

if TYPE_CHECKING:
    Report = dict[str, Any]

MOST_PATIENTS = 12
"""Lines of a table of changed patients; the rest is counted, and stands in ``report.json``."""
DARKEST = 0.45
"""Opacity of a confusion cell that holds its whole row."""


def confusion(report: Report) -> str:
    """Matrices of reference and candidate: at the operating point, and by most probable class."""
    chosen = [
        (title, next(arm for arm in report["arms"] if is_arm(arm, report[key])))
        for title, key in (("Reference", "reference"), ("In the verdict", "candidate"))
    ]
    if not all("confusion" in arm for _, arm in chosen):
        return ""
    minority, classes = report["minority"], report["classes"]
    specificity = 100 * report["operating_point"]["specificity"]
    groups = {
        f"At the operating point ({specificity:g} % specificity on validation)": (
            "confusion_at_threshold",
            [f"not {minority}", minority],
        )
    }
    if len(classes) > 2:
        groups["By the most probable class"] = ("confusion", classes)
    parts = []
    for heading, (key, names) in groups.items():
        matrices = "".join(
            f"<div><b>{escape(title)}: {escape(label(report, arm))}</b>"
            f"{_matrix(arm[key], names)}</div>"
            for title, arm in chosen
        )
        parts.append(f'<h3>{escape(heading)}</h3><div class="pair">{matrices}</div>')
    return "".join(parts) + note(
        "Test slices by true class (rows) and what they were called (columns): mean over seeds, "
        "and share of the row."
    )


def _matrix(counts: Sequence[Sequence[float]], names: Sequence[str]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(_cell(count, sum(row)) for count in row)}</tr>"
        for name, row in zip(names, counts, strict=True)
    )
    return (
        f'<table class="matrix"><thead><tr><th>truly</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _cell(count: float, whole: float) -> str:
    share = count / whole if whole else 0.0
    shade = f"background: rgba(91, 102, 117, {DARKEST * share:.3f})"
    return f'<td style="{shade}">{count:.1f}<small>{100 * share:.0f} %</small></td>'


def changed_patients(report: Report) -> str:
    """Whose slices are found more or less often, and who gets more or fewer false alarms."""
    changes = report.get("changed_patients", [])
    if not changes:
        return ""
    minority = report["minority"]
    parts = []
    for about, heading in (
        (True, f"{minority} slices that are found"),
        (False, f"Other slices that are called {minority} (false alarms)"),
    ):
        some = [entry for entry in changes if entry["minority"] == about]
        if some:
            parts.append(f"<div><h3>{escape(heading)}</h3>{_changes(some, better_up=about)}</div>")
    reference, candidate = (label(report, report[key]) for key in ("reference", "candidate"))
    return f'<div class="pair">{"".join(parts)}</div>' + note(
        f"Share of a patient's slices over all seeds, without synthetic slices ({reference}) and "
        f"with them ({candidate}). Patients are numbered in an order that says nothing of them; "
        "all are in report.json."
    )


def _changes(entries: Sequence[dict[str, Any]], *, better_up: bool) -> str:
    rises = sum(entry["candidate"] > entry["reference"] for entry in entries)
    better, worse = (rises, len(entries) - rises) if better_up else (len(entries) - rises, rises)
    lines = [
        (
            escape(entry["patient"]),
            str(entry["slices"]),
            f"{100 * entry['reference']:.0f} %",
            f"{100 * entry['candidate']:.0f} %",
            f"{100 * (entry['candidate'] - entry['reference']):+.0f}",
        )
        for entry in entries[:MOST_PATIENTS]
    ]
    heads = ("", "Slices", "Without", "With", "Points")
    rest = len(entries) - len(lines)
    more = f"; {rest} smaller changes are not listed" if rest else ""
    return table(heads, lines) + note(f"Better: {better}, worse: {worse}{more}.")

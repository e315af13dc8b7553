"""Several studies beside each other: their verdicts, and one forest plot of their differences."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan.report import report_schema
from medimg_gan.report.figures import PLOTTED
from medimg_gan.report.names import (
    detectable,
    interval_cell,
    is_arm,
    label,
    mark,
    metric_title,
    points_cell,
    probability,
)
from medimg_gan.report.plots import ForestRow, Panel, forest
from medimg_gan.report.svg import COLOURS
from medimg_gan.report.tags import Section, bullets, figures, note, page, table

if TYPE_CHECKING:
    from collections.abc import Mapping

    Report = dict[str, Any]

TEMPLATE = Path(__file__).parent.parent / "report_template.html"
DISTANCES = ("frechet", "kid", "coverage")
"""Figures of fidelity that are shown, of the minority class."""


def schema_version() -> int:
    """The version of ``report.json`` that this program reads."""
    return report_schema()["properties"]["schema_version"]["const"]


def differing(reports: Mapping[str, Report]) -> list[str]:
    """Why figures of different studies may not be held against each other; a sentence each."""
    facts = {
        "rare classes": lambda report: report["minority"],
        "primary measures": lambda report: report["primary_metric"],
        "specificities": lambda report: report["operating_point"]["specificity"],
        "classes": lambda report: ", ".join(report["classes"]),
        "features of fidelity": lambda report: report["fidelity"]["features"],
    }
    said = []
    for what, fact in facts.items():
        found = {name: fact(report) for name, report in reports.items()}
        if len(set(found.values())) > 1:
            listed = "; ".join(f"{name}: {value}" for name, value in found.items())
            said.append(f"Not comparable, as the {what} differ ({listed}).")
    counts = [report["counts"]["test"] for report in reports.values()]
    if any(count != counts[0] for count in counts):
        said.append(
            "The test splits differ in size, so differences between studies are partly those of "
            "their patients; within a study, arms are compared on equal patients."
        )
    return said


def lines_of(reports: Mapping[str, Report]) -> list[dict[str, Any]]:
    """One flat line for each study, for a table of numbers."""
    lines = []
    for name, report in reports.items():
        primary = report["primary_metric"]
        test, train = report["counts"]["test"], report["counts"]["train"]
        minority, difference = report["minority"], report["difference"][primary]
        fidelity = {
            f"{figure['name']}_{kind}": figure[kind]
            for figure in _of_minority(report)
            for kind in ("synthetic", "real")
        }
        lines.append(
            {
                "study": name,
                "outcome": report["outcome"],
                "minority": minority,
                "primary_metric": primary,
                "specificity": report["operating_point"]["specificity"],
                "train_minority_slices": train["slices"][minority],
                "train_minority_patients": train["patients"][minority],
                "test_slices": test["all_slices"],
                "test_minority_patients": test["patients"][minority],
                "seeds": report["arms"][0]["seeds"],
                "reference": label(report, report["reference"]),
                "candidate": label(report, report["candidate"]),
                "reference_score": _score(report, "reference")["mean"],
                "candidate_score": _score(report, "candidate")["mean"],
                **{f"difference_{end}": difference[end] for end in ("mean", "low", "high")},
                "p_holm": report["p_holm"],
                "smallest_visible_difference": report["smallest_visible_difference"],
                **fidelity,
            }
        )
    return lines


def render_studies(reports: Mapping[str, Report]) -> str:
    """The whole page.

    Args:
        reports: Name of a study -> its report, of the version of the schema.
    """
    outcomes = [report["outcome"] for report in reports.values()]
    counted = ", ".join(f"{outcomes.count(one)} {one}" for one in dict.fromkeys(outcomes))
    cautions = differing(reports)
    verdicts = "".join(
        f"<li><b>{escape(name)}:</b> {escape(report['verdict'])}</li>"
        for name, report in reports.items()
    )
    return page(
        TEMPLATE.read_text(encoding="utf-8"),
        COLOURS,
        [
            Section("cautions", "Keep in mind", bullets(cautions)),
            Section("verdicts", "Verdicts", f"<ul>{verdicts}</ul>"),
            Section("studies", "Studies", _studies(reports)),
            Section("differences", "What synthetic slices changed", _forest(reports)),
            Section("fidelity", "How real the slices of the minority are", _fidelity(reports)),
        ],
        title=f"{len(reports)} studies of synthetic slices",
        subtitle=f"Outcomes: {counted}.",
        lead="",
    )


def _studies(reports: Mapping[str, Report]) -> str:
    lines = []
    for name, report in reports.items():
        minority, primary = report["minority"], report["primary_metric"]
        test, train = report["counts"]["test"], report["counts"]["train"]
        reference, candidate = (label(report, report[key]) for key in ("reference", "candidate"))
        lines.append(
            (
                f"{escape(name)}<small>{escape(minority)}, {escape(report['outcome'])}</small>",
                _size(train, minority),
                _size(test, minority),
                f"{interval_cell(_score(report, 'reference'))}<small>{escape(reference)}</small>",
                f"{interval_cell(_score(report, 'candidate'))}<small>{escape(candidate)}</small>",
                points_cell(report["difference"][primary]),
                probability(report["p_holm"]),
                detectable(report),
            )
        )
    heads = (
        "Study", "Training, minority", "Test, minority", "Without", "With", "Points", "p, Holm",
        "Detectable",
    )  # fmt: skip
    return table(heads, lines) + note(
        "Without and with synthetic slices: the primary measure on test of the arms that "
        "validation chose. Points: their difference in percentage points with 95 % interval. "
        "Detectable: the difference that the study would have claimed 8 times in 10."
    )


def _size(count: Mapping[str, Any], minority: str) -> str:
    return f"{count['slices'][minority]}<small>{count['patients'][minority]} patients</small>"


def _score(report: Report, key: str) -> dict[str, float]:
    arm = next(arm for arm in report["arms"] if is_arm(arm, report[key]))
    return arm["metrics"][report["primary_metric"]]


def _forest(reports: Mapping[str, Report]) -> str:
    titles = next(iter(reports.values()))
    panels = [Panel(metric_title(titles, name), 0.0, bounded=False) for name in PLOTTED]
    rows = [
        ForestRow(
            name,
            "synthetic",
            [mark(report["difference"][metric]) for metric in PLOTTED],
            report["outcome"] in ("helped", "hurt"),
        )
        for name, report in reports.items()
    ]
    return figures(
        forest(panels, rows, "Forest plot of the studies' differences"),
        "Candidate minus reference of each study, with 95 % interval. Bold: a study that claims "
        "help or harm after its own correction; nothing is corrected for the number of studies.",
    )


def _fidelity(reports: Mapping[str, Report]) -> str:
    lines = []
    for name, report in reports.items():
        found = {figure["name"]: figure for figure in _of_minority(report)}
        cells = [
            f"{found[key]['synthetic']:.3g}<small>real: {found[key]['real']:.3g}</small>"
            if key in found
            else "–"
            for key in DISTANCES
        ]
        features = report["fidelity"]["features"]
        lines.append((f"{escape(name)}<small>{escape(features)}</small>", *cells))
    heads = ("Study", "Fréchet distance", "Kernel distance", "Coverage")
    return table(heads, lines) + note(
        "Distances: lower is better; coverage: higher is better. Real: training slices in place "
        "of synthetic ones, at the same count. Counts differ between studies, and these figures "
        "depend on them: read each beside its own real figure."
    )


def _of_minority(report: Report) -> list[dict[str, Any]]:
    return [
        figure for figure in report["fidelity"]["figures"] if figure["group"] == report["minority"]
    ]

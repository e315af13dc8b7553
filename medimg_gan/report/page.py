"""The page: every fragment is built from the plain report, and every text is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from medimg_gan.report import arms, decisions, provenance, samples
from medimg_gan.report.figures import ABOUT_CURVES, all_plots
from medimg_gan.report.names import label, reasons_title
from medimg_gan.report.svg import COLOURS
from medimg_gan.report.tags import Section, bullets, figures, note, page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medimg_gan.types import FloatArray

    Report = dict[str, Any]

OUTCOME_CLASSES = {"helped": "helped", "hurt": "hurt"}


def render(report: Report, pictures: Mapping[str, FloatArray], template: str) -> str:
    """The whole page.

    Args:
        report: Follows ``report_schema.json``.
        pictures: Title of a grid -> (n, 1, H, W) slices in [-1, 1].
        template: A :class:`string.Template` of the page.
    """
    test = report["counts"]["test"]
    return page(
        template,
        COLOURS,
        _sections(report, pictures),
        title=f"Do synthetic slices help to find {report['minority']}?",
        subtitle=f"A classifier of {', '.join(report['classes'])}, tested on {test['all_slices']} "
        "real slices that nothing was trained or chosen on.",
        lead=_verdict(report) + _reasons(report),
    )


def _verdict(report: Report) -> str:
    opening, _, sentence = report["verdict"].partition(": ")
    style = f"verdict {OUTCOME_CLASSES.get(report['outcome'], '')}".rstrip()
    return (
        f'<div class="{style}"><p><strong>{escape(f"{opening}.")}</strong>'
        f"{escape(sentence[:1].upper() + sentence[1:])}</p></div>"
    )


def _reasons(report: Report) -> str:
    """Nothing where no figure names one, or in reports of earlier versions."""
    if not report.get("reasons"):
        return ""
    return f"<h3>{reasons_title(report)}</h3>{bullets(report['reasons'])}"


def _sections(report: Report, pictures: Mapping[str, FloatArray]) -> list[Section]:
    reference, candidate = (label(report, report[key]) for key in ("reference", "candidate"))
    plots = all_plots(report)
    grids, thrown = samples.parted(pictures)
    return [
        Section("caveats", "Keep in mind", provenance.caveats(report)),
        Section("arms", "Arms", arms.scores(report)),
        Section(
            "scores",
            "Scores on the test split",
            figures(
                plots["scores"],
                f"Mark: mean (square: with synthetic slices). Bar: 95 % interval. Dashed: the "
                f"reference, {reference}.",
            ),
        ),
        Section(
            "differences",
            "Difference to the reference",
            figures(
                plots["differences"],
                f"Each arm minus the reference ({reference}), on the same draws of patients and "
                "seeds. Intervals and p are for each arm alone; the verdict corrects for the "
                "number of synthetic arms and ratios (Holm).",
            )
            + arms.tests(report),
        ),
        Section("ratios", "How many?", figures(plots["ratios"])),
        Section(
            "curves",
            "ROC and precision-recall",
            figures(plots["curves"], ABOUT_CURVES),
        ),
        Section("confusion", "Confusion", decisions.confusion(report)),
        Section("changes", "Which test patients change", decisions.changed_patients(report)),
        Section("patients", "A patient counts once", arms.by_patient(report)),
        Section(
            "calibration",
            "Calibration",
            figures(
                plots["calibration"],
                f"{reference} and {candidate}: share of true {report['minority']} among slices "
                "given about the same probability, all seeds together. Dashed: perfect.",
            ),
        ),
        Section("exchange", "Train on one kind, test on the other", arms.exchange(report)),
        Section("slices", "Slices", _slices(grids)),
        Section("filters", "What was thrown away", samples.filters(report, thrown)),
        Section("fidelity", "How real, how various?", samples.fidelity(report)),
        Section("copies", "Does it copy?", samples.copies(report["copy_check"])),
        Section("data", "Data", provenance.counts(report)),
        Section("leakage", "Leakage", provenance.leakage(report)),
        Section("method", "How it was done", provenance.method(report)),
        Section("repeat", "To repeat it", provenance.repeat(report)),
    ]


def _slices(grids: Mapping[str, FloatArray]) -> str:
    if not grids:
        return ""
    return note(
        "Not chosen by anybody. Places of the last two grids belong together: where a synthetic "
        "slice stands above, the training slice with the smallest pixel distance to it stands "
        "below."
    ) + samples.pictures(grids)

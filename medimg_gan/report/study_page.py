"""A study as one page of Markdown with pictures beside it: for a repository, a thesis, a wiki.

Plots are those of ``report.html``, drawn from ``report.json``; slices are the very pictures that
``report.html`` holds, so nothing is kept twice and a page can be written of any finished study.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from medimg_gan.files import new_file
from medimg_gan.report import page_tables as tables
from medimg_gan.report.figures import ABOUT_CURVES, all_plots
from medimg_gan.report.markdown import bold, bullets, code, picture, plain
from medimg_gan.report.names import folds_differ, label, reasons_title
from medimg_gan.report.raster import as_pixels
from medimg_gan.report.samples import parted

Report = dict[str, Any]
Picture = tuple[str, str]
"""A title (text), and the picture (Markdown)."""
Drawn = Mapping[str, Sequence[Picture]]
"""By kind."""

TITLE = "# Do synthetic slices help to find"
"""What every page begins with."""
DOTS = 2.2
"""Pixels per unit of a plot: over 300 to the inch across a page of a paper (18 cm)."""
PLOTS = {
    "differences": "Differences to the reference",
    "ratios": "Scores against the ratio",
    "curves": "ROC and precision-recall",
}
"""Plots that the page shows, of all_plots, with words for those who cannot see them."""
SLICES, THROWN = "slices", "thrown-away"
OURS = re.compile(rf"({'|'.join((*PLOTS, SLICES, THROWN))})-\d+\.png")
"""Names of the pictures beside a page; what else lies there is not touched."""
SOURCE = re.compile(r" in .*?, weights (?=[0-9a-f]{12}(?:;|$))")
"""Where a generator lies, which is nobody's business."""


def write_study_page(
    path: Path, report: Report, shown: Mapping[str, bytes], command: str, date: str
) -> list[Path]:
    """Write the page, and its pictures into the folder of its name beside it.

    Args:
        path: NAME.md; pictures go to NAME/.
        report: Follows ``report_schema.json``, ``reasons`` included.
        shown: Title of a grid -> its PNG, as :func:`medimg_gan.report.pictures.shown_in` gives.
        command: What made the study, without the user's paths.
        date: Of the study.

    Returns:
        The pictures.

    Raises:
        DataError: If the disk refuses.
    """
    folder = path.with_suffix("")
    pictures: dict[str, list[Picture]] = {}
    written: list[Path] = []
    for kind, name, title, png in _pictures(report, shown):
        with new_file(folder / name) as aside:
            aside.write_bytes(png)
        pictures.setdefault(kind, []).append((title, picture(title, folder.name, name)))
        written.append(folder / name)
    with new_file(path) as aside:
        aside.write_text(_page(report, pictures, command, date), encoding="utf-8")
    for old in folder.glob("*.png"):
        if OURS.fullmatch(old.name) and old not in written:
            old.unlink()  # of an earlier page
    return written


def _pictures(report: Report, shown: Mapping[str, bytes]) -> Iterator[tuple[str, str, str, bytes]]:
    """Kind, name of the file, title (text) and PNG of every picture of the page."""
    plots = all_plots(report)
    titled = {
        kind: [(title, _drawn(plot)) for plot in plots[kind]] for kind, title in PLOTS.items()
    }
    samples, thrown = parted(shown)
    for kind, some in {**titled, SLICES: samples.items(), THROWN: thrown.items()}.items():
        for number, (title, png) in enumerate(some, start=1):
            yield kind, f"{kind}-{number}.png", title, png


def _drawn(plot: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(as_pixels(plot, DOTS)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _page(report: Report, drawn: Drawn, command: str, date: str) -> str:
    chapters = {
        "Arms": [*tables.arms(report), *_plots(drawn, "differences", _about_differences(report))],
        "How many?": _plots(drawn, "ratios"),
        "ROC and precision-recall": _plots(drawn, "curves", ABOUT_CURVES),
        "What was thrown away": [*tables.filters(report), *_grids(drawn, THROWN)],
        "Slices": _grids(drawn, SLICES),
        "How real, how various?": tables.fidelity(report),
        "Train on one kind, test on the other": tables.exchange(report),
        "Leakage": tables.leakage(report),
        "Data": tables.counts(report),
    }
    parts = _opening(report, command, date)
    for title, body in chapters.items():
        parts += [f"## {title}", *body] if body else []
    return "\n\n".join(parts) + "\n"


def _opening(report: Report, command: str, date: str) -> list[str]:
    opening, _, sentence = report["verdict"].partition(": ")
    parts = [
        f"{TITLE} {plain(report['minority'])}?",
        f"> {bold(plain(opening) + '.')} {plain(sentence[:1].upper() + sentence[1:])}",
    ]
    if report["reasons"]:
        parts += [f"{reasons_title(report)}:", bullets(map(plain, report["reasons"]))]
    if report["caveats"]:
        parts += ["Keep in mind:", bullets(map(plain, report["caveats"]))]
    return [*parts, "Made by:", code(command), bullets(_facts(report, date))]


def _facts(report: Report, date: str) -> list[str]:
    environment, seeds = report["environment"], report["arms"][0]["seeds"]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    folds = report.get("folds", 1)
    source = SOURCE.sub(", weights ", report.get("synthetic_source", ""))
    return [
        f"{date}; {environment['cores']} cores, "
        f"{plain(environment.get('cpu') or environment['machine'])}; "
        f"Python {environment['python']}, {plain(versions)}.",
        f"Commit {environment.get('git_commit') or 'unknown: not from a checkout'} "
        "(+ means local changes).",
        f"{seeds} seeds for each arm and ratio, {folds} fold{'' if folds == 1 else 's'}; "
        f"classifier {plain(report.get('classifier', 'not noted'))}; "
        f"{plain(report['method'].get('budget', ''))}",
        *([f"Synthetic slices: {plain(source)}."] if source else []),
    ]


def _about_differences(report: Report) -> str:
    reference = plain(label(report, report["reference"]))
    if folds_differ(report["reference"]):
        reference = "each fold's own"
    return (
        f"Each arm minus the reference ({reference}), on the same draws of patients and seeds; "
        "bars are 95 % intervals of each arm alone. Squares hold synthetic slices."
    )


def _plots(drawn: Drawn, kind: str, caption: str = "") -> list[str]:
    """Plots, with words under the last; nothing where there are none."""
    shown = [plot for _, plot in drawn.get(kind, [])]
    return [*shown, caption] if shown and caption else shown


def _grids(drawn: Drawn, kind: str) -> list[str]:
    """Grids of slices, each under its title."""
    return [f"{plain(title)}:\n\n{shown}" for title, shown in drawn.get(kind, [])]

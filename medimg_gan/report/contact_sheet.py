"""The contact sheet: self-contained pages with a middle slice of every series and its facts.

Pages are written series by series, so that memory does not grow with their number. They name
series and patients by key and pseudonym alone: paths may hold names, and stay in the table.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path
from string import Template
from typing import TextIO

from medimg_gan.data.index import Index
from medimg_gan.data.problem_groups import ProblemGroup, grouped
from medimg_gan.data.scan import Scan
from medimg_gan.files import new_file
from medimg_gan.imaging import Problem
from medimg_gan.report.listing import facts_of, summary
from medimg_gan.report.thumbnails import Look, Picture

TEMPLATE = Path(__file__).parent.parent / "contact_sheet_template.html"
NAME = "contact_sheet"
SERIES_A_PAGE = 200
"""A page of them is some 5 MB (CT: 15 MB), which browsers show at once."""


@dataclass(frozen=True)
class Shown:
    """One series for the sheet: the scan, what was seen of it, and its labels in words."""

    scan: Scan
    look: Look
    labels: str


def page_paths(folder: Path, count: int, a_page: int = SERIES_A_PAGE) -> list[Path]:
    """Where the pages of ``count`` series go: contact_sheet.html, contact_sheet_2.html ..."""
    pages = max(1, -(-count // a_page))
    return [folder / (f"{NAME}_{page}.html" if page > 1 else f"{NAME}.html")
            for page in range(1, pages + 1)]  # fmt: skip


def write_contact_sheet(
    folder: Path, index: Index, shown: Iterable[Shown], *, a_page: int = SERIES_A_PAGE
) -> list[Path]:
    """Write the pages.

    Args:
        folder: Where to.
        index: For its counts and problems. Those that come to light while ``shown`` is consumed
            (an undecodable series) may be added to ``index.problems`` meanwhile: the problem
            table is written last, on the last page.
        shown: One for each scan of the index, in its order.
        a_page: Series on one page.

    Returns:
        The pages.

    Raises:
        DataError: If a page cannot be written.
    """
    paths = page_paths(folder, len(index.scans), a_page)
    series = iter(shown)
    for path in paths:
        head, middle, tail = _template(index, paths, path)
        with new_file(path) as aside, aside.open("w", encoding="utf-8") as page:
            page.write(head)
            for one in islice(series, a_page):
                page.write(_card(one))
            page.write(middle)
            if path == paths[-1]:
                _write_problems(page, index)
            page.write(tail)
    for old in set(folder.glob(f"{NAME}*.html")) - set(paths):
        old.unlink()  # a page of an earlier, longer sheet
    return paths


def _template(index: Index, paths: list[Path], path: Path) -> list[str]:
    """The page before its series, between series and problems, and behind them."""
    links = [
        f"<b>{number}</b>" if other == path else f'<a href="{other.name}">{number}</a>'
        for number, other in enumerate(paths, 1)
    ]
    pages = f"<nav>Page {' '.join(links)} (problems: on the last)</nav>" if len(paths) > 1 else ""
    text = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title="Contact sheet",
        summary=". ".join(escape(line.strip()) for line in summary(index, guesses=False)),
        pages=pages,
    )
    head, rest = text.split("<!-- series -->")
    return [head, *rest.split("<!-- problems -->")]


def _card(shown: Shown) -> str:
    """One series; what could not be decoded is named here, and explained among the problems."""
    scan, look = shown.scan, shown.look
    pictures = "".join(map(_figure, look.pictures))
    wide = ' class="wide"' if len(look.pictures) > 1 else ""
    facts = facts_of(scan, "by folder (see index.csv)" if scan.label_guessed else shown.labels)
    rows = [
        ("patient", facts.patient, "who"),
        ("modality", " ".join(filter(None, (facts.modality, look.plane))), ""),
        ("size", _size(scan.series.shape, look.plane), ""),
        ("spacing", f"{facts.spacing} mm" if look.plane else "", ""),
        ("label", facts.labels, ""),
        ("note", "; ".join((*scan.notes, *look.notes)), "warn"),
        ("problem", "cannot be shown: see the problems below" if look.reason else "", "warn"),
        ("series", scan.series.key, "key"),
    ]
    listed = "".join(
        f"<dt>{name}</dt><dd{f' class={kind}' if kind else ''}>{escape(value)}</dd>"
        for name, value, kind in rows
        if value
    )
    return f'<article{wide}><div class="slices">{pictures}</div><dl>{listed}</dl></article>\n'


def _size(shape: tuple[int, int, int], plane: str) -> str:
    """Pixels and slices as they were acquired."""
    along = {"sagittal": 0, "coronal": 1}.get(plane, 2)
    columns, rows = (size for axis, size in enumerate(shape) if axis != along)
    slices = f", {shape[along]} slices" if shape[along] > 1 else ""
    return f"{columns}x{rows} px{slices}"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    return (
        f'<figure><img loading="lazy" decoding="async" width="{picture.width}" '
        f'height="{picture.height}" alt="middle slice, {escape(picture.caption)}" '
        f'src="data:image/png;base64,{data}"><figcaption>{escape(picture.caption)}</figcaption>'
        "</figure>"
    )


def _write_problems(page: TextIO, index: Index) -> None:
    groups = grouped(index.problems, index.root)
    if not groups:
        page.write("<h2>Problems</h2><p>None.</p>")
        return
    page.write(
        f"<h2>Problems ({len(index.problems)})</h2><p class='note'>What was left out, and what to "
        "do. index.csv names the files.</p><table><thead><tr><th>what</th><th>how often</th>"
        "<th>what to do</th></tr></thead><tbody>\n"
    )
    keys = {scan.series.paths[0]: scan.series.key for scan in index.scans}
    for group in groups:
        page.write(_problem_row(group, list(_keys_of(group, keys))))
    page.write("</tbody></table>\n")


def _keys_of(group: ProblemGroup, keys: dict[Path, str]) -> Iterator[str]:
    yield from (keys[path] for path in group.paths if path in keys)


def _problem_row(group: ProblemGroup, keys: list[str]) -> str:
    series = f"series {', '.join(keys[:8])}{' ...' * (len(keys) > 8)}" if keys else ""
    details = "".join(f"<small>{escape(text)}</small>" for text in (group.detail, series) if text)
    return (
        f"<tr><td>{escape(group.title)}{details}</td><td class='count'>{len(group.paths)}</td>"
        f"<td class='todo'>{escape(group.remedy)}</td></tr>\n"
    )


def problem_of(scan: Scan, look: Look) -> list[Problem]:
    """The problem that a look brought to light, if any."""
    return [Problem(scan.series.paths[0], look.reason)] if look.reason else []

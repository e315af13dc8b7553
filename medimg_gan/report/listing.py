"""The index on a terminal: counts, a table of at most 100 characters, and what is wrong."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import pandas as pd

from medimg_gan.data.index import Index
from medimg_gan.data.masks import Labelling, MaskAreas
from medimg_gan.data.problem_groups import grouped
from medimg_gan.data.scan import Scan, relative_path
from medimg_gan.data.settings import ANY, mask_names

WIDTH = 100
SHOWN_SERIES = 40
SHOWN_EXAMPLES = 3
WIDEST = {"labels": 26, "modality": 16, "spacing": 17, "size": 11}
NARROWEST_SERIES = 18


@dataclass(frozen=True)
class Facts:
    """One line of the table, in words and numbers that a radiographer uses."""

    series: str
    patient: str
    modality: str
    size: str
    spacing: str
    slices: str
    labels: str


HEADINGS = Facts("series", "patient", "modality", "size", "spacing mm", "slices", "label")
TO_THE_RIGHT = ("slices",)


def facts_of(scan: Scan, labels: str) -> Facts:
    """What the table says of one scan."""
    columns, rows, slices = scan.series.shape
    flat = scan.series.format == "picture"
    return Facts(
        scan.path,
        scan.patient,
        " ".join(filter(None, (scan.modality or "unknown", scan.sequence))),
        f"{columns}x{rows}",
        "" if flat else "x".join(f"{value:.3g}" for value in scan.series.spacing),
        str(slices),
        labels,
    )


def labels_of(number: int, scan: Scan, areas: MaskAreas | None, labelling: Labelling) -> str:
    """A scan's label, or how many of its slices have each: '8 tumor of 24'."""
    if not scan.mask:
        return scan.label
    counts = label_counts(number, areas, labelling)
    if not counts:
        return "by slice"
    marked = [f"{counts[name]} {name}" for name in sorted(counts) if name != labelling.other]
    return f"{', '.join(marked) or 'none'} of {counts.total()}"


def label_counts(number: int, areas: MaskAreas | None, labelling: Labelling) -> Counter[str]:
    """Slices of one masked scan by class; empty where its mask was not measured."""
    if areas is None:
        return Counter()
    return Counter(labelling.classes(number, pd.DataFrame(areas.columns())))


def summary(
    index: Index, slices: Mapping[str, int] | None = None, *, guesses: bool = True
) -> list[str]:
    """How many of what.

    Args:
        index: What was found.
        slices: Slices by class, where masks were measured.
        guesses: Whether to give labels that are mere folder names.
    """
    scans = index.scans
    patients = len({scan.patient for scan in scans})
    lines = [f"{len(scans)} scans of {patients} patients, {len(index.problems)} problems"]
    counted = {
        "modality": Counter(scan.modality or "unknown" for scan in scans),
        "sequence": Counter(scan.sequence for scan in scans),
        "format": Counter(scan.series.format for scan in scans),
        "label": Counter(
            scan.label for scan in scans if not scan.mask and (guesses or not scan.label_guessed)
        ),
        "split": Counter(scan.split for scan in scans),
    }
    for title, counts in counted.items():
        if set(counts) - {""}:
            parts = (f"{name or 'none'}: {count}" for name, count in counts.most_common())
            lines.append(f"  {title:9}" + ", ".join(parts))
    if slices:
        parts = (f"{name}: {count}" for name, count in sorted(slices.items()))
        lines.append("  slices   " + ", ".join(parts) + " (padding included)")
    return lines


def table(scans: Sequence[Scan], labels: Mapping[int, str]) -> list[str]:
    """The scans, a line each, under a heading; long lists are cut.

    Args:
        scans: All of them.
        labels: Number of each scan -> its label in words.
    """
    shown = [facts_of(scan, labels[n]) for n, scan in enumerate(scans[:SHOWN_SERIES])]
    rows = [HEADINGS, *shown]
    names = [field.name for field in fields(Facts)]
    if not any(fact.labels for fact in shown):
        names.remove("labels")
    widths = {name: max(len(getattr(row, name)) for row in rows) for name in names}
    widths = {name: min(width, WIDEST.get(name, width)) for name, width in widths.items()}
    others = sum(widths[name] + 2 for name in names if name != "series")
    widths["series"] = min(widths["series"], max(NARROWEST_SERIES, WIDTH - others))
    lines = [_line(row, names, widths) for row in rows]
    if len(scans) > SHOWN_SERIES:
        lines.append(f"... and {len(scans) - SHOWN_SERIES} more, all in the table")
    lines.append("(size and slices: as cut axially, whatever the plane of acquisition)")
    return lines


def _line(row: Facts, names: list[str], widths: Mapping[str, int]) -> str:
    cells = []
    for name, text in zip((field.name for field in fields(Facts)), astuple(row), strict=True):
        if name in names:
            width = widths[name]
            cut = _shortened(text, width)
            cells.append(cut.rjust(width) if name in TO_THE_RIGHT else cut.ljust(width))
    return "  ".join(cells).rstrip()


def _shortened(text: str, width: int) -> str:
    """The end of a path tells more than its beginning, but the beginning tells whose it is."""
    if len(text) <= width:
        return text
    front = (width - 1) // 3
    return f"{text[:front]}…{text[len(text) - (width - 1 - front) :]}"


def absent_names(words: tuple[str, ...], slices: Counter[str]) -> list[str]:
    """A line for each name of ``--mask-label`` that no counted slice has.

    Args:
        words: As typed; names of single values ("2=edema") only are looked for.
        slices: Counted slices by class; empty where masks were not looked at.
    """
    named = [(value, name) for value, name in mask_names(words).items() if value != ANY]
    return [
        f"  note: no slice is {name}: no mask marks the value {value} in --mask-min-area or more"
        for value, name in named
        if slices and not slices[name]
    ]


def notes(index: Index) -> list[str]:
    """What is worth knowing of scans that can be used, the same note once."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for scan in index.scans:
        for note in scan.notes:
            key = re.sub(r"\d+(\.\d+)?", "#", note)
            kinds.setdefault(key, []).append((note, scan.path))
    lines = ["worth knowing:"] if kinds else []
    for found in kinds.values():
        alike = len({note for note, _ in found}) == 1
        said = found[0][0] + ("" if alike else " (the first; the numbers differ)")
        lines += [
            f"  {len(found)} x {said}",
            *_wrapped("where: ", _examples([p for _, p in found])),
        ]
    return lines


def problems(index: Index) -> list[str]:
    """What was left out and what to do, the same problem once."""
    lines = [f"left out ({len(index.problems)}):"] if index.problems else []
    for group in grouped(index.problems, index.root):
        lines.append(f"  {len(group.paths)} x {group.title}")
        lines += _wrapped("seen: ", group.detail) if group.detail else []
        lines += _wrapped("to do: ", group.remedy)
        paths = [relative_path(path, index.root) for path in group.paths]
        lines += _wrapped("where: ", _examples(paths))
    return lines


def _wrapped(title: str, text: str) -> list[str]:
    return textwrap.wrap(
        title + text,
        WIDTH,
        initial_indent=" " * 6,
        subsequent_indent=" " * (6 + len(title)),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _examples(paths: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(paths))
    more = len(distinct) - SHOWN_EXAMPLES
    shown = ", ".join(distinct[:SHOWN_EXAMPLES])
    return shown + (f" ... and {more} more" if more > 0 else "")

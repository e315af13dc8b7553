"""Any folder -> one table: which scans there are, whose, of what, and what is wrong."""

from __future__ import annotations

import difflib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.as_indexed import as_indexed
from medimg_gan.data.companions import REASON, is_companion
from medimg_gan.data.folders import named_like_a_mask
from medimg_gan.data.header_store import HeaderStore
from medimg_gan.data.problem_groups import calls_for_action
from medimg_gan.data.pseudonyms import project_key, pseudonym
from medimg_gan.data.scan import Scan, describe, gather_sources, path_of, relative_path
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.tables import Row, find_table, read_table, table_root
from medimg_gan.errors import DataError, LabelError
from medimg_gan.files import written_aside
from medimg_gan.imaging import Problem, Series, find_series
from medimg_gan.modalities import MODALITIES

COLUMNS = (
    "path", "patient", "modality", "sequence", "label", "split", "mask", "format", "shape",
    "spacing_mm", "files", "series", "notes", "problem",
)  # fmt: skip
SHOWN_PROBLEMS = 10
NAMED_LIKE_A_MASK = (
    "left out: named like a mask; fix: say whose mask it is, and slices are labelled by it: "
    "--mask '{patient}/{visit}_Mask.nii.gz', or a column 'mask' in index.csv"
)


@dataclass(frozen=True)
class Index:
    """All scans of a folder, sorted by path, and what could not be used.

    ``layouts`` are those that were recognised, a line each.
    """

    root: Path
    scans: list[Scan]
    problems: list[Problem] = field(default_factory=list)
    layouts: tuple[str, ...] = ()

    def of_modality(self, modality: str) -> Index:
        """Only the scans of one modality.

        Raises:
            DataError: If there is none.
        """
        chosen = [scan for scan in self.scans if scan.modality == modality]
        if not chosen:
            found = sorted({scan.modality or "unknown" for scan in self.scans})
            raise DataError(
                f"{self.root}: no {modality} scans",
                observed=f"found: {', '.join(found) or 'nothing readable'}",
                fix=f"--modality {modality} if all of them are, a folder named {modality}/, "
                "or a column 'modality' in index.csv",
            )
        return replace(self, scans=chosen)

    def table(self) -> pd.DataFrame:
        """One row a scan, then one row a problem; columns as in ``COLUMNS``."""
        rows = [
            {
                "path": scan.path,
                "patient": scan.patient,
                "modality": scan.modality,
                "sequence": scan.sequence,
                "label": scan.label or ("by slice" if scan.mask else ""),
                "split": scan.split,
                "mask": relative_path(scan.mask, self.root) if scan.mask else "",
                "format": scan.series.format,
                "shape": "x".join(map(str, scan.series.shape)),
                "spacing_mm": "x".join(f"{value:g}" for value in scan.series.spacing),
                "files": len(scan.series.paths),
                "series": scan.series.key,
                "notes": "; ".join(scan.notes),
                "problem": "",
            }
            for scan in self.scans
        ]
        rows += [
            {"path": relative_path(problem.path, self.root), "problem": problem.reason}
            for problem in self.problems
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).fillna("")

    def write(self, path: Path) -> None:
        """Write the table as CSV; edited, it can be passed back as ``--data``."""
        text = io.StringIO()
        self.table().to_csv(text, index=False)
        with written_aside(path) as aside:
            aside.write_text(text.getvalue(), encoding="utf-8")


def build_index(config: DataConfig, numbers: tuple[str, ...] = ()) -> Index:
    """:func:`survey`, for verbs that need scans.

    Raises:
        DataError: If the folder is absent or holds nothing readable, or something unreadable
            and ``config.strict`` is set.
        LabelError: If a mask pattern or a table matches nothing.
    """
    index = survey(config, numbers)
    refuse_unusable(index, strict=config.strict)
    return index


def survey(config: DataConfig, numbers: tuple[str, ...] = ()) -> Index:
    """Scan ``config.data`` and join what headers, folders, tables and patterns say.

    ``numbers`` are columns of the user's own table that scans are to bring along.

    Raises:
        DataError: If the folder is absent, or a modality is unknown.
        LabelError: If a mask pattern or a table matches nothing.
    """
    assert config.data is not None, "apps fill in the phantom before they index"
    config = as_indexed(config)
    root, table_path = _root_and_table(config)
    rows = read_table(table_path, root, numbers) if table_path else {}
    # Beside the cache, not in it: deleting a cache must not rename the patients.
    key = project_key(config.cache.parent)
    # Headers tell patients by their pseudonyms only: a table's ids are met as such.
    rows |= {pseudonym(name, key): row for name, row in rows.items()}
    store = HeaderStore(config.cache, key)
    series, problems = find_series(
        root, config.modality, config.read_options, look=store, parts_of=store.parts_of
    )
    problems += [Problem(s.paths[0], REASON) for s in series if is_companion(s.paths[0])]
    series = [item for item in series if not is_companion(item.paths[0])]
    sources = gather_sources(series, problems, root, config, rows.values())
    scans, named = [], set()
    for item in sorted(series, key=lambda item: (str(item.paths[0]), item.key)):
        if item.paths[0] in sources.mask_files:
            continue
        row = _row_of(item, path_of(item, root), rows)
        named.add(row.line if row else None)
        if table_path and config.data == table_path and not row:
            continue  # an edited table is the whole truth: what the user deleted stays out
        if item.format == "nifti" and named_like_a_mask(relative_path(item.paths[0], root)):
            sources.problems.append(Problem(item.paths[0], NAMED_LIKE_A_MASK))
            continue
        scans.append(describe(item, root, config, sources, row, key))
    layouts = tuple(layout.one_line() for layout in sources.layouts)
    index = Index(root, scans, sources.problems, layouts)
    if table_path and series:
        _check_table(index, rows, named - {None}, table_path, path_of(series[0], root))
    _refuse_unknown_modalities(index)
    return index


def refuse_unusable(index: Index, *, strict: bool = False) -> None:
    """Stop verbs that could do nothing with an index.

    Raises:
        DataError: If it holds no scan, or a problem that calls for action and ``strict`` is set.
    """
    if not index.scans:
        raise DataError(
            f"{index.root}: nothing readable in this folder",
            observed=_summary(index.problems) or "it holds no DICOM, NIfTI or picture files",
            fix="run 'python scripts/index.py --data DIR' on it, or on its parent",
        )
    wrong = [problem for problem in index.problems if calls_for_action(problem)]
    if strict and wrong:
        first = wrong[0]
        raise DataError(
            f"{index.root}: {len(wrong)} problems, and --data.strict is on",
            observed=f"{relative_path(first.path, index.root)}: {first.reason}",
        )


def say_what_is_wrong(index: Index) -> None:
    """Name layouts and what was left out; a long list is cut, the table has it whole."""
    for line in index.layouts:
        say(f"  {line}")
    for problem in index.problems[:SHOWN_PROBLEMS]:
        say(f"  left out: {relative_path(problem.path, index.root)}: {problem.reason}")
    more = len(index.problems) - SHOWN_PROBLEMS
    if more > 0:
        say(f"  ... and {more} more: python scripts/index.py --data {index.root} lists them all")


def _root_and_table(config: DataConfig) -> tuple[Path, Path | None]:
    data = config.data
    assert data is not None
    data = Path.cwd() if data == Path() else data  # '.' could not be told from text in a message
    if data.is_file():
        if data.suffix != ".csv":
            raise DataError(
                f"{data}: --data takes a folder or an index.csv",
                fix=f"--data {data.parent}",
            )
        return table_root(data), data
    return data, config.labels or find_table(data)


def _check_table(
    index: Index, rows: dict[str, Row], named: set[int], table: Path, example: str
) -> None:
    """Say which rows of a table are about nothing that was found."""
    unused = sorted({row.line for row in rows.values()} - named)
    if not unused:
        return
    if not named:
        raise LabelError(
            f"{table}: none of its rows names a scan that was found",
            observed=f"rows name {next(iter(rows))!r}; files look like {example!r}",
            fix="give paths relative to the table's folder, or patient ids",
        )
    lines = ", ".join(map(str, unused[:5])) + (" ..." if len(unused) > 5 else "")
    index.problems.append(
        Problem(
            table,
            f"{len(unused)} of its rows name no scan that was found (line {lines}); "
            "fix: correct their paths, or delete them",
        )
    )


def _refuse_unknown_modalities(index: Index) -> None:
    unknown = sorted({scan.modality for scan in index.scans} - MODALITIES.keys() - {""})
    if unknown:
        near = difflib.get_close_matches(unknown[0], MODALITIES, n=1)
        raise DataError(
            f"{index.root}: unknown modality {', '.join(unknown)}",
            fix=(f"did you mean {near[0]} ? " if near else "") + f"One of: {', '.join(MODALITIES)}",
        )


def _summary(problems: list[Problem]) -> str:
    if not problems:
        return ""
    return f"{len(problems)} files cannot be used; the first: {problems[0].reason}"


def _row_of(item: Series, path: str, rows: dict[str, Row]) -> Row | None:
    """The table's row for a series: its own, its file's, its patient's, or of a folder above."""
    for key in (item.key, path, item.patient, *map(str, Path(path).parents)):
        if key in rows:
            return rows[key]
    return None

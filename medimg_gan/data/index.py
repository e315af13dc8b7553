"""Any folder -> one table: which scans there are, whose, of what, and what is wrong."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.folders import folder_facts, named_like_a_mask
from medimg_gan.data.header_store import HeaderStore
from medimg_gan.data.patterns import belongs, compile_pattern, stem_before_tail
from medimg_gan.data.pseudonyms import project_key, pseudonym
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.tables import Row, find_table, read_table, table_root
from medimg_gan.errors import DataError, LabelError
from medimg_gan.files import written_aside
from medimg_gan.imaging import Problem, Series, find_series
from medimg_gan.modalities import MODALITIES

COLUMNS = (
    "path", "patient", "modality", "label", "split", "mask", "format", "shape", "spacing_mm",
    "files", "series", "problem",
)  # fmt: skip
SHOWN_PROBLEMS = 10


@dataclass(frozen=True)
class Scan:
    """One series with all that the table says of it.

    Attributes:
        series: Where its files are.
        path: Its file or folder, relative to the data folder.
        patient: Pseudonym.
        modality: Key of ``MODALITIES``, or "" where unknown.
        label: Class of the whole scan, or "".
        mask: Mask file on the scan's grid that labels its slices, or None.
        split: train, val, test, or "" to be decided.
        patient_known: False where nothing said whose it is, and the file stands for its patient.
    """

    series: Series
    path: str
    patient: str
    modality: str
    label: str = ""
    mask: Path | None = None
    split: str = ""
    patient_known: bool = True


@dataclass(frozen=True)
class Index:
    """All scans of a folder, sorted by path, and what could not be used."""

    root: Path
    scans: list[Scan]
    problems: list[Problem] = field(default_factory=list)

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
                "label": scan.label or ("by slice" if scan.mask else ""),
                "split": scan.split,
                "mask": _relative(scan.mask, self.root) if scan.mask else "",
                "format": scan.series.format,
                "shape": "x".join(map(str, scan.series.shape)),
                "spacing_mm": "x".join(f"{value:g}" for value in scan.series.spacing),
                "files": len(scan.series.paths),
                "series": scan.series.key,
                "problem": "",
            }
            for scan in self.scans
        ]
        rows += [
            {"path": _relative(problem.path, self.root), "problem": problem.reason}
            for problem in self.problems
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).fillna("")

    def write(self, path: Path) -> None:
        """Write the table as CSV; edited, it can be passed back as ``--data``."""
        text = io.StringIO()
        self.table().to_csv(text, index=False)
        with written_aside(path) as aside:
            aside.write_text(text.getvalue(), encoding="utf-8")


def build_index(config: DataConfig) -> Index:
    """Scan ``config.data`` and join what headers, folders, tables and patterns say.

    A table's word goes before a pattern's, a pattern's before the header's, and the header's
    before a folder name's.

    Raises:
        DataError: If the folder is absent or holds nothing readable.
        LabelError: If a mask pattern matches nothing.
    """
    assert config.data is not None, "apps fill in the phantom before they index"
    root, table_path = _root_and_table(config)
    rows = read_table(table_path, root) if table_path else {}
    # Beside the cache, not in it: deleting a cache must not rename the patients.
    key = project_key(config.cache.parent)
    # Headers tell patients by their pseudonyms only: a table's ids are met as such.
    rows |= {pseudonym(name, key): row for name, row in rows.items()}
    store = HeaderStore(config.cache, key)
    series, problems = find_series(root, config.modality, config.read_options, look=store)
    masks = _find_masks(series, root, config.mask)
    mask_files = {path for path, _ in masks.values()} | {
        row.mask for row in rows.values() if row.mask
    }
    scans = []
    for item in sorted(series, key=lambda item: (str(item.paths[0]), item.key)):
        if item.paths[0] in mask_files:
            continue
        if item.format == "nifti" and named_like_a_mask(_relative(item.paths[0], root)):
            problems.append(Problem(item.paths[0], "left out: named like a mask; --mask uses it"))
            continue
        scan = _describe(item, root, config, rows, masks, key)
        if table_path and config.data == table_path and not _row_of(item, scan.path, rows):
            continue  # an edited table is the whole truth: what the user deleted stays out
        scans.append(scan)
    index = Index(root, scans, problems)
    _check(index, config, rows, table_path)
    return index


def say_what_is_wrong(index: Index) -> None:
    """Name what was left out; a long list is cut, the table has it whole."""
    for problem in index.problems[:SHOWN_PROBLEMS]:
        say(f"  left out: {_relative(problem.path, index.root)}: {problem.reason}")
    more = len(index.problems) - SHOWN_PROBLEMS
    if more > 0:
        say(f"  ... and {more} more: python scripts/index.py --data {index.root} lists them all")


def _root_and_table(config: DataConfig) -> tuple[Path, Path | None]:
    data = config.data
    assert data is not None
    if data.is_file():
        if data.suffix != ".csv":
            raise DataError(
                f"{data}: --data takes a folder or an index.csv",
                fix=f"--data {data.parent}",
            )
        return table_root(data), data
    return data, config.labels or find_table(data)


def _describe(
    item: Series,
    root: Path,
    config: DataConfig,
    rows: dict[str, Row],
    masks: dict[str, tuple[Path, dict[str, str]]],
    key: bytes,
) -> Scan:
    """One scan, each fact from the best source that has it."""
    path = _path_of(item, root)
    row = _row_of(item, path, rows) or Row()
    named = _fields(path, config.layout)
    mask = next((found for stem, found in masks.items() if belongs(path, stem)), None)
    folders = folder_facts(path, picture=item.format == "picture")
    patient = (
        row.patient
        or named.get("patient")
        or (mask[1].get("patient") if mask else "")
        or item.patient
        or folders.get("patient", "")
    )
    modality = config.modality or row.modality or named.get("modality") or item.modality
    if not modality and item.format == "picture":
        modality = "picture"
    return Scan(
        series=item,
        path=path,
        patient=pseudonym(patient or path, key),
        modality=modality,
        label=row.label or named.get("label") or ("" if mask else folders.get("label", "")),
        mask=row.mask or (mask[0] if mask else None),
        split=row.split or named.get("split") or folders.get("split", ""),
        patient_known=bool(patient),
    )


def _find_masks(
    series: Iterable[Series], root: Path, pattern: str
) -> dict[str, tuple[Path, dict[str, str]]]:
    """What a mask and its image share in their paths -> (mask file, the pattern's fields)."""
    if not pattern:
        return {}
    expression = compile_pattern(pattern)
    found = {}
    for item in series:
        path = _relative(item.paths[0], root)
        if match := expression.fullmatch(path):
            fields = match.groupdict()
            found[stem_before_tail(pattern, fields)] = (item.paths[0], fields)
    if not found:
        example = next((_relative(item.paths[0], root) for item in series), "nothing")
        raise LabelError(
            f"--mask {pattern!r}: matches no file under {root}",
            observed=f"a path there looks like {example!r}",
            fix="write the pattern relative to --data, one {field} per varying part",
        )
    return found


def _fields(path: str, layout: str) -> dict[str, str]:
    match = compile_pattern(layout).fullmatch(path) if layout else None
    return match.groupdict() if match else {}


def _check(index: Index, config: DataConfig, rows: dict[str, Row], table: Path | None) -> None:
    if not index.scans:
        raise DataError(
            f"{index.root}: nothing readable in this folder",
            observed=_summary(index.problems) or "it holds no DICOM, NIfTI or picture files",
            fix="run 'python scripts/index.py --data DIR' on it, or on its parent",
        )
    if config.strict and index.problems:
        first = index.problems[0]
        raise DataError(
            f"{index.root}: {len(index.problems)} series cannot be used, and --strict is on",
            observed=f"{_relative(first.path, index.root)}: {first.reason}",
        )
    if rows and not any(_row_of(scan.series, scan.path, rows) for scan in index.scans):
        raise LabelError(
            f"{table}: none of its rows names a scan that was found",
            observed=f"rows name {next(iter(rows))!r}; files look like {index.scans[0].path!r}",
            fix="give paths relative to the table's folder, or patient ids",
        )
    unknown = sorted({scan.modality for scan in index.scans} - MODALITIES.keys() - {""})
    if unknown:
        raise DataError(
            f"{index.root}: unknown modality {', '.join(unknown)}",
            fix=f"one of: {', '.join(MODALITIES)}",
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


def _path_of(item: Series, root: Path) -> str:
    """A file's own path; a DICOM series of several files is named by its folder."""
    path = item.paths[0]
    return _relative(path.parent if len(item.paths) > 1 and path.parent != root else path, root)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

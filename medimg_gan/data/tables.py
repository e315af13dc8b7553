"""labels.csv and index.csv: what a user says of the scans."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from medimg_gan.errors import LabelError
from medimg_gan.runs import MANIFEST, read_json

NAMES = ("index.csv", "labels.csv")
PATH_COLUMNS = ("path", "file", "filename", "image", "folder")
COLUMNS = (*PATH_COLUMNS, "patient", "label", "split", "modality", "sequence", "mask")
"""What a table may say; other columns are the user's own."""


@dataclass(frozen=True)
class Row:
    """One row of a user's table; "" where it says nothing.

    ``numbers`` are columns of the user's own that were asked for, as written. ``line`` is its
    line in the file, for messages: rows that say the same are equal.
    """

    patient: str = ""
    label: str = ""
    split: str = ""
    modality: str = ""
    sequence: str = ""
    mask: Path | None = None
    numbers: Mapping[str, str] = field(default_factory=dict)
    line: int = field(default=0, compare=False)


def find_table(folder: Path) -> Path | None:
    """The table that lies in a data folder, if there is one."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def table_root(table: Path) -> Path:
    """The folder that a table's paths are relative to: noted beside it by ``index``, or its own."""
    manifest = table.parent / MANIFEST
    noted = read_json(manifest).get("data_root") if manifest.is_file() else None
    return Path(noted) if noted else table.parent


def read_table(path: Path, root: Path, numbers: tuple[str, ...] = ()) -> dict[str, Row]:
    """Read a table: path (relative to the data folder) -> row.

    A table with a column patient and no path names folders by patient.

    Args:
        path: The table.
        root: What its paths are relative to.
        numbers: The user's own columns that are wanted, where it has them.

    Raises:
        LabelError: If it cannot be read, lacks a path column, misspells a column, names a path
            twice, or names a mask that is not there.
    """
    table = _read_csv(path)
    table.columns = [str(name).strip().lower() for name in table.columns]
    table["line"] = [str(number) for number in range(2, len(table) + 2)]
    _refuse_misspelt(path, list(table.columns))
    if "problem" in table:
        table = table[table["problem"] == ""]
    key = next((name for name in (*PATH_COLUMNS, "patient") if name in table), None)
    if key is None:
        raise LabelError(
            f"{path}: no column says which scan a row is about",
            observed=f"columns: {', '.join(table.columns)}",
            fix=f"name one of them {' or '.join(PATH_COLUMNS[:2])}",
        )
    rows: dict[str, Row] = {}
    for record in table.to_dict("records"):
        name = record.get("series", "").strip() or record[key].strip()
        if not name:
            raise LabelError(
                f"{path}: a row without a {key}",
                observed=f"line {record['line']}",
                fix="fill it in, or delete the row",
            )
        name = Path(name).as_posix()
        row = _row(record, root, numbers)
        if rows.setdefault(name, row) != row:
            raise LabelError(
                f"{path}: {name!r} stands in two rows that disagree",
                observed=f"lines {rows[name].line} and {row.line}",
                fix="delete one of them",
            )
        if row.mask and not row.mask.is_file():
            raise LabelError(
                f"{path}: the mask of line {row.line} is not there",
                observed=f"no file {row.mask}",
                fix=f"give its path relative to {root}, or leave it empty",
            )
    return rows


def _read_csv(path: Path) -> pd.DataFrame:
    """All cells as text; spreadsheets separate by comma, semicolon or tab, and may mark UTF-8.

    Raises:
        LabelError: If it is no such table.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            heading = file.readline()
        separator = max(",;\t", key=heading.count)
        return pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except UnicodeDecodeError as error:
        raise LabelError(
            f"{path}: not in UTF-8",
            observed=f"byte {error.start} cannot be read",
            cause="saved by a spreadsheet in its own encoding",
            fix="save it as 'CSV UTF-8'",
        ) from error
    except FileNotFoundError as error:
        raise LabelError(f"{path}: not found", fix="check the spelling of --labels") from error
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: cannot be read as a table", observed=str(error)) from error


def _refuse_misspelt(path: Path, columns: list[str]) -> None:
    """A column that is nearly one of ours would be passed over in silence."""
    missing = [name for name in COLUMNS if name not in columns]
    for column in columns:
        near = difflib.get_close_matches(column, missing, n=1, cutoff=0.8)
        if near and column not in COLUMNS and column != "files":
            raise LabelError(
                f"{path}: column {column!r}",
                observed=f"did you mean {near[0]!r} ?",
                fix=f"rename it to {near[0]!r}, or to something quite different to keep it",
            )


def _row(record: Mapping[Hashable, str], root: Path, numbers: tuple[str, ...]) -> Row:
    def value(name: str) -> str:
        text = record.get(name, "").strip()
        return "" if text == "by slice" else text

    mask = value("mask")
    return Row(
        patient=value("patient"),
        label=value("label"),
        split=value("split").lower(),
        modality=value("modality").lower(),
        sequence=value("sequence").lower(),
        mask=root / mask if mask else None,
        numbers={name: value(name) for name in numbers if name in record and name not in COLUMNS},
        line=int(record["line"]),
    )

"""labels.csv and index.csv: what a user says of the scans."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medimg_gan.errors import LabelError
from medimg_gan.runs import MANIFEST, read_json

NAMES = ("index.csv", "labels.csv")
PATH_COLUMNS = ("path", "file", "filename", "image", "folder")


@dataclass(frozen=True)
class Row:
    """One row of a user's table; "" where it says nothing."""

    patient: str = ""
    label: str = ""
    split: str = ""
    modality: str = ""
    mask: Path | None = None


def find_table(folder: Path) -> Path | None:
    """The table that lies in a data folder, if there is one."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def table_root(table: Path) -> Path:
    """The folder that a table's paths are relative to: noted beside it by ``index``, or its own."""
    manifest = table.parent / MANIFEST
    noted = read_json(manifest).get("data_root") if manifest.is_file() else None
    return Path(noted) if noted else table.parent


def read_table(path: Path, root: Path) -> dict[str, Row]:
    """Read a table: path (relative to the data folder) -> row.

    A table with a column patient and no path names folders by patient.

    Raises:
        LabelError: If it cannot be read, lacks a path column, or names a path twice.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise LabelError(f"{path}: cannot be read as a table", observed=str(error)) from error
    table.columns = [str(name).strip().lower() for name in table.columns]
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
            raise LabelError(f"{path}: a row without a {key}", fix="fill it in, or delete the row")
        name = Path(name).as_posix()
        row = _row(record, root)
        if rows.setdefault(name, row) != row:
            raise LabelError(f"{path}: {name!r} stands in two rows that disagree")
    return rows


def _row(record: Mapping[Hashable, str], root: Path) -> Row:
    def value(name: str) -> str:
        text = record.get(name, "").strip()
        return "" if text == "by slice" else text

    mask = value("mask")
    return Row(
        patient=value("patient"),
        label=value("label"),
        split=value("split").lower(),
        modality=value("modality").lower(),
        mask=root / mask if mask else None,
    )

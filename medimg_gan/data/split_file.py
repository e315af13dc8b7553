"""A run's split in a file: who trained it, and who it was judged on."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from medimg_gan.errors import SplitError
from medimg_gan.files import written_aside

SPLIT_FILE = "split.csv"


def read_split(path: Path) -> dict[str, str]:
    """Patient -> split, as a run saved it.

    Raises:
        SplitError: If it is absent or damaged.
    """
    try:
        table = pd.read_csv(path, dtype=str)
        return dict(zip(table["patient"], table["split"], strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise SplitError(f"{path}: cannot be read", observed=str(error)) from error


def save_split(rows: pd.DataFrame, path: Path) -> None:
    """Write patient -> split; a run that resumes must find the same patients as before.

    Raises:
        SplitError: If the file is there and says something else.
    """
    table = (
        rows[rows["split"] != ""]
        .groupby("patient", sort=True)
        .agg(split=("split", "first"), slices=("split", "size"))
    )
    text = io.StringIO()
    table.to_csv(text)
    keep_or_compare(path, text.getvalue())


def keep_or_compare(path: Path, text: str) -> None:
    """Write a table of patients, or check that a run which resumes has the same.

    Raises:
        SplitError: If the file is there and says something else.
    """
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise SplitError(
                f"{path}: the data are not those with which this run began",
                cause="files were added, removed, relabelled or changed in between, or the "
                "patient.key is another, so that every patient has another pseudonym",
                fix="restore them or give that run's --cache, or begin again with --restart or "
                "another --run",
            )
        return
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")

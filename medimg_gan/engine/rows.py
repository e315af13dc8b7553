"""Rows of JSON, one a line, that a killed training leaves behind and a resumed one goes on with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medimg_gan.files import written_aside


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a file, oldest first, without a half-written one; none if it is absent."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def forget_after(path: Path, step: int) -> None:
    """Drop the rows that lie after ``step``, and a half-written last one."""
    if not path.exists():
        return
    kept = [json.dumps(row) + "\n" for row in read_rows(path) if row["step"] <= step]
    with written_aside(path) as aside:
        aside.write_text("".join(kept), encoding="utf-8")

"""Write a study down: ``report.json``, ``table.csv`` and one self-contained ``report.html``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan.files import written_aside
from medimg_gan.report.page import render
from medimg_gan.runs import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medimg_gan.types import FloatArray

__all__ = ["report_schema", "write_report"]

PACKAGE = Path(__file__).parent.parent


def report_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of ``report.json``."""
    return json.loads((PACKAGE / "report_schema.json").read_text(encoding="utf-8"))


def write_report(
    folder: Path, report: dict[str, Any], pictures: Mapping[str, FloatArray]
) -> dict[str, Path]:
    """Write the three files of a study.

    Args:
        folder: Made if absent; files of an earlier report are replaced.
        report: Plain values that follow ``report_schema.json``; a ``"command"`` is shown if given.
        pictures: Title of a strip -> (n, 1, H, W) slices in [-1, 1].

    Returns:
        The paths, under ``"json"``, ``"csv"`` and ``"html"``.
    """
    paths = {
        "json": folder / "report.json",
        "csv": folder / "table.csv",
        "html": folder / "report.html",
    }
    template = (PACKAGE / "report_template.html").read_text(encoding="utf-8")
    write_json(paths["json"], report)
    with (
        written_aside(paths["csv"]) as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows(_table(report))
    with written_aside(paths["html"]) as aside:
        aside.write_text(render(report, pictures, template), encoding="utf-8")
    return paths


def _table(report: dict[str, Any]) -> list[list[Any]]:
    """A heading and one line per arm and ratio."""
    names = list(report["arms"][0]["metrics"])
    ends = ("mean", "low", "high")
    heading = ["name", "role", "ratio", "added", "seeds"]
    lines = [heading + [f"{name}_{end}" for name in names for end in ends]]
    for arm in report["arms"]:
        scores = [arm["metrics"][name][end] for name in names for end in ends]
        lines.append([arm[key] for key in heading] + scores)
    return lines

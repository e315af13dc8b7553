"""Single figures of a finished report, and how sentences about it write them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Report = Mapping[str, Any]
"""Follows ``report_schema.json``."""
FEWEST_COMPARED = 20
"""Slices below which one more or less moves a share by over 5 points."""


def difference(report: Report) -> dict[str, float]:
    """Candidate minus reference in the primary measure."""
    return report["difference"][report["primary_metric"]]


def chosen_arm(report: Report, key: str) -> dict[str, Any]:
    """The arm of the table that ``reference`` or ``candidate`` names."""
    chosen = report[key]["name"], report[key]["ratio"]
    return next(one for one in report["arms"] if (one["name"], one["ratio"]) == chosen)


def arm_named(report: Report, name: str) -> dict[str, Any] | None:
    """The first arm of a name."""
    return next((one for one in report["arms"] if one["name"] == name), None)


def fidelity_of(report: Report, name: str) -> tuple[float, float]:
    """The minority's figure and its floor; not a number where it is not known, or too rough."""
    for one in report["fidelity"]["figures"]:
        enough = one["images"] * report.get("folds", 1) >= FEWEST_COMPARED  # a fold's mean count
        if enough and one["group"] == report["minority"] and one["name"] == name:
            return one["synthetic"], one["real"]
    return math.nan, math.nan


def exchanged(report: Report) -> tuple[dict[str, float], dict[str, float]]:
    """AUROC of TSTR and of TRTR; empty where one is missing."""
    found = report["exchange"]
    if not {"tstr", "trtr"} <= found.keys():
        return {}, {}
    return found["tstr"]["metrics"]["auroc"], found["trtr"]["metrics"]["auroc"]


def skill(auroc: Mapping[str, float]) -> float:
    """AUROC above guessing."""
    return auroc["mean"] - 0.5


def points(share: float) -> str:
    """A difference of shares in percentage points (never -0)."""
    return f"{round(100 * share, 1) + 0.0:g}"


def signed(share: float) -> str:
    """The same as an end of an interval."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def percent(share: float) -> str:
    """A share in whole percent."""
    return f"{100 * share:.0f} %"

"""Plots whose two axes are shares: ROC, precision-recall, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medimg_gan.report.svg import Axis, area, axis, dot, line, number, path, svg, text

SIDE = 300
WIDE_SIDE = 400
"""Of two squares that fill the width."""
HEAD = 30
LEFT = 60
BETWEEN = 90
KEY = 24
"""Length of a line in the legend."""


@dataclass(frozen=True)
class Reliability:
    """Points (probability, share) of one arm."""

    name: str
    role: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Operating:
    """ROC and precision-recall of one arm: each ``x``, ``mean``, ``low`` and ``high``."""

    name: str
    style: str
    roc: Mapping[str, Sequence[float]]
    pr: Mapping[str, Sequence[float]]


def operating(series: Sequence[Operating], *, specificity: float, share: float) -> str:
    """ROC beside precision-recall, with bands.

    Args:
        series: The arms.
        specificity: Wanted at the operating point: a dashed line in the ROC.
        share: Of the minority in the test split: the precision of guessing.
    """
    right = LEFT + WIDE_SIDE + BETWEEN
    parts = []
    across, up = _frame(parts, LEFT, "ROC: sensitivity", "1 - specificity", WIDE_SIDE)
    parts.append(line(across.at(0), up.at(0), across.at(1), up.at(1), "guess"))
    wanted = across.at(1 - specificity)
    parts.append(line(wanted, up.at(0), wanted, up.at(1), "zero"))
    for one in series:
        parts += _banded(one.roc, one.style, across, up)
    across, up = _frame(parts, right, "Precision", "sensitivity (recall)", WIDE_SIDE)
    parts.append(line(across.at(0), up.at(share), across.at(1), up.at(share), "guess"))
    for one in series:
        parts += _banded(one.pr, one.style, across, up)
    for place, one in enumerate(series):  # below, where the longest name has room
        y = HEAD + WIDE_SIDE + 46 + 20 * (place + 1)
        parts.append(path([(LEFT, y - 4), (LEFT + KEY, y - 4)], f"curve {one.style}"))
        parts.append(text(LEFT + KEY + 8, y, one.name))
    return svg(HEAD + WIDE_SIDE + 60 + 20 * len(series), parts, "ROC and precision-recall curves")


def reliability(series: Sequence[Reliability], minority: str) -> str:
    """Share of the minority against its probability; the diagonal is perfect."""
    parts = []
    across, up = _frame(parts, LEFT, f"Share that is {minority}", "probability", SIDE)
    parts.append(line(across.at(0), up.at(0), across.at(1), up.at(1), "zero"))
    for place, curve in enumerate(series):
        points = [(across.at(x), up.at(y)) for x, y in curve.points]
        parts.append(path(points, f"curve {curve.role}"))
        parts += [dot(x, y, curve.role) for x, y in points]
        legend = HEAD + 20 * (place + 1)
        parts.append(dot(across.end + 24, legend - 4, curve.role))
        parts.append(text(across.end + 36, legend, curve.name))
    return svg(HEAD + SIDE + 46, parts, "Calibration")


def _frame(parts: list[str], left: float, title: str, below: str, side: float) -> tuple[Axis, Axis]:
    """Draw a square from 0 to 1; returns the axes across and up."""
    bottom = HEAD + side
    across = axis([0, 1], left, left + side, bounded=True, ticks=5)
    up = axis([0, 1], bottom, HEAD, bounded=True, ticks=5)
    parts.append(text(left, 14, title, "head"))
    for tick in up.ticks:
        parts.append(line(left, up.at(tick), left + side, up.at(tick), "grid"))
        parts.append(text(left - 8, up.at(tick) + 4, number(tick), "soft", "end"))
        parts.append(text(across.at(tick), bottom + 18, number(tick), "soft", "middle"))
    parts.append(text(left + side / 2, bottom + 38, below, "soft", "middle"))
    return across, up


def _banded(curve: Mapping[str, Sequence[float]], style: str, across: Axis, up: Axis) -> list[str]:
    def points(name: str) -> list[tuple[float, float]]:
        return [(across.at(x), up.at(y)) for x, y in zip(curve["x"], curve[name], strict=True)]

    outline = [*points("low"), *reversed(points("high"))]
    return [area(outline, f"band {style}"), path(points("mean"), f"curve {style}")]

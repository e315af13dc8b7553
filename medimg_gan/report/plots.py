"""Plots as inline SVG: no script, no font and no file from outside, sharp in print.

Colours and type come from the style sheet of the page, through the classes ``baseline``,
``synthetic`` and ``probe`` (an arm's role).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

WIDTH = 1000
LABELS = 250
"""Width of the column of names in a forest plot."""
GAP = 44
ROW = 26
HEAD = 30
FOOT = 30
CURVE_HEIGHT = 260
SQUARE = 300
"""Side of a plot of probabilities."""


@dataclass(frozen=True)
class Mark:
    """A mean with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot: a name, a role, and a mark in every panel."""

    name: str
    role: str
    marks: Sequence[Mark]
    chosen: bool = False


@dataclass(frozen=True)
class Panel:
    """One column of a forest plot; ``rule`` draws a dashed line at a value."""

    title: str
    rule: float
    bounded: bool = True


@dataclass(frozen=True)
class Curve:
    """A score against the mixing ratio."""

    name: str
    role: str
    ratios: Sequence[float]
    marks: Sequence[Mark]


@dataclass(frozen=True)
class Reliability:
    """Points (probability, share) of one arm."""

    name: str
    role: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """Maps values from ``low`` to ``high`` to places on the page from ``begin`` to ``end``."""

    ticks: list[float]
    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)


def axis(values: Sequence[float], begin: float, end: float, *, bounded: bool, ticks: int) -> Axis:
    """An axis with round ticks that holds all values.

    Args:
        values: All that must fit.
        begin: Place of the low end.
        end: Place of the high end.
        bounded: Whether the axis stays within [0, 1], as scores do.
        ticks: About how many steps.
    """
    low, high = min(values), max(values)
    if high - low < 0.04:
        low, high = low - 0.02, high + 0.02
    places = [
        float(tick) for tick in MaxNLocator(ticks, steps=[1, 2, 5, 10]).tick_values(low, high)
    ]
    low, high = places[0], places[-1]
    if bounded:
        low, high = max(low, 0.0), min(high, 1.0)
        places = [tick for tick in places if low - 1e-9 <= tick <= high + 1e-9]
    return Axis(places, low, high, begin, end)


def forest(panels: Sequence[Panel], rows: Sequence[ForestRow]) -> str:
    """A forest plot: a line of marks for every row, a column for every panel."""
    height = HEAD + ROW * len(rows) + FOOT
    column = (WIDTH - LABELS) / len(panels)
    parts = [_names(rows)]
    for place, panel in enumerate(panels):
        begin = LABELS + place * column + GAP / 2
        marks = [row.marks[place] for row in rows]
        values = [end for mark in marks for end in (mark.low, mark.high, mark.mean)]
        scale = axis(
            [*values, panel.rule],
            begin,
            begin + column - GAP,
            bounded=panel.bounded,
            ticks=max(3, int(column / 85)),
        )
        parts.append(_panel(panel, rows, marks, scale))
    return _svg(height, parts, "Forest plot of the arms")


def curves(title: str, series: Sequence[Curve], *, rule: float, rule_name: str) -> str:
    """A score against the mixing ratio, with intervals, beside the arm that adds nothing."""
    top, bottom, left, right = HEAD, CURVE_HEIGHT - 2 * FOOT, 60, WIDTH - 220
    values = [end for curve in series for mark in curve.marks for end in (mark.low, mark.high)]
    ratios = [ratio for curve in series for ratio in curve.ratios]
    down = axis([*values, rule], bottom, top, bounded=True, ticks=5)
    across = axis(ratios, left + 20, right - 20, bounded=False, ticks=8)
    parts = [_text(left, 14, title, "head")]
    for tick in down.ticks:
        parts.append(_line(left, down.at(tick), right, down.at(tick), "grid"))
        parts.append(_text(left - 8, down.at(tick) + 4, _number(tick), "soft", "end"))
    for ratio in sorted(set(ratios)):
        parts.append(_text(across.at(ratio), bottom + 20, f"{ratio:g}", "soft", "middle"))
    parts.append(_text((left + right) / 2, bottom + 42, "ratio after mixing", "soft", "middle"))
    parts.append(_line(left, down.at(rule), right, down.at(rule), "zero"))
    ends = [(down.at(rule), rule_name, "")]
    for place, curve in enumerate(series):
        shift = 6 * (place - (len(series) - 1) / 2)
        points = [
            (across.at(ratio) + shift, mark)
            for ratio, mark in zip(curve.ratios, curve.marks, strict=True)
        ]
        path = " ".join(f"{x:.1f},{down.at(mark.mean):.1f}" for x, mark in points)
        parts.append(f'<polyline class="curve {curve.role}" points="{path}"/>')
        for x, mark in points:
            parts.append(_line(x, down.at(mark.low), x, down.at(mark.high), f"bar {curve.role}"))
            parts.append(_dot(x, down.at(mark.mean), curve.role))
        ends.append((down.at(curve.marks[-1].mean), curve.name, curve.role))
    parts += _labels_apart(ends, right + 12)
    return _svg(CURVE_HEIGHT, parts, title)


def reliability(series: Sequence[Reliability], minority: str) -> str:
    """Share of the minority against its probability; the diagonal is perfect."""
    top, bottom, left, right = HEAD, HEAD + SQUARE, 60, 60 + SQUARE
    across = axis([0, 1], left, right, bounded=True, ticks=5)
    up = axis([0, 1], bottom, top, bounded=True, ticks=5)
    parts = [_text(left, 14, f"Share that is {minority}", "head")]
    for tick in up.ticks:
        parts.append(_line(left, up.at(tick), right, up.at(tick), "grid"))
        parts.append(_text(left - 8, up.at(tick) + 4, _number(tick), "soft", "end"))
        parts.append(_text(across.at(tick), bottom + 18, _number(tick), "soft", "middle"))
    parts.append(_text((left + right) / 2, bottom + 38, "probability", "soft", "middle"))
    parts.append(_line(left, bottom, right, top, "zero"))
    for place, curve in enumerate(series):
        path = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in curve.points)
        parts.append(f'<polyline class="curve {curve.role}" points="{path}"/>')
        parts += [_dot(across.at(x), up.at(y), curve.role) for x, y in curve.points]
        legend = HEAD + 20 * (place + 1)
        parts.append(_dot(right + 24, legend - 4, curve.role))
        parts.append(_text(right + 36, legend, curve.name, curve.role))
    return _svg(bottom + 46, parts, "Calibration")


def _labels_apart(ends: Sequence[tuple[float, str, str]], x: float) -> list[str]:
    """Names at the ends of curves, pushed down where they would overlap."""
    parts, free = [], 0.0
    for y, name, role in sorted(ends):
        free = max(y, free)
        parts.append(_text(x, free + 4, name, role))
        free += 17
    return parts


def _names(rows: Sequence[ForestRow]) -> str:
    parts = []
    for place, row in enumerate(rows):
        style = "head" if row.chosen else ""
        parts.append(_text(0, HEAD + ROW * (place + 0.5) + 4, row.name, style))
    return "".join(parts)


def _panel(panel: Panel, rows: Sequence[ForestRow], marks: Sequence[Mark], scale: Axis) -> str:
    bottom = HEAD + ROW * len(rows)
    parts = [_text((scale.begin + scale.end) / 2, 14, panel.title, "head", "middle")]
    for tick in scale.ticks:
        parts.append(_line(scale.at(tick), HEAD, scale.at(tick), bottom, "grid"))
        parts.append(_text(scale.at(tick), bottom + 17, _number(tick), "soft", "middle"))
    parts.append(_line(scale.at(panel.rule), HEAD, scale.at(panel.rule), bottom, "zero"))
    for place, (row, mark) in enumerate(zip(rows, marks, strict=True)):
        y = HEAD + ROW * (place + 0.5)
        parts.append(_line(scale.at(mark.low), y, scale.at(mark.high), y, f"bar {row.role}"))
        parts.append(_dot(scale.at(mark.mean), y, row.role, 5.5 if row.chosen else 4))
    return "".join(parts)


def _svg(height: float, parts: Sequence[str], name: str) -> str:
    label = escape(name, quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, style: str, radius: float = 4) -> str:
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _number(value: float) -> str:
    return f"{value + 0.0:.3f}".rstrip("0").rstrip(".") if abs(value) > 1e-9 else "0"

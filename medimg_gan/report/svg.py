"""What plots are made of: an axis and a few marks, as inline SVG.

No script, no font and no file from outside, sharp in print. Colour and weight follow from classes
(the style sheet of the page; ``raster.py`` for TensorBoard); an arm's role also has its own shape,
so that print without colour tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from matplotlib.ticker import MaxNLocator

WIDTH = 1000
COLOURS = {
    "ink": "#1c2430",
    "soft": "#5b6675",
    "line": "#dde2e8",
    "tint": "#f5f7f9",
    "baseline": "#6a8cb5",
    "synthetic": "#a63c06",
    "probe": "#6f7580",
}
"""By name; the roles' differ in lightness too."""


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


def svg(height: float, parts: Sequence[str], name: str) -> str:
    """A whole plot, ``WIDTH`` wide."""
    label = escape(name, quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[tuple[float, float]], style: str) -> str:
    """A line through points."""
    return f'<polyline class="{style}" points="{_pairs(points)}"/>'


def area(points: Sequence[tuple[float, float]], style: str) -> str:
    """A filled outline."""
    return f'<polygon class="{style}" points="{_pairs(points)}"/>'


def box(x: float, y: float, width: float, height: float, style: str) -> str:
    """A filled rectangle."""
    return (
        f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def dot(x: float, y: float, role: str, radius: float = 4) -> str:
    """The mark of an arm: a square with synthetic slices, a circle without."""
    if role == "synthetic":
        side = 1.8 * radius
        return box(x - side / 2, y - side / 2, side, side, role)
    return f'<circle class="{role}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """Words; ``anchor`` is start, middle or end."""
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def number(value: float) -> str:
    """A number of an axis."""
    return f"{value + 0.0:.3f}".rstrip("0").rstrip(".") if abs(value) > 1e-9 else "0"


def _pairs(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)

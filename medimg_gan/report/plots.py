"""Plots of all arms: forest plots, and scores against the mixing ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medimg_gan.report.svg import (
    WIDTH,
    Axis,
    axis,
    box,
    dot,
    line,
    number,
    path,
    svg,
    text,
)

LABELS = 250
"""Width of the column of names in a forest plot."""
GAP = 44
ROW = 24
HEAD = 30
FOOT = 30
LEAST_STEP = 32
"""Between numbers of an axis, so that they do not run together."""
ROWS_A_PLOT = 36
"""A longer forest plot is cut, so that a page of print holds each part."""
CURVE_HEIGHT = 280
DASHES = ("", "dash1", "dash2", "dash3")
"""Tell curves of one role apart."""


@dataclass(frozen=True)
class Mark:
    """A mean with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ForestRow:
    """One line of a forest plot: a name, a role, and a mark in every panel.

    Neighbouring rows of one ``group`` stand on one stripe.
    """

    name: str
    role: str
    marks: Sequence[Mark]
    chosen: bool = False
    group: str = ""


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


def forest(panels: Sequence[Panel], rows: Sequence[ForestRow], name: str) -> list[str]:
    """A forest plot: a line of marks for every row, a column for every panel.

    Args:
        panels: The columns.
        rows: The lines; more than ``ROWS_A_PLOT`` are dealt evenly over several plots.
        name: What it shows, for those who cannot see it.
    """
    column = (WIDTH - LABELS) / len(panels)
    scales = []
    for place, panel in enumerate(panels):
        begin = LABELS + place * column + GAP / 2
        marks = [row.marks[place] for row in rows]
        values = [end for mark in marks for end in (mark.low, mark.high, mark.mean)]
        scales.append(
            axis(
                [*values, panel.rule],
                begin,
                begin + column - GAP,
                bounded=panel.bounded,
                ticks=max(3, int(column / 85)),
            )
        )
    pieces = -(-len(rows) // ROWS_A_PLOT)
    each = -(-len(rows) // pieces)
    plots = []
    for begin in range(0, len(rows), each):
        some = rows[begin : begin + each]
        parts = _names(some)
        for place, (panel, scale) in enumerate(zip(panels, scales, strict=True)):
            parts += _panel(panel, some, [row.marks[place] for row in some], scale)
        plots.append(svg(HEAD + ROW * len(some) + FOOT, parts, name))
    return plots


def curves(title: str, series: Sequence[Curve], *, rule: float, rule_name: str) -> str:
    """A score against the mixing ratio, with intervals, beside the arm that adds nothing."""
    top, bottom, left, right = HEAD, CURVE_HEIGHT - 2 * FOOT, 60, WIDTH - 220
    values = [end for curve in series for mark in curve.marks for end in (mark.low, mark.high)]
    ratios = [ratio for curve in series for ratio in curve.ratios]
    down = axis([*values, rule], bottom, top, bounded=True, ticks=5)
    low, high = math.log2(min(ratios)), math.log2(max(ratios))
    across = Axis([], low, high, left + 20, right - 20)  # ratios are doubled from one to the next
    parts = [text(left, 14, title, "head")]
    for tick in down.ticks:
        parts.append(line(left, down.at(tick), right, down.at(tick), "grid"))
        parts.append(text(left - 8, down.at(tick) + 4, number(tick), "soft", "end"))
    for ratio in sorted(set(ratios)):
        place = across.at(math.log2(ratio))
        parts.append(text(place, bottom + 20, f"{ratio:g}", "soft", "middle"))
    parts.append(text((left + right) / 2, bottom + 42, "ratio after mixing", "soft", "middle"))
    parts.append(line(left, down.at(rule), right, down.at(rule), "zero"))
    ends = [(down.at(rule), rule_name, "")]
    roles = [curve.role for curve in series]
    for place, curve in enumerate(series):
        shift = 6 * (place - (len(series) - 1) / 2)
        points = [
            (across.at(math.log2(ratio)) + shift, mark)
            for ratio, mark in zip(curve.ratios, curve.marks, strict=True)
        ]
        dash = DASHES[roles[:place].count(curve.role) % len(DASHES)]
        parts.append(path([(x, down.at(mark.mean)) for x, mark in points], _curve(curve, dash)))
        for x, mark in points:
            parts.append(line(x, down.at(mark.low), x, down.at(mark.high), f"bar {curve.role}"))
            parts.append(dot(x, down.at(mark.mean), curve.role))
        ends.append((down.at(curve.marks[-1].mean), curve.name, curve.role))
    parts += labels_apart(ends, right + 12)
    return svg(CURVE_HEIGHT, parts, title)


def _curve(curve: Curve, dash: str) -> str:
    return f"curve {curve.role} {dash}".rstrip()


def labels_apart(ends: Sequence[tuple[float, str, str]], x: float) -> list[str]:
    """Names (y, name, style) at the ends of curves, pushed down where they would overlap."""
    parts, free = [], 0.0
    for y, name, role in sorted(ends):
        free = max(y, free)
        parts.append(text(x, free + 4, name, role))
        free += 17
    return parts


def _names(rows: Sequence[ForestRow]) -> list[str]:
    parts, stripe = [], False
    for place, row in enumerate(rows):
        if place and (not row.group or row.group != rows[place - 1].group):
            stripe = not stripe
        if stripe:
            parts.append(box(0, HEAD + ROW * place, WIDTH, ROW, "stripe"))
        style = "head" if row.chosen else ""
        parts.append(text(4, HEAD + ROW * (place + 0.5) + 4, row.name, style))
    return parts


def _panel(
    panel: Panel, rows: Sequence[ForestRow], marks: Sequence[Mark], scale: Axis
) -> list[str]:
    bottom = HEAD + ROW * len(rows)
    parts = [text((scale.begin + scale.end) / 2, 14, panel.title, "head", "middle")]
    step = scale.at(scale.ticks[1]) - scale.at(scale.ticks[0])
    every = math.ceil(LEAST_STEP / step)
    for place, tick in enumerate(scale.ticks):
        parts.append(line(scale.at(tick), HEAD, scale.at(tick), bottom, "grid"))
        if place % every == 0:
            parts.append(text(scale.at(tick), bottom + 17, number(tick), "soft", "middle"))
    parts.append(line(scale.at(panel.rule), HEAD, scale.at(panel.rule), bottom, "zero"))
    for place, (row, mark) in enumerate(zip(rows, marks, strict=True)):
        y = HEAD + ROW * (place + 0.5)
        parts.append(line(scale.at(mark.low), y, scale.at(mark.high), y, f"bar {row.role}"))
        parts.append(dot(scale.at(mark.mean), y, row.role, 5.5 if row.chosen else 4))
    return parts

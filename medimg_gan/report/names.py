"""How tables and plots of the report name arms and measures, and write a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medimg_gan.report.plots import Mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    Report = dict[str, Any]


def label(report: Report, choice: Mapping[str, Any]) -> str:
    """Title of an arm or of what names it, with its ratio where slices were added."""
    added = next(arm["added"] for arm in report["arms"] if is_arm(arm, choice))
    return f"{choice['title']}, ratio {choice['ratio']:g}" if added else choice["title"]


def is_arm(arm: Mapping[str, Any], choice: Mapping[str, Any]) -> bool:
    """Whether an arm of the list is the chosen one."""
    return (arm["name"], arm["ratio"]) == (choice["name"], choice["ratio"])


def is_chosen(report: Report, arm: Mapping[str, Any]) -> bool:
    """Whether the verdict speaks of the arm."""
    return is_arm(arm, report["reference"]) or is_arm(arm, report["candidate"])


def folds_differ(choice: Mapping[str, Any]) -> bool:
    """Whether folds chose differently; the choice then names what most of them chose."""
    return len({(one["name"], one["ratio"]) for one in choice.get("by_fold", [])}) > 1


def arm_name(report: Report, arm: Mapping[str, Any]) -> str:
    """Title of an arm in plots; the ratio is said where the same arm stands at several."""
    several = sum(other["name"] == arm["name"] for other in report["arms"]) > 1
    return f"{arm['title']} {arm['ratio']:g}" if several else arm["title"]


def mark(values: Mapping[str, float]) -> Mark:
    """A mark of a plot."""
    return Mark(values["mean"], values["low"], values["high"])


def reasons_title(report: Report) -> str:
    """Heading of the reasons."""
    if report["outcome"] == "helped":
        return "What speaks for it"
    return "Likely reason" if len(report["reasons"]) == 1 else "Likely reasons, most likely first"


def detectable(report: Report) -> str:
    """The minimal detectable effect in points, where shares can differ by so much."""
    visible = 100 * report["smallest_visible_difference"]
    return f"{visible:.0f} points" if visible <= 100 else "none, as it would exceed 100 points"


def metric_title(report: Report, name: str) -> str:
    """Heading of a measure."""
    return report["method"].get("metrics", {}).get(name, {}).get("title", name)


def interval_cell(values: Mapping[str, float]) -> str:
    """A mean with its interval below."""
    return f"{values['mean']:.3f}<small>{values['low']:.3f}–{values['high']:.3f}</small>"


def in_points(values: Mapping[str, float]) -> tuple[str, str]:
    """A difference of shares in percentage points, and its interval (never -0.0)."""
    ends = (round(100 * values[end], 1) + 0.0 for end in ("mean", "low", "high"))
    mean, low, high = (f"{end:+.1f}" for end in ends)
    return mean, f"{low} to {high}"


def points_cell(values: Mapping[str, float]) -> str:
    """A difference in percentage points, with its interval below, as HTML."""
    mean, interval = in_points(values)
    return f"{mean}<small>{interval}</small>"


def probability(value: float) -> str:
    """A p value, as HTML."""
    return f"{value:.3f}" if value >= 0.001 else "&lt; 0.001"

"""The synthetic slices themselves: grids, what filters threw away, fidelity, copies."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from medimg_gan.report.pictures import address
from medimg_gan.report.tags import note, table

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

    Report = dict[str, Any]

GridT = TypeVar("GridT")
"""A grid, as slices or as a finished picture."""
THROWN_AWAY = "Thrown away"
"""What the title of the filters' first grid begins with; all grids after it are theirs."""

DIRECTIONS = {
    None: "closest to real is best",
    True: "higher is better",
    False: "lower is better",
}


def pictures(grids: Mapping[str, FloatArray]) -> str:
    """Grids of slices, each under its title."""
    return "".join(
        f'<div class="strip"><b>{escape(title)}</b>'
        f'<img alt="{escape(title, quote=True)}" src="{address(images)}"></div>'
        for title, images in grids.items()
    )


def parted(grids: Mapping[str, GridT]) -> tuple[dict[str, GridT], dict[str, GridT]]:
    """Samples, and from the first "Thrown away" on what filters refused."""
    titles = list(grids)
    first = next((i for i, title in enumerate(titles) if title.startswith(THROWN_AWAY)), None)
    kept = titles[:first]
    return (
        {title: grids[title] for title in kept},
        {title: grids[title] for title in titles if title not in kept},
    )


def filters(report: Report, thrown: Mapping[str, FloatArray]) -> str:
    """How many slices each filter threw away, and which; nothing without filters."""
    found = report.get("filters")
    if not found:
        return ""
    lines = [
        (
            f"{escape(stage['title'])}<small>{escape(stage['about'])}</small>",
            escape(stage["limit"]),
            str(stage["asked"]),
            str(stage["dropped"]),
            f"{stage['kept']}<small>{_share(stage['kept'], stage['asked'])}</small>",
        )
        for stage in found["stages"]
    ]
    heads = ("Filter", "Limit", "Asked about", "Thrown away", "Kept")
    return (
        note(
            f"{found['made']} synthetic slices were made, {found['kept']} different ones used, "
            "as many as needed at most. All filters are fitted on training slices alone."
        )
        + table(heads, lines, style="words")
        + pictures(thrown)
    )


def fidelity(report: Report) -> str:
    """Figures of fidelity and diversity beside those of real slices."""
    found = report.get("fidelity")
    if not found or not found["figures"]:
        return ""
    parts = []
    for group in dict.fromkeys(figure["group"] for figure in found["figures"]):
        some = [figure for figure in found["figures"] if figure["group"] == group]
        lines = [
            (
                f"{escape(figure['title'])}<small>{DIRECTIONS[figure['higher_is_better']]}</small>",
                f"{figure['synthetic']:.3g}",
                f"{figure['real']:.3g}",
            )
            for figure in some
        ]
        heads = (f"{group}, {some[0]['images']} slices", "Synthetic", "Real (floor)")
        parts.append(f"<div>{table(heads, lines)}</div>")
    return f'<div class="pair">{"".join(parts)}</div>' + note(
        f"Features: {found['features']}. Synthetic slices, and as many real training slices, "
        "against as many real test slices: the real column is what perfect slices of the training "
        "patients would reach at this count. A good figure is no proof of help: the trial above is."
    )


def copies(check: Mapping[str, float]) -> str:
    """Distances to the nearest training slice, with their control."""
    medians = (
        ("Synthetic slices", check["synthetic"]),
        ("Real slices of other patients (control)", check["held_out"]),
    )
    return (
        table(
            ("Distance to the nearest training slice", "Median"),
            [(title, f"{median:.3f}") for title, median in medians],
            style="narrow",
        )
        + f"<p>{100 * check['too_close']:.0f} % of the synthetic slices are nearer to a training "
        f"slice than {check['limit']:.3f}; of the real slices of other patients, 5 % are.</p>"
        + note(
            "Root-mean-square pixel distance of slices in [-1, 1], to the minority slices of the "
            "training split. A blurred slice is nearer to everything, so a small distance is a "
            "reason to look, not a proof."
        )
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"

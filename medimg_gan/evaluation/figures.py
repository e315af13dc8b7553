"""The table: each figure of the synthetic slices beside the same figure of real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medimg_gan.evaluation.sets import Material
from medimg_gan.metrics.images import IMAGE_METRICS, OWN_SPACES, ImageSet, Score, compare

ALL = "all"
"""Name of the group that holds every class."""


@dataclass(frozen=True)
class Row:
    """One figure with its floors.

    Attributes:
        group: A class, or ``ALL``.
        count: Images in each of the compared sets.
        score: Held-out real against synthetic.
        floor: Held-out real against training real, at the same counts.
        halves: Mean over halvings of the real patients, at the same counts.
        spread: Standard deviation over the halvings.
    """

    group: str
    count: int
    score: Score
    floor: Score | None
    halves: float | None
    spread: float | None

    @property
    def base(self) -> float | None:
        """What the figure is divided by: the floor, or the halves' mean where there is none."""
        return self.halves if self.floor is None else self.floor.value

    @property
    def ratio(self) -> float | None:
        """Figure over floor; None where the floor cannot be told from zero."""
        base = self.base
        if self.score.value is None or base is None or base <= self._uncertain:
            return None
        return self.score.value / base

    @property
    def ratio_at_least(self) -> float | None:
        """Figure over the most that the floor may be, where it cannot be told from zero."""
        value, base = self.score.value, self.base
        if value is None or base is None or base > self._uncertain or value <= 0:
            return None
        most = max(base, 0.0) + self._uncertain
        return value / most if value > most > 0 else None

    @property
    def _uncertain(self) -> float:
        """Two standard errors (or spreads) of the base; 0 where it has none."""
        if self.floor is not None:
            return 2 * (self.floor.standard_error or 0.0)
        return 2 * (self.spread or 0.0) if self.score.standard_error is not None else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and CSV."""
        metric = IMAGE_METRICS[self.score.metric]
        return {
            "group": self.group,
            "metric": self.score.metric,
            "features": self.score.space,
            "title": self.score.title,
            "better": metric.better,
            "images_per_set": self.count,
            "synthetic": self.score.value,
            "standard_error": self.score.standard_error,
            "train_vs_held_out": self.floor.value if self.floor else None,
            "train_vs_held_out_standard_error": self.floor.standard_error if self.floor else None,
            "halves_mean": self.halves,
            "halves_sd": self.spread,
            "ratio": self.ratio,
            "ratio_at_least": self.ratio_at_least,
        }


def all_rows(material: Material) -> list[Row]:
    """The rows of all classes together, then of each class that has enough slices."""
    groups = {ALL: None} if len(material.classes) > 1 else {}
    groups |= {
        name if len(material.classes) > 1 else ALL: number
        for number, name in enumerate(material.classes)
        if material.counts[number]
    }
    return [row for name, label in groups.items() for row in _rows(material, name, label)]


def _rows(material: Material, group: str, label: int | None) -> list[Row]:
    def part(images: ImageSet) -> ImageSet:
        return images if label is None else images.of_class(label)

    held_out = part(material.held_out)
    scores = compare(held_out, part(material.synthetic))
    floors = compare(held_out, part(material.training)) if material.training else None
    halves = [compare(part(one), part(other)) for one, other in material.halves]
    rows = []
    for place, score in enumerate(scores):
        values = [deal[place].value for deal in halves]
        known = [value for value in values if value is not None]
        rows.append(
            Row(
                group=group,
                count=len(held_out),
                score=score,
                floor=floors[place] if floors else None,
                halves=float(np.mean(known)) if known else None,
                spread=float(np.std(known, ddof=1)) if len(known) > 1 else None,
            )
        )
    return rows


def table(rows: list[Row]) -> str:
    """The rows as aligned text, a block for each group."""
    blocks = []
    head = ("measure", "synthetic", "train-real", "half-half", "ratio", "better")
    for group in dict.fromkeys(row.group for row in rows):
        some = [row for row in rows if row.group == group]
        lines = [head, *(_cells(row) for row in some)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
        aligned = [
            "  ".join(
                cell.ljust(width) if place in (0, 5) else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        title = f"{group}: {some[0].count} synthetic against {some[0].count} held-out real slices"
        blocks.append("\n  ".join([title, *aligned]))
    return "\n\n".join(blocks)


def _cells(row: Row) -> tuple[str, ...]:
    floor = row.floor
    return (
        row.score.title,
        _number(row.score.value, row.score.standard_error),
        _number(floor.value, floor.standard_error) if floor else "-",
        _number(row.halves, row.spread),
        _ratio(row),
        IMAGE_METRICS[row.score.metric].better,
    )


def _ratio(row: Row) -> str:
    if row.ratio is not None:
        return f"{row.ratio:.2f}"
    return "-" if row.ratio_at_least is None else f">{row.ratio_at_least:.1f}"


def _number(value: float | None, error: float | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if error is None else f"{value:.3g} ±{round(error, 12):.2g}"


def cautions(material: Material, *, patients_known: bool, flattered: bool = False) -> list[str]:
    """What a reader must know before believing the figures.

    Args:
        material: What was compared.
        patients_known: Whether slices of one patient are known to be.
        flattered: Whether the held-out patients include those who chose the weights.
    """
    notes = []
    if flattered:
        notes.append(
            "too few test slices for figures of their own: held-out includes the validation "
            "patients, who chose the weights (--weights last was not chosen by anybody)"
        )
    count = sum(material.counts)
    wide = {
        name: of.shape[1]
        for name, of in material.held_out.spaces.items()
        if name not in OWN_SPACES and of.shape[1] > count
    }
    for name, width in wide.items():
        notes.append(
            f"{count} slices in {width} dimensions ({name}): the Fréchet distance is biased "
            "upwards, for real slices too; trust the kernel distance and coverage first"
        )
    if patients_known:
        notes.append(
            "the ± of a kernel distance takes slices for independent; slices of one patient are "
            "alike, so it is larger: the spread of half-half shows what patients do"
        )
    else:
        notes.append(
            "nothing names the patients, so slices of one may be on both sides: the floors are "
            "lower than those of new patients"
        )
    if material.training is None:
        notes.append(
            "none of the training patients are among these data (or the pseudonyms were made "
            "with another key: use the run's --cache): no train-real floor, no check for copies"
        )
    if not material.halves:
        notes.append("too few patients to halve them: no half-half floor")
    left_out = [name for name, n in zip(material.classes, material.counts, strict=True) if n == 0]
    if left_out:
        notes.append(f"too few slices for figures: {', '.join(left_out)}")
    return notes

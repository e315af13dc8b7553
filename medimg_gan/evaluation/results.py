"""An evaluation in words, as JSON and as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medimg_gan.evaluation.figures import Row, table
from medimg_gan.evaluation.sets import Material
from medimg_gan.files import written_aside
from medimg_gan.metrics.images import MEASUREMENTS
from medimg_gan.metrics.measurements import Instrument, distribution_distances
from medimg_gan.runs import write_json

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

ABOVE_CHANCE = 0.3
"""Share of the way from chance to certainty that a classifier must go on real slices for its word
on synthetic ones to count."""
FIGURES, TABLE = "evaluation.json", "figures.csv"


def in_words(
    rows: list[Row],
    copies: dict[str, dict[str, Any]],
    consistency: dict[str, Any] | None,
    notes: list[str],
) -> str:
    """What is printed: the table, then one line for each check and caution."""
    lines = [
        table(rows),
        "",
        "  train-real: the same figure for training slices against the held-out ones, equal counts",
        "  half-half: for two halves of the real patients, mean ± spread over deals",
        "  ratio: synthetic over train-real (over half-half where there is none); 1.00 is what "
        "real slices reach,",
        "  '>' where the floor cannot be told from 0 (then over the floor and two standard errors)",
    ]
    lines += [_of_copies(space, check) for space, check in copies.items()]
    lines += [_of_classes(consistency)] if consistency else []
    return "\n".join([*lines, *(f"  note: {note}" for note in notes)])


def _of_copies(space: str, check: dict[str, Any]) -> str:
    return (
        f"  copies ({space}): {100 * check['too_close']:.1f} % of the synthetic slices lie closer "
        f"to one of {check['training_slices']} training slices than 95 % of held-out slices do "
        f"(5 % without copying); median distance {check['synthetic']:.3g}, held-out "
        f"{check['held_out']:.3g}"
    )


def of_duplicates(check: dict[str, Any]) -> str:
    """The search for duplicates, in a line."""
    return (
        f"  duplicates: {check['duplicates']} of {check['samples']} synthetic slices lie closer to "
        f"another than the two closest real ones do to each other ({check['limit']:.3g}; the "
        f"closest pair {check['closest']:.3g})"
    )


def _of_classes(consistency: dict[str, Any]) -> str:
    by_class = ", ".join(f"{name} {value:.2f}" for name, value in consistency["by_class"].items())
    chance = 1 / len(consistency["by_class"])
    void = consistency["real"] < chance + ABOVE_CHANCE * (1 - chance)
    return (
        "  classes: a classifier of real slices reaches balanced accuracy "
        f"{consistency['real']:.2f} on {consistency['real_slices']} test slices, "
        f"{consistency['synthetic']:.2f} on synthetic ones ({by_class})"
        + ("; it cannot tell real ones apart, so this says nothing" if void else "")
    )


def write_results(
    folder: Path, rows: list[Row], material: Material, instrument: Instrument, **facts: Any
) -> None:
    """Write ``evaluation.json`` (figures, distance of each measurement, ``facts``) and a CSV."""
    figures = [row.as_dict() for row in rows]
    reference = material.held_out.spaces[MEASUREMENTS]
    compared = {"synthetic": material.synthetic, "train_vs_held_out": material.training}
    distances = {
        kind: _plain(distribution_distances(reference, of.spaces[MEASUREMENTS]))
        for kind, of in compared.items()
        if of is not None
    }
    by_measurement = {
        name: {kind: values[place] for kind, values in distances.items()}
        for place, name in enumerate(instrument.names)
    }
    content = {"figures": figures, "measurement_distances_in_real_sd": by_measurement, **facts}
    write_json(folder / FIGURES, content)
    with written_aside(folder / TABLE) as aside:
        pd.DataFrame(figures).to_csv(aside, index=False)


def _plain(values: FloatArray) -> list[float | None]:
    """JSON knows no NaN."""
    return [float(value) if value == value else None for value in values]

"""Pictures of an evaluation: measurements, spectra, and samples beside their nearest neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.evaluation.plan import RealSlices
from medimg_gan.evaluation.sets import Material
from medimg_gan.files import written_aside
from medimg_gan.imaging import write_picture
from medimg_gan.metrics.images import MEASUREMENTS, PIXELS
from medimg_gan.metrics.measurements import Instrument, correlations, distribution_distances
from medimg_gan.metrics.neighbours import nearest
from medimg_gan.metrics.spectrum import LEAST_POWER, radial_power
from medimg_gan.slices import spread_over

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from medimg_gan.types import FloatArray

SHOWN = 12
"""Slices in a row of the strip."""
GAP = 2
LEAST_SIDE = 128
"""Slices smaller than this are enlarged."""
COLOURS = {"held-out": "#444444", "training": "#5b8db8", "synthetic": "#c8553d"}


def plot_measurements(material: Material, instrument: Instrument, path: Path) -> None:
    """Distributions of the measurements, then their correlations, real beside synthetic."""
    sets = _sets(material, MEASUREMENTS)
    real, made = sets["held-out"], sets["synthetic"]
    distances = distribution_distances(real, made)
    figure = _figure(12, 10.5)
    grid = figure.add_gridspec(3, 1, height_ratios=(1, 1, 1.5), hspace=0.45)
    columns = -(-len(instrument.names) // 2)
    for place, name in enumerate(instrument.names):
        cell = grid[place // columns].subgridspec(1, columns, wspace=0.1)[place % columns]
        axes = figure.add_subplot(cell)
        found = np.concatenate([of[:, place] for of in sets.values()])
        found = found[np.isfinite(found)]
        edges = np.histogram_bin_edges(found, 24).tolist()
        for kind, of in sets.items():
            values = of[:, place][np.isfinite(of[:, place])]
            axes.hist(values, edges, histtype="step", color=COLOURS[kind], label=kind)
        axes.set_title(f"{name}\ndistance {distances[place]:.2f} SD", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_yticks([])
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    _matrices(figure, grid[2], instrument.names, correlations(real), correlations(made))
    _save(figure, path)


def _matrices(
    figure: Figure, place: object, names: tuple[str, ...], real: FloatArray, made: FloatArray
) -> None:
    """Correlations of held-out and synthetic measurements, and their difference."""
    panels = {"held-out: rank correlations": real, "synthetic": made, "difference": made - real}
    parts = place.subgridspec(1, 3, wspace=0.1)  # type: ignore[attr-defined]
    short = [name.partition(" [")[0] for name in names]
    for number, (title, matrix) in enumerate(panels.items()):
        axes = figure.add_subplot(parts[number])
        axes.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu_r")
        axes.set_title(title, fontsize=9)
        axes.set_xticks(range(len(short)), short, rotation=90, fontsize=7)
        axes.set_yticks(range(len(short)), short if number == 0 else [], fontsize=7)
    panels_drawn = figure.axes[-len(panels) :]
    figure.colorbar(panels_drawn[0].images[0], ax=panels_drawn, shrink=0.7)


def plot_spectra(material: Material, path: Path) -> None:
    """Mean radial power by frequency."""
    figure = _figure(6.5, 4)
    axes = figure.subplots()
    for kind, images in _sets(material, PIXELS).items():
        power = radial_power(images).mean(axis=0)
        frequency = np.arange(1, len(power) + 1)
        decibels = 10 * np.log10(power + LEAST_POWER)
        axes.plot(frequency, decibels, color=COLOURS[kind], label=kind)
    axes.set_xlabel("cycles per image")
    axes.set_ylabel("power [dB]")
    axes.set_xscale("log", base=2)
    axes.legend()
    _save(figure, path)


def draw_neighbours(material: Material, real: RealSlices, path: Path) -> None:
    """Rows: samples, their nearest training slices; the samples nearest to one, and those."""
    made = material.synthetic.spaces[PIXELS]
    spread = spread_over(len(made), SHOWN)
    if not real.trained.any():
        write_picture((_grid([made[spread]]) + 1) / 2, path)
        return
    training = real.images[real.trained]
    distances, indices = nearest(made, training)
    closest = np.argsort(distances, kind="stable")[:SHOWN]
    rows = [images for chosen in (spread, closest) for images in
            (made[chosen], training[indices[chosen]])]  # fmt: skip
    write_picture((_grid(rows) + 1) / 2, path)


def _grid(rows: list[FloatArray]) -> FloatArray:
    """Rows of (n, 1, H, W) as one picture, white lines between."""
    margin = ((0, 0), (0, GAP), (0, GAP))
    lines = [
        np.concatenate(list(np.pad(row[:, 0], margin, constant_values=1.0)), axis=1) for row in rows
    ]
    picture = np.concatenate(lines)
    enlarged = max(1, LEAST_SIDE // rows[0].shape[-1])
    return picture.repeat(enlarged, axis=0).repeat(enlarged, axis=1)


def _sets(material: Material, space: str) -> dict[str, FloatArray]:
    sets = {"held-out": material.held_out, "training": material.training,
            "synthetic": material.synthetic}  # fmt: skip
    return {name: of.spaces[space] for name, of in sets.items() if of is not None}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    with written_aside(path) as aside:
        figure.savefig(aside)

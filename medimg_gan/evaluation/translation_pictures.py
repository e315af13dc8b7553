"""A picture of one scan: source, translated, truth and error, in each window and reformatted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medimg_gan.modalities.ct import WINDOWS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medimg_gan.imaging import Volume
    from medimg_gan.types import FloatArray

SHOWN_WINDOWS = {"full": 1000.0, "bone": 500.0, "brain": 40.0}
"""CT windows from top to bottom, and the error in HU at the ends of each colour bar."""
ABOVE_MIDDLE = 0.55
"""Height of the axial slice: a little above the middle, where the ventricles are."""
CELL = 2.35
"""Side of a cell in inches."""


@dataclass(frozen=True)
class Shown:
    """What is drawn of one scan; volumes on one grid.

    Attributes:
        source: The scan that was translated.
        made: Its translation.
        truth: (I, J, K) true values, or None where nobody has them.
        low: Value that is black in the target, where it has no HU.
        high: Value that is white.
    """

    source: Volume
    made: Volume
    truth: FloatArray | None
    low: float
    high: float


@dataclass(frozen=True)
class _Row:
    name: str
    coronal: bool
    low: float
    high: float
    error: float


def draw(shown: Shown) -> bytes:
    """PNG with a row for each window (one where values are no HU), and a coronal reformat."""
    from matplotlib.figure import Figure

    rows = _rows(shown)
    columns = 4 if shown.truth is not None else 2
    heights = [_height(shown.source, row.coronal) for row in rows]
    figure = Figure(
        figsize=(CELL * columns + 0.9, CELL * sum(heights) + 0.3), dpi=100, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.0, hspace=0.0)  # type: ignore[union-attr]
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for row, axes in zip(rows, grid, strict=True):
        _draw_row(figure, row, list(axes), shown)
    for axes, title in zip(grid[0], ("source", "translated", "truth", "error"), strict=False):
        axes.set_title(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def as_pixels(png: bytes) -> FloatArray:
    """(H, W, 3) in [0, 1] of a PNG, for TensorBoard."""
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"), np.float32) / 255


def _rows(shown: Shown) -> list[_Row]:
    if shown.made.unit == "HU":
        rows = [_Row(f"{name} [HU]", False, *WINDOWS[name], SHOWN_WINDOWS[name])
                for name in SHOWN_WINDOWS]  # fmt: skip
    else:
        span = shown.high - shown.low
        rows = [_Row("axial", False, shown.low, shown.high, span / 2)]
    if shown.source.array.shape[2] > 1:
        first = rows[0]
        rows.append(_Row("coronal", True, first.low, first.high, first.error))
    return rows


def _height(volume: Volume, coronal: bool) -> float:
    """Height of a cell over its width, in mm."""
    size = [count * step for count, step in zip(volume.array.shape, volume.spacing, strict=True)]
    return size[2 if coronal else 1] / size[0]


def _draw_row(figure: Figure, row: _Row, axes: list[Axes], shown: Shown) -> None:
    source, made = shown.source.array, shown.made.array
    low, high = (float(value) for value in np.percentile(source, (0.5, 99.8)))
    _cut(axes[0], source, shown.source, row, low, high)
    drawn = _cut(axes[1], made, shown.source, row, row.low, row.high)
    axes[0].set_ylabel(row.name, fontsize=9)
    if shown.truth is None:
        figure.colorbar(drawn, ax=axes[1], shrink=0.85).ax.tick_params(labelsize=7)
        return
    drawn = _cut(axes[2], shown.truth, shown.source, row, row.low, row.high)
    figure.colorbar(drawn, ax=axes[2], shrink=0.85).ax.tick_params(labelsize=7)
    error = made - shown.truth
    drawn = _cut(axes[3], error, shown.source, row, -row.error, row.error, "RdBu_r")
    figure.colorbar(drawn, ax=axes[3], shrink=0.85).ax.tick_params(labelsize=7)


def _cut(axes: Axes, values: FloatArray, grid: Volume, row: _Row, low: float, high: float,
         colours: str = "gray"):  # fmt: skip
    """One slice as radiologists turn it: right on the left, front (or head) at the top."""
    right, front, up = grid.spacing
    if row.coronal:
        plane, aspect = values[::-1, values.shape[1] // 2, ::-1].T, up / right
    else:
        k = min(int(ABOVE_MIDDLE * values.shape[2]), values.shape[2] - 1)
        plane, aspect = values[::-1, ::-1, k].T, front / right
    axes.set_xticks([])
    axes.set_yticks([])
    # Voxels as they are: interpolation would hide stripes.
    return axes.imshow(plane, colours, vmin=low, vmax=high, aspect=aspect, interpolation="nearest")

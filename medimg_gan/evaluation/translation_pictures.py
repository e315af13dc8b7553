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
    from matplotlib.image import AxesImage

    from medimg_gan.imaging import Volume
    from medimg_gan.types import FloatArray

SHOWN_WINDOWS = {"full": 1000.0, "bone": 500.0, "brain": 40.0}
"""CT windows from top to bottom, and the error in HU at the ends of each colour bar."""
ABOVE_MIDDLE = 0.55
"""Height of the axial slice: a little above the middle, where the ventricles are."""
CELL = 2.35
"""Width of a picture in inches."""
BAR = 0.29
"""Width of a colour bar and its numbers, in pictures."""
BAR_HEIGHT = 0.88
"""Height of a colour bar in its row: the last number of one must not touch the next one's first."""
HEAD = 0.3
"""Height of the titles in inches."""


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
    titles, widths = ["source", "translated"], [1.0, 1.0, BAR]
    if shown.truth is not None:
        titles, widths = [*titles, "truth", "error"], [1.0, 1.0, 1.0, BAR, 1.0, BAR]
    heights = [_height(shown.source, row.coronal) for row in rows]
    width, height = CELL * sum(widths), CELL * sum(heights) + HEAD
    figure = Figure(figsize=(width, height), dpi=100)
    # Placed by hand: matplotlib's own layouts take seconds for so many axes.
    grid = figure.add_gridspec(
        len(rows), len(widths), width_ratios=widths, height_ratios=heights, wspace=0.02,
        hspace=0.03, left=0.03, right=1 - 0.45 / width, top=1 - HEAD / height, bottom=0.01,
    )  # fmt: skip
    for number, row in enumerate(rows):
        axes = [figure.add_subplot(grid[number, place]) for place in range(len(widths))]
        _draw_row(figure, row, axes, shown)
        if number == 0:
            pictures = [one for one, share in zip(axes, widths, strict=True) if share == 1]
            for one, title in zip(pictures, titles, strict=True):
                one.set_title(title, fontsize=10)
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
    """Pictures, and a colour bar beside those of the target and beside the error."""
    source, made, truth = shown.source, shown.made.array, shown.truth
    low, high = (float(value) for value in np.percentile(source.array, (0.5, 99.8)))
    _cut(axes[0], source.array, source, row, low, high)
    axes[0].set_ylabel(row.name, fontsize=9)
    drawn = _cut(axes[1], made, source, row, row.low, row.high)
    if truth is None:
        _bar(figure, drawn, axes[2])
        return
    _bar(figure, _cut(axes[2], truth, source, row, row.low, row.high), axes[3])
    error = _cut(axes[4], made - truth, source, row, -row.error, row.error, "RdBu_r")
    _bar(figure, error, axes[5])


def _bar(figure: Figure, drawn: AxesImage, axes: Axes) -> None:
    place = axes.get_position(original=True)
    gap = (1 - BAR_HEIGHT) / 2 * place.height
    axes.set_position((place.x0, place.y0 + gap, place.width, BAR_HEIGHT * place.height))
    axes.set_anchor("W")
    axes.set_box_aspect(15)
    figure.colorbar(drawn, cax=axes)
    axes.tick_params(labelsize=7)


def _cut(axes: Axes, values: FloatArray, grid: Volume, row: _Row, low: float, high: float,
         colours: str = "gray") -> AxesImage:  # fmt: skip
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

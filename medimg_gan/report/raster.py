"""The plots of the page as pixels, for other readers than a browser: its SVG, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Polygon, Rectangle
from matplotlib.text import Text

from medimg_gan.report.svg import COLOURS, WIDTH

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    Pixels = np.ndarray[Any, np.dtype[np.uint8]]

DOTS = 1.5
"""Pixels per unit of a plot, as TensorBoard shows them."""
INCH = 100
WIDTHS = {"bar": 2.5, "curve": 2.0, "grid": 1.0}
DASHED = {"zero": (3, 3), "dash1": (7, 4), "dash2": (2, 3), "dash3": (8, 3, 2, 3), "guess": (1, 3)}
OTHER_COLOURS = {"grid": "line", "stripe": "tint", "guess": "soft"}
ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def as_pixels(plot: str, dots: float = DOTS) -> Pixels:
    """Draw what ``svg.py`` writes; the style sheet of the page says the same of each class.

    Args:
        plot: SVG of lines, outlines, rectangles, circles and words.
        dots: Pixels per unit.

    Returns:
        (height, width, 3).
    """
    root = ElementTree.fromstring(plot)
    height = float(root.attrib["viewBox"].split()[3])
    figure = Figure((WIDTH / INCH, height / INCH), dpi=INCH * dots)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    for order, element in enumerate(root):
        artist = _artist(element)
        artist.set_zorder(order)
        axes.add_artist(artist)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _artist(element: ElementTree.Element) -> Artist:
    words = element.get("class", "").split()
    colour = _colour(words)
    if element.tag == "text":
        x, y = _floats(element, "x", "y")
        return Text(
            x,
            y,
            element.text or "",
            color=colour,
            fontsize=9 if "soft" not in words else 8.5,
            fontweight="bold" if "head" in words else "normal",
            horizontalalignment=ANCHORS[element.get("text-anchor", "start")],  # type: ignore[arg-type]
        )
    if element.tag in ("line", "polyline"):
        return _line(element, words, colour)
    shape = _shape(element)
    shape.set(color=colour, linewidth=0, alpha=0.16 if "band" in words else 1)
    return shape


def _line(element: ElementTree.Element, words: list[str], colour: str) -> Line2D:
    if element.tag == "polyline":
        across, up = _points(element).T
    else:
        across, up = np.array(_floats(element, "x1", "x2")), np.array(_floats(element, "y1", "y2"))
    width = next((WIDTHS[word] for word in words if word in WIDTHS), 1.0)
    dashes = next((DASHED[word] for word in words if word in DASHED), None)
    style = (0, tuple(part / width for part in dashes)) if dashes else "-"
    drawn = Line2D(across, up, color=colour, linewidth=0.72 * width)
    drawn.set_linestyle(style)
    return drawn


def _shape(element: ElementTree.Element) -> Patch:
    if element.tag == "circle":
        x, y, radius = _floats(element, "cx", "cy", "r")
        return Circle((x, y), radius)
    if element.tag == "rect":
        x, y, width, height = _floats(element, "x", "y", "width", "height")
        return Rectangle((x, y), width, height)
    return Polygon(_points(element))


def _colour(words: list[str]) -> str:
    names = [OTHER_COLOURS.get(word, word) for word in words]
    return next((COLOURS[name] for name in names if name in COLOURS), COLOURS["ink"])


def _floats(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.attrib[name]) for name in names]


def _points(element: ElementTree.Element) -> np.ndarray[Any, Any]:
    return np.array([pair.split(",") for pair in element.attrib["points"].split()], dtype=float)

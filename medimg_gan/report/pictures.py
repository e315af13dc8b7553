"""Slices as grids inside the page, and out of it again."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

COLUMNS = 12
LEAST_SIDE = 128
"""Slices smaller than this are enlarged, so that they stay clear in print."""
MARGIN = 2
PNG = "data:image/png;base64,"


def grid(images: FloatArray) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Slices in rows of twelve, black where a row is not full: a page shows all at one scale.

    Args:
        images: (n, 1, H, W) in [-1, 1], n at least 1; shown in 8 bits, for the eye only.

    Returns:
        (height, width) grey levels.
    """
    grey = np.round((np.clip(images[:, 0], -1, 1) + 1) * 127.5).astype(np.uint8)
    padded = np.pad(grey, ((0, -len(grey) % COLUMNS), (0, MARGIN), (0, MARGIN)))
    rows = [
        np.concatenate(list(padded[begin : begin + COLUMNS]), axis=1)
        for begin in range(0, len(padded), COLUMNS)
    ]
    whole = np.concatenate(rows)[:-MARGIN, :-MARGIN]
    scale = max(1, -(-LEAST_SIDE // grey.shape[1]))
    picture = Image.fromarray(whole)
    size = picture.width * scale, picture.height * scale
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))


def address(images: FloatArray) -> str:
    """A :func:`grid` as the ``data:`` address of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(grid(images)).save(buffer, format="PNG", optimize=True)
    return PNG + base64.b64encode(buffer.getvalue()).decode("ascii")


def shown_in(page: str) -> dict[str, bytes]:
    """The grids of a ``report.html``: title -> PNG, in their order."""
    reader = _Grids()
    reader.feed(page)
    return reader.found


class _Grids(HTMLParser):
    """Keeps every picture that lies in the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, bytes] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        head, comma, data = (facts.get("src") or "").partition(PNG)
        if tag == "img" and comma and not head:
            self.found[facts.get("alt") or ""] = base64.b64decode(data)

"""Sheets of images with words beside them, and animations: for the eye, in 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medimg_gan.files import new_file

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

LEAST_SIDE = 96
"""Images smaller than this are enlarged by a whole number."""
GAP, WORDS, FONT_SIZE = 4, 22, 14
FRAME_MS = 80
PAPER, INK = 255, 0


def enlarged(images: FloatArray) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> (N, h, w) uint8; of adjacent slices the middle one is shown."""
    middle = images[:, images.shape[1] // 2]
    grey = np.round((np.clip(middle, -1, 1) + 1) * 127.5).astype(np.uint8)
    factor = max(1, -(-LEAST_SIDE // grey.shape[1]))
    size = (grey.shape[2] * factor, grey.shape[1] * factor)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BICUBIC)) for one in grey]
    )


def sheet(rows: Sequence[tuple[str, FloatArray]], heads: Sequence[str] = ()) -> Image.Image:
    """Rows of images, each below its title.

    Args:
        rows: Title and images (n, C, H, W) in [-1, 1], all of one size.
        heads: Words above the columns.
    """
    font = ImageFont.load_default(FONT_SIZE)
    tiles = [(title, enlarged(images)) for title, images in rows]
    height, width = tiles[0][1].shape[1:]
    columns = max(len(images) for _, images in tiles)
    top = WORDS if heads else 0
    titles = [WORDS if title else 0 for title, _ in tiles]
    across = GAP + columns * (width + GAP)
    down = GAP + top + sum(titles) + len(tiles) * (height + GAP)
    picture = Image.new("L", (across, down), PAPER)
    draw = ImageDraw.Draw(picture)
    for column, head in enumerate(heads):
        draw.text((GAP + column * (width + GAP), GAP), head, INK, font)
    y = GAP + top
    for (title, images), words in zip(tiles, titles, strict=True):
        if title:
            draw.text((GAP, y), title, INK, font)
        y += words
        for column, image in enumerate(images):
            picture.paste(Image.fromarray(image), (GAP + column * (width + GAP), y))
        y += height + GAP
    return picture


def write_sheet(
    path: Path, rows: Sequence[tuple[str, FloatArray]], heads: Sequence[str] = ()
) -> None:
    """:func:`sheet` as a PNG that appears complete.

    Raises:
        DataError: If the file cannot be written.
    """
    with new_file(path) as aside:
        sheet(rows, heads).save(aside, format="PNG", optimize=True)


def write_animation(path: Path, frames: FloatArray) -> None:
    """An endless GIF, there and back.

    Args:
        path: Ends in ``.gif``.
        frames: (T, R, C, H, W) in [-1, 1]: R images side by side at each of T moments.

    Raises:
        DataError: If the file cannot be written.
    """
    wide = [np.concatenate(list(enlarged(moment)), axis=1) for moment in frames]
    pictures = [Image.fromarray(moment) for moment in [*wide, *wide[-2:0:-1]]]
    with new_file(path) as aside:
        pictures[0].save(
            aside, format="GIF", save_all=True, append_images=pictures[1:],
            duration=FRAME_MS, loop=0,
        )  # fmt: skip

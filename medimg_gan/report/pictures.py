"""Slices as strips inside the page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

LEAST_SIDE = 128
"""Slices smaller than this are enlarged, so that they stay clear in print."""
MARGIN = 2


def strip(images: FloatArray) -> str:
    """Slices side by side as a ``data:`` address of a PNG.

    Args:
        images: (n, 1, H, W) in [-1, 1]; shown in 8 bits, for the eye only.
    """
    grey = np.round((np.clip(images[:, 0], -1, 1) + 1) * 127.5).astype(np.uint8)
    padded = np.pad(grey, ((0, 0), (0, 0), (0, MARGIN)))
    row = np.concatenate(list(padded), axis=1)[:, :-MARGIN]
    scale = max(1, -(-LEAST_SIDE // grey.shape[1]))
    picture = Image.fromarray(row)
    picture = picture.resize(
        (picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC
    )
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

"""PNG, JPEG and TIFF pictures: one slice without geometry."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageOps

from medimg_gan.errors import UnreadableError
from medimg_gan.files import new_file
from medimg_gan.imaging.untrusted import refused
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
NOT_READABLE = "not a readable picture"
LARGEST = 2**26
"""Pixels beyond which a header is taken for damaged; a radiograph has 2^24."""
LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue (ITU-R BT.601)."""
DEEP_MODES = ("I;16", "I;16L", "I;16B", "I", "F")
"""Pillow's names for more than 8 bits of grey."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # what matters is refused; floods help nobody

EXIF_ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def luminance(colour: np.ndarray) -> FloatArray:
    """(H, W, 3 or 4) red, green, blue of any range -> (H, W) float32 of the same range."""
    grey = np.empty(colour.shape[:-1], np.float32)
    for row, values in zip(grey, colour, strict=True):  # at once it would take 9 times the memory
        row[:] = values[:, :3] @ LUMINANCE
    return grey


def picture_shape(path: Path) -> tuple[int, int, int]:
    """(width, height, 1) from the header alone.

    Raises:
        UnreadableError: If the file is damaged, or holds several pictures.
    """
    with refused(path, NOT_READABLE), Image.open(path) as image:
        width, height = image.size
        if width * height > LARGEST:
            raise UnreadableError(
                f"{path}: the header claims {width} x {height} pixels",
                cause="a damaged header, or a file made to fill memory",
            )
        frames = getattr(image, "n_frames", 1)
        turned = image.getexif().get(EXIF_ORIENTATION) in TURNED
    if frames > 1:
        raise UnreadableError(
            f"{path}: {frames} pictures in one file",
            cause="a stack or an animation without geometry",
            fix="save one picture per file, or convert it to NIfTI",
        )
    return (height, width, 1) if turned else (width, height, 1)


def read_picture(path: Path, modality: str = "") -> Volume:
    """Decode one picture; row 0 is its top, column 0 the patient's right (radiological).

    8 bits give grey levels 0..255 (unit "display"), more bits their own values ("signal");
    colour becomes luminance. The grid is 1 mm by assumption.

    Args:
        path: A PNG, JPEG or TIFF.
        modality: What to call it.

    Returns:
        (width, height, 1) values: ``array[i, j, 0]`` is row ``height - 1 - j``, column
        ``width - 1 - i``.

    Raises:
        UnreadableError: If the file is damaged, or holds several pictures.
    """
    picture_shape(path)
    with refused(path, NOT_READABLE), Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        unit = "signal" if upright.mode in DEEP_MODES else "display"
        deep_or_grey = upright.mode in (*DEEP_MODES, "L")
        pixels = np.asarray(upright if deep_or_grey else upright.convert("RGB"))
    values = luminance(pixels) if pixels.ndim == 3 else pixels.astype(np.float32)
    if not np.isfinite(values).all():
        raise UnreadableError(f"{path}: NaN or infinite values")
    array = np.ascontiguousarray(values[::-1, ::-1].T[:, :, np.newaxis])
    return Volume(array, np.eye(4), modality, unit, "LPS", {"format": "picture"})


def write_picture(image: FloatArray, path: Path, bits: Literal[8, 16] = 16) -> Path:
    """Write a grey PNG in which 0 is black and 1 is white.

    Args:
        image: (H, W) in [0, 1], row 0 at the top; values outside are clipped.
        path: Ends in ``.png``; replaced if it exists.
        bits: Of a grey level; 8 only for readers that know no more.

    Returns:
        ``path``.

    Raises:
        DataError: If the file cannot be written.
    """
    assert image.ndim == 2, image.shape
    levels = np.clip(image, 0, 1) * (2**bits - 1)
    grey = np.rint(levels).astype(np.uint16 if bits == 16 else np.uint8)
    with new_file(path) as aside:
        Image.fromarray(grey).save(aside, format="PNG")
    return path

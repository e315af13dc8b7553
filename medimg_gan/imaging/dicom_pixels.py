"""Decode the pixels of a DICOM data set; what its compressed frames claim is checked first."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.dicom_kind import syntax_name, transfer_syntax
from medimg_gan.imaging.untrusted import refused

DECODER = "pylibjpeg"
"""Decodes every compression. Of the others that pydicom would try where they are installed, gdcm
ends the process on damaged JPEG 2000, and pyjpegls never comes back from damaged JPEG-LS."""
START_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG and, the last, of JPEG-LS."""
J2K_START = b"\xff\x4f\xff\x51"
MOST_TILES = 4096
"""A JPEG 2000 decoder keeps some kilobytes for each tile before it has seen one."""


def stored_frames(dataset: Dataset, path: Path) -> np.ndarray:
    """Decode all frames.

    Args:
        dataset: With its pixels.
        path: Where it came from.

    Returns:
        (frames, rows, columns[, 3]) as stored, colour as RGB.

    Raises:
        UnreadableError: If the pixels are damaged or their compression is not supported.
    """
    syntax = transfer_syntax(dataset)
    cause = "a truncated file, or a compression that is not supported"
    problem = f"pixels cannot be decoded ({syntax_name(dataset)})"
    frames = int(dataset.get("NumberOfFrames") or 1)
    with refused(path, problem, cause=cause):
        if _is_encapsulated(syntax):
            _refuse_other_sizes(dataset, path, syntax, frames)
            stored = pixel_array(dataset, decoding_plugin=DECODER)
        else:
            stored = pixel_array(dataset)
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            stored = apply_color_lut(stored, dataset)
    return stored if frames > 1 else stored[np.newaxis]


def _is_encapsulated(syntax: uid.UID) -> bool:
    return not syntax.is_private and syntax.is_transfer_syntax and syntax.is_encapsulated


def _refuse_other_sizes(dataset: Dataset, path: Path, syntax: uid.UID, frames: int) -> None:
    """Decoders believe the frame's own header, whatever the data set says: they must agree."""
    if syntax == uid.RLELossless:
        return  # has no size of its own
    expected = (int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel))
    for frame in generate_frames(dataset.PixelData, number_of_frames=frames):
        found = _jpeg_2000_size(frame) if J2K_START in frame[:256] else _jpeg_size(frame)
        if found != expected:
            raise UnreadableError(
                f"{path}: a frame of another size than the header says ({syntax_name(dataset)})",
                observed="rows, columns, channels "
                + (f"{found}, expected {expected}" if found else "are not in the frame"),
                cause="a damaged file",
                fix="copy or export it again",
            )


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns, components from the start of frame (ISO 10918-1 B.2.2, 14495-1 C.2.2)."""
    place = 2
    while place + 10 <= len(frame):
        if frame[place] != 0xFF:
            return None
        marker = frame[place + 1]
        if marker == 0xFF:  # fill byte
            place += 1
        elif marker in START_OF_FRAME:
            return struct.unpack(">HHB", frame[place + 5 : place + 10])
        else:
            place += 2 + int.from_bytes(frame[place + 2 : place + 4])
    return None


def _jpeg_2000_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns, components from SIZ (ISO 15444-1 A.5.1); None for too many tiles."""
    fields = frame[frame.index(J2K_START) + 8 :][:34]
    if len(fields) < 34:
        return None
    right, bottom, left, top, wide, high, tiles_left, tiles_top, components = struct.unpack(
        ">8IH", fields
    )
    if not wide or not high:
        return None
    across, down = math.ceil((right - tiles_left) / wide), math.ceil((bottom - tiles_top) / high)
    return None if across * down > MOST_TILES else (bottom - top, right - left, components)

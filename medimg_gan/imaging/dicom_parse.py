"""Parse one DICOM file without trusting it."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread, uid
from pydicom.filereader import _read_file_meta_info, read_preamble

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.untrusted import ROOM, grows_too_much, refused

CHUNK = 2**20

# pydicom's warnings quote values. For the whole process and at import, since catching warnings by
# turns is not safe with threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom(\.|$)")


def parsed(path: Path, tags: Sequence[str] = ()) -> tuple[Dataset, int]:
    """A file's data set, and how many bytes of the file lie behind what was read.

    Args:
        path: The file.
        tags: Keywords to read; the pixels are then left alone. None: everything.

    Raises:
        UnreadableError: If the file is damaged, or would inflate beyond measure.
    """
    with refused(path, "not a readable DICOM file"), path.open("rb") as file:
        _refuse_inflation(file, path)
        if tags:
            dataset = dcmread(file, stop_before_pixels=True, specific_tags=list(tags), force=True)
        else:
            dataset = dcmread(file, force=True)
        return dataset, os.fstat(file.fileno()).st_size - file.tell()


def _refuse_inflation(file: BinaryIO, path: Path) -> None:
    """Inflate a deflated file by pieces that are thrown away: pydicom does it in one go."""
    read_preamble(file, force=True)
    syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        start, size = file.tell(), os.fstat(file.fileno()).st_size
        inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while piece := inflater.unconsumed_tail or file.read(CHUNK):
            inflated += len(inflater.decompress(piece, CHUNK))
            if inflater.eof:
                break
            if grows_too_much(inflated, size - start):
                raise UnreadableError(
                    f"{path}: inflates to more than {ROOM >> 20} MiB",
                    observed=f"from {size - start} bytes",
                    cause="a damaged file, or one made to fill memory",
                )
    file.seek(0)

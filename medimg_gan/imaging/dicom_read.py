"""Decode one DICOM series into a :class:`Volume`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, dcmread, uid
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import orientation
from medimg_gan.imaging.dicom_header import SliceHeader, headers_of
from medimg_gan.imaging.dicom_kind import LeftOutError
from medimg_gan.imaging.dicom_series import checked_stack
from medimg_gan.imaging.picture import luminance
from medimg_gan.imaging.series import DICOM_MODALITIES
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


def read_dicom(paths: Sequence[Path], modality: str = "") -> Volume:
    """Decode the files of one series, given in any order.

    Values are rescaled slice by slice (CT: HU); MONOCHROME1 is inverted unless in HU; padding
    becomes the lowest real value; colour becomes luminance in 0..255 without geometry.

    Args:
        paths: One file per slice, or one enhanced multi-frame file.
        modality: Overrides the files' own, unless "".

    Returns:
        The volume, axes nearest to RAS+.

    Raises:
        UnreadableError: If a file is damaged or its compression is not supported.
        DicomGeometryError: If the slices do not form one regular volume.
    """
    datasets = {path: _dataset(path) for path in paths}
    syntaxes = {_syntax(dataset) for dataset in datasets.values()}
    grid = checked_stack(
        [header for path, dataset in datasets.items() for header in _headers(dataset, path)]
    )
    places: dict[Path, list[int]] = defaultdict(list)
    for place, header in enumerate(grid.slices):
        places[header.path].append(place)
    array = np.empty(grid.shape[::-1], np.float32)  # slices first: each is one run of memory
    for path, mine in places.items():
        dataset = datasets.pop(path)  # its pixels are let go once they are decoded
        frames = _stored_frames(dataset, path)
        for place in mine:
            header = grid.slices[place]
            array[place] = _real_values(frames[header.frame], dataset, header)
    _fill_padding(array, paths[0])
    first = grid.slices[0]
    turned, affine = orientation.reoriented(array.T, grid.affine, "RAS")
    return Volume(
        turned.copy(order="K"),
        affine,
        modality or DICOM_MODALITIES.get(first.modality, ""),
        first.unit,
        orientation.axis_codes(grid.affine),
        {
            "format": "dicom",
            "transfer_syntax": ", ".join(sorted(syntaxes)),
            "slices": str(len(grid.slices)),
        },
    )


def _dataset(path: Path) -> Dataset:
    try:
        return dcmread(path, force=True)
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise UnreadableError(
            f"{path}: not a readable DICOM file", observed=_said(error), cause="a damaged file"
        ) from error


def _headers(dataset: Dataset, path: Path) -> list[SliceHeader]:
    try:
        return headers_of(dataset, path)
    except LeftOutError as error:
        raise UnreadableError(f"{path}: {error}") from error
    except UnreadableError:
        raise
    except Exception as error:  # wrong types in single attributes
        raise UnreadableError(f"{path}: damaged header", observed=_said(error)) from error


def _stored_frames(dataset: Dataset, path: Path) -> np.ndarray:
    """(frames, rows, columns[, 3]) as stored, colour as RGB."""
    try:
        stored = dataset.pixel_array
        if dataset.PhotometricInterpretation == "PALETTE COLOR":
            stored = apply_color_lut(stored, dataset)
    except Exception as error:  # every decoder has errors of its own
        raise UnreadableError(
            f"{path}: pixels cannot be decoded ({_syntax(dataset)})",
            observed=_said(error),
            cause="a truncated file, or a compression that is not supported",
            fix="export the series again, uncompressed if need be",
        ) from error
    return stored if int(dataset.get("NumberOfFrames") or 1) > 1 else stored[np.newaxis]


def _real_values(stored: np.ndarray, dataset: Dataset, header: SliceHeader) -> FloatArray:
    """(rows, columns) float32 in the header's unit; NaN where padded."""
    if stored.ndim == 3:
        return luminance(stored) * np.float32(255 / _brightest(stored, dataset))
    if not np.isfinite(stored).all():
        raise UnreadableError(f"{header.path}: NaN or infinite values among the pixels")
    if "ModalityLUTSequence" in dataset:
        values = np.asarray(apply_modality_lut(stored, dataset), np.float32)
    else:
        values = _rescaled(stored, header)
    if dataset.PhotometricInterpretation == "MONOCHROME1" and header.unit != "HU":
        values = _rescaled(_stored_range(dataset), header).sum(dtype=np.float32) - values
    padding = _padding(stored, dataset)
    if padding is not None:
        values[padding] = np.nan
    return values


def _rescaled(stored: np.ndarray, header: SliceHeader) -> FloatArray:
    if header.slope == 1:
        return stored.astype(np.float32) + np.float32(header.intercept)
    return (stored * header.slope + header.intercept).astype(np.float32)


def _stored_range(dataset: Dataset) -> np.ndarray:
    """Lowest and highest value that Bits Stored allow."""
    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation)
    return np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])


def _brightest(stored: np.ndarray, dataset: Dataset) -> int:
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        return int(np.iinfo(stored.dtype).max)
    return 2 ** int(dataset.BitsStored) - 1


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Where Pixel Padding Value (to Range Limit) stands (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None or not np.issubdtype(stored.dtype, np.integer):
        return None
    # The tag's own sign may differ from the pixels': compare the bits.
    ends = [
        int(np.array(int(end)).astype(stored.dtype))
        for end in (value, dataset.get("PixelPaddingRangeLimit", value))
    ]
    padding = (stored >= min(ends)) & (stored <= max(ends))
    return padding if padding.any() else None


def _fill_padding(array: FloatArray, path: Path) -> None:
    padded = np.isnan(array)
    if not padded.any():
        return
    if padded.all():
        raise UnreadableError(f"{path.parent}: nothing but padding")
    array[padded] = np.nanmin(array)


def _syntax(dataset: Dataset) -> str:
    return uid.UID(dataset.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian)).name


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"

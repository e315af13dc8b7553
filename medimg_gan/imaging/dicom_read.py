"""Decode one DICOM series into a :class:`Volume`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import orientation
from medimg_gan.imaging.dicom_header import SliceHeader, headers_of
from medimg_gan.imaging.dicom_kind import syntax_name
from medimg_gan.imaging.dicom_parse import parsed
from medimg_gan.imaging.dicom_pixels import stored_frames
from medimg_gan.imaging.dicom_series import checked_stack
from medimg_gan.imaging.picture import luminance
from medimg_gan.imaging.series import DICOM_MODALITIES
from medimg_gan.imaging.untrusted import LeftOutError, refused
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

MOST_RESCALES = 16
"""Different slopes of one series up to which they are told in the provenance."""


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
    datasets = {path: parsed(path)[0] for path in paths}
    syntaxes = {syntax_name(dataset) for dataset in datasets.values()}
    grid = checked_stack(
        [header for path, dataset in datasets.items() for header in _headers(dataset, path)]
    )
    places: dict[Path, list[int]] = defaultdict(list)
    for place, header in enumerate(grid.slices):
        places[header.path].append(place)
    array = np.empty(grid.shape[::-1], np.float32)  # slices first: each is one run of memory
    for path, mine in places.items():
        dataset = datasets.pop(path)  # its pixels are let go once they are decoded
        frames = stored_frames(dataset, path)
        with refused(path, "damaged values"), np.errstate(over="ignore", invalid="ignore"):
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
            **_about_values(grid.slices),
        },
    )


def _headers(dataset: Dataset, path: Path) -> list[SliceHeader]:
    try:
        return headers_of(dataset, path)
    except LeftOutError as error:
        raise UnreadableError(f"{path}: {error}") from None


def _about_values(slices: Sequence[SliceHeader]) -> dict[str, str]:
    """Slopes and intercepts, by which a writer can keep values exact; real-world value maps."""
    pairs = sorted({(header.slope, header.intercept) for header in slices})
    about = {}
    if len(pairs) <= MOST_RESCALES:
        about["rescale"] = "; ".join(f"{slope!r} {intercept!r}" for slope, intercept in pairs)
    maps = {header.real_world for header in slices} - {""}
    if maps:
        about["real_world_values"] = ", ".join(sorted(maps))
    return about


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
    if not np.isfinite(values).all():
        raise UnreadableError(
            f"{header.path}: values beyond float32", cause="a damaged slope or intercept"
        )
    padding = _padding(stored, dataset)
    if padding is not None:
        values[padding] = np.nan
    return values


def _rescaled(stored: np.ndarray, header: SliceHeader) -> FloatArray:
    if header.slope == 1 and header.intercept.is_integer():
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

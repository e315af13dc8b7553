"""Read and write NIfTI volumes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy

from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.files import new_file
from medimg_gan.imaging import orientation
from medimg_gan.imaging.nifti_file import NiftiFile, affine_of, opened
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

SIGNATURE = "medimg_gan"
"""First word of the description of files we wrote; modality, unit and "synthetic" follow."""
WRITTEN = (".nii", ".nii.gz")
UNITS = ("HU", "signal", "display")
EXACT_IN_FLOAT32 = 2**24


def nifti_grid(path: Path) -> tuple[tuple[int, int, int], FloatArray, str, int]:
    """Shape, (4, 4) RAS+ affine in the file's own axis order, modality, volumes: header only.

    The modality is known only for files that this package wrote, else "".

    Raises:
        UnreadableError: If the header is damaged or describes no scalar volumes.
    """
    with opened(path) as file:
        affine, _ = affine_of(file)
        return file.shape, affine, _signature(file)[0], file.volumes


def read_nifti(path: Path, modality: str = "", volume: int | None = None) -> Volume:
    """Decode one volume as float32, slope and intercept applied.

    The sform gives the geometry unless its code is 0, then the qform; the provenance notes where
    they disagree. Files of this package say their modality and unit; others are in HU if
    ``modality`` is "ct", else arbitrary.

    Args:
        path: ``.nii``, ``.nii.gz``, or the ``.img`` of a pair.
        modality: Overrides the file's own, unless "".
        volume: Which volume of a 4D file, from 0; the others are not read. None refuses 4D.

    Returns:
        The volume, axes nearest to RAS+.

    Raises:
        UnreadableError: If the file is damaged, 4D, complex, colour, holds NaN or infinity, or
            64-bit integers that float32 would round.
    """
    with opened(path) as file:
        affine, notes = affine_of(file)
        array, about_values = _values(file, _chosen(file, volume))
        own_modality, unit = _signature(file)
    modality = modality or own_modality
    turned, canonical = orientation.reoriented(array, affine, "RAS")
    return Volume(
        turned.copy(order="K"),
        canonical,
        modality,
        unit or ("HU" if modality == "ct" else "signal"),
        orientation.axis_codes(affine),
        {"format": "nifti", **notes, **about_values},
    )


def write_nifti(
    volume: Volume,
    path: Path | str,
    *,
    synthetic: bool = True,
    kind: Literal["smallest", "float32"] = "smallest",
) -> Path:
    """Write one volume, with the axis order that its own file had.

    Whole numbers that fit are stored as int16, all else as float32, both exactly. The header's
    description says modality, unit and whether the volume is synthetic; nothing else is carried.

    Args:
        volume: Values and geometry; ``volume.stored`` gives the axis order of the file.
        path: Ends in ``.nii`` or ``.nii.gz``; replaced if it exists.
        synthetic: False for a mere conversion of a real scan.
        kind: float32 stores whole numbers so, too.

    Returns:
        ``path``.

    Raises:
        DataError: If the name is no NIfTI file's, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.endswith(WRITTEN):
        raise DataError(f"{path}: not a NIfTI name", fix=f"end it in {' or '.join(WRITTEN)}")
    array, affine = orientation.reoriented(volume.array, volume.affine, volume.stored)
    whole = np.abs(array).max(initial=0) < 2**15 and np.array_equal(array, np.rint(array))
    whole = whole and kind == "smallest"
    image = nib.Nifti1Image(np.asarray(array, np.int16 if whole else np.float32), affine)
    image.header.set_xyzt_units("mm")
    words = [SIGNATURE, volume.modality or "-", volume.unit, "synthetic" if synthetic else "real"]
    image.header["descrip"] = " ".join(words).encode()
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    if not np.allclose(image.get_qform(), affine, atol=1e-3):
        # A quaternion holds rotations only; for sheared axes the sform is the whole truth.
        image.set_qform(None, code="unknown")
    with new_file(path) as aside:
        nib.save(image, aside)
    return path


def _chosen(file: NiftiFile, volume: int | None) -> int:
    if volume is None and file.volumes > 1:
        raise UnreadableError(
            f"{file.path}: 4D, {file.volumes} volumes of {file.shape}",
            cause="a time series, diffusion directions or vectors",
            fix="choose one: --data.volume 0",
        )
    if not 0 <= (volume or 0) < file.volumes:
        raise UnreadableError(
            f"{file.path}: no volume {volume}", observed=f"it holds {file.volumes}, from 0"
        )
    return volume or 0


def _values(file: NiftiFile, volume: int) -> tuple[FloatArray, dict[str, str]]:
    """(I, J, K) float32 of one volume, and notes on what was lost."""
    slope, intercept = file.header.get_slope_inter()
    offset = file.header.get_data_offset()
    # Never mapped into memory: a file that shrinks while it is read would end the process.
    proxy = ArrayProxy(
        file.values, ((*file.shape, file.volumes), file.kind, offset, 1.0, 0.0), mmap=False
    )
    stored = proxy[..., volume]
    notes = _refuse_rounding(stored, file.path)
    with np.errstate(over="ignore", invalid="ignore"):
        array = stored.astype(np.float32)
        if slope is not None and (slope, intercept) != (1, 0):
            array = (stored * slope + intercept).astype(np.float32)
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise UnreadableError(
            f"{file.path}: {bad} of {array.size} values are NaN or infinite",
            cause="a failed registration or division in earlier processing",
            fix="replace them (with air, for example) and say so where you describe the data",
        )
    return array, notes


def _refuse_rounding(stored: np.ndarray, path: Path) -> dict[str, str]:
    """Whole numbers beyond 2^24: a note for 32 bits (a signal), a refusal for 64 (identifiers).

    Masks that common tools save as int64 hold small numbers and pass.
    """
    if not np.issubdtype(stored.dtype, np.integer) or stored.dtype.itemsize < 4:
        return {}
    if int(stored.min()) >= -EXACT_IN_FLOAT32 and int(stored.max()) <= EXACT_IN_FLOAT32:
        return {"stored": stored.dtype.name}
    if stored.dtype.itemsize > 4:
        raise UnreadableError(
            f"{path}: values of type {stored.dtype.name} beyond 2^24",
            observed="float32, in which everything is computed, would round them",
            cause="identifiers or sums instead of a scan",
            fix="save it as int16 or float32",
        )
    return {"precision": "whole numbers above 2^24 were rounded to float32"}


def _signature(file: NiftiFile) -> tuple[str, str]:
    """Modality and unit that this package noted, else empty."""
    words = bytes(file.header["descrip"].item()).decode("latin-1").split()
    if len(words) != 4 or words[0] != SIGNATURE or words[2] not in UNITS:
        return "", ""
    modality = words[1].replace("-", "")
    return (modality if modality.isalnum() else ""), words[2]

"""NIfTI-1 and NIfTI-2 files (.nii, .nii.gz)."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from medimg_gan.errors import UnreadableError
from medimg_gan.files import new_file
from medimg_gan.imaging import orientation
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

SIGNATURE = "medimg_gan"
"""First word of the description of files we wrote; modality, unit and "synthetic" follow."""
ENDINGS = (".nii", ".nii.gz")
LARGEST = 2**31
"""Voxels beyond which a header is taken for damaged."""
BEST_COMPRESSION = 1100
"""Deflate cannot shrink data by more than about 1030:1."""
EXACT_IN_FLOAT32 = 2**24
MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}


def nifti_grid(path: Path) -> tuple[tuple[int, int, int], FloatArray, str, int]:
    """Shape, (4, 4) RAS+ affine in the file's own axis order, modality, volumes: header only.

    The modality is known only for files that this package wrote, else "".

    Raises:
        UnreadableError: If the header is damaged or describes no single scalar volume.
    """
    image = _opened(path)
    affine, _ = _affine(image, path)
    shape, volumes = _shape(image, path)
    return shape, affine, _signature(image)[0], volumes


def read_nifti(path: Path, modality: str = "", volume: int | None = None) -> Volume:
    """Decode one volume as float32, slope and intercept applied.

    The sform gives the geometry unless its code is 0, then the qform; the provenance notes where
    they disagree. Files of this package say their modality and unit; others are in HU if
    ``modality`` is "ct", else arbitrary.

    Args:
        path: ``.nii`` or ``.nii.gz``.
        modality: Overrides the file's own, unless "".
        volume: Which frame of a 4D file, from 0 (the others are not read); None refuses 4D.

    Returns:
        The volume, axes nearest to RAS+.

    Raises:
        UnreadableError: If the file is damaged, 4D, complex, colour, or holds NaN or infinity.
    """
    image = _opened(path)
    shape, volumes = _shape(image, path)
    affine, notes = _affine(image, path)
    if volume is None and volumes > 1:
        raise UnreadableError(f"{path}: 4D, {volumes} volumes", fix="choose one: --data.volume 0")
    if volume is not None and volumes > 1:
        image = image.slicer[..., volume : volume + 1]
    try:
        array = image.get_fdata(dtype=np.float32, caching="unchanged").reshape(shape)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableError(
            f"{path}: values cannot be read",
            observed=" ".join(str(error).split()),
            cause="a truncated or damaged file",
            fix="copy or export it again",
        ) from error
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise UnreadableError(
            f"{path}: {bad} of {array.size} values are NaN or infinite",
            cause="a failed registration or division in earlier processing",
            fix="replace them (with air, for example) and say so where you describe the data",
        )
    whole = np.issubdtype(image.get_data_dtype(), np.integer)
    if whole and np.abs(array).max(initial=0) > EXACT_IN_FLOAT32:
        notes["precision"] = "whole numbers above 2^24 were rounded to float32"
    own_modality, unit = _signature(image)
    modality = modality or own_modality
    turned, canonical = orientation.reoriented(array, affine, "RAS")
    return Volume(
        turned.copy(order="K"),
        canonical,
        modality,
        unit or ("HU" if modality == "ct" else "signal"),
        orientation.axis_codes(affine),
        {"format": "nifti", **notes},
    )


def write_nifti(volume: Volume, path: Path, *, synthetic: bool = True) -> Path:
    """Write one volume, with the axis order that its own file had.

    Whole numbers that fit are stored as int16, all else as float32, both exactly. The header's
    description says modality, unit and whether the volume is synthetic; nothing else is carried.

    Args:
        volume: Values and geometry; ``volume.stored`` gives the axis order of the file.
        path: Ends in ``.nii`` or ``.nii.gz``; replaced if it exists.
        synthetic: False for a mere conversion of a real scan.

    Returns:
        ``path``.

    Raises:
        DataError: If the file cannot be written.
    """
    assert path.name.endswith(ENDINGS), path
    array, affine = orientation.reoriented(volume.array, volume.affine, volume.stored)
    whole = np.abs(array).max(initial=0) < 2**15 and np.array_equal(array, np.rint(array))
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


def _opened(path: Path) -> Any:
    try:
        image = nib.load(path)
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableError(
            f"{path}: not a readable NIfTI file",
            observed=" ".join(str(error).split()),
            cause="a damaged or truncated file",
        ) from error
    if not isinstance(image, nib.Nifti1Image | nib.Nifti2Image):
        raise UnreadableError(f"{path}: not a NIfTI file", observed=type(image).__name__)
    return image


def _shape(image: Any, path: Path) -> tuple[tuple[int, int, int], int]:
    """The three axes of a volume, and how many; what cannot be one is refused before it is read."""
    stored, kind = tuple(int(axis) for axis in image.shape), image.get_data_dtype()
    if kind.fields or np.issubdtype(kind, np.complexfloating):
        raise UnreadableError(
            f"{path}: values of type {kind}", observed="expected one real number per voxel"
        )
    padded = (*stored, 1, 1, 1)
    shape = padded[0], padded[1], padded[2]
    if math.prod(stored) == 0:
        raise UnreadableError(f"{path}: an empty volume", observed=f"shape {stored}")
    volumes = math.prod(stored[3:])
    if len([axis for axis in stored[3:] if axis > 1]) > 1:
        raise UnreadableError(f"{path}: {len(stored)}D, shape {stored}")
    claimed = math.prod(stored) * kind.itemsize
    size = path.stat().st_size * (BEST_COMPRESSION if path.name.endswith(".gz") else 1)
    if math.prod(stored) > LARGEST or claimed > size:
        raise UnreadableError(
            f"{path}: the header claims shape {stored}",
            observed=f"{claimed} bytes of values; the file has {path.stat().st_size}",
            cause="a truncated file or a damaged header",
            fix="copy or export it again",
        )
    return shape, volumes


def _affine(image: Any, path: Path) -> tuple[FloatArray, dict[str, str]]:
    """(4, 4) in mm, and notes on what was doubtful."""
    header, notes = image.header, {}
    scale = MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    affine = np.diag([scale, scale, scale, 1.0]) @ image.affine  # sform, else qform, else zooms
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is not None and qform is not None:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in _shape(image, path)[0]]))
        corners = np.vstack([corners.reshape(3, -1), np.ones(8)])
        apart = float(np.abs((sform - qform) @ corners).max() * scale)
        if apart > 1e-3:
            notes["geometry"] = f"sform used; the qform differs by up to {apart:.3g} mm"
    elif sform is None and qform is None:
        notes["geometry"] = "no orientation in the header; axes assumed"
    volume = abs(float(np.linalg.det(affine[:3, :3])))
    if not np.isfinite(affine).all() or volume < 1e-12:
        raise UnreadableError(
            f"{path}: the affine is singular",
            observed=f"a voxel's volume is {volume:g} mm3",
            cause="a damaged header",
        )
    return affine, notes


def _signature(image: Any) -> tuple[str, str]:
    """Modality and unit that this package noted, else empty."""
    words = bytes(image.header["descrip"].item()).decode("latin-1").split()
    if len(words) != 4 or words[0] != SIGNATURE:
        return "", ""
    return words[1].replace("-", ""), words[2]

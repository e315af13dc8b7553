"""Open NIfTI-1 and NIfTI-2 by what a file holds, and check its header before values are read.

Only the fixed part of a header is parsed. Extensions are free text that nobody here needs, and a
hostile one makes nibabel read a whole compressed stream.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from nibabel import nifti1, nifti2

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.untrusted import ROOM, refuse_beyond_memory, refused

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

ENDINGS = (".nii", ".nii.gz", ".img", ".img.gz")
HEADER_ENDINGS = (".hdr", ".hdr.gz")
"""Of the other half of a pair."""
GZIP = b"\x1f\x8b"
HEADER_BYTES = 540
HEADERS: dict[bytes, tuple[slice, Any]] = {
    b"n+1": (slice(344, 347), nifti1.Nifti1Header),
    b"ni1": (slice(344, 347), nifti1.Nifti1PairHeader),
    b"n+2": (slice(4, 7), nifti2.Nifti2Header),
    b"ni2": (slice(4, 7), nifti2.Nifti2PairHeader),
}
"""Magic -> where it stands and what it is; "ni" has its values in another file."""
ANALYZE = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"))
LARGEST = 2**31
"""Voxels beyond which a header is taken for damaged."""
BEST_COMPRESSION, BEST_OF_LARGE = 1100, 1000
"""Deflate reaches 1030:1, on zeros only; a large file that reaches it is a bomb."""
LARGEST_MM = 1e6
SHORTEST_EDGE, FLATTEST = 1e-6, 1e-3
"""Of a voxel in mm, and of three directions: below, axes cannot be told from each other."""
MILLIMETRES = {"mm": 1.0, "meter": 1000.0, "micron": 0.001, "unknown": 1.0}

# nibabel's remarks on doubtful headers quote values, one by one for thousands of files.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True)
class NiftiFile:
    """An open file whose header has been checked.

    Attributes:
        path: As given.
        header: nibabel's, without extensions.
        values: Stream that holds the values.
        shape: The three axes of a volume.
        volumes: How many there are.
        kind: Type of the stored values.
    """

    path: Path
    header: Any
    values: BinaryIO
    shape: tuple[int, int, int]
    volumes: int
    kind: np.dtype[Any]


@contextmanager
def opened(path: Path) -> Iterator[NiftiFile]:
    """Open one file, or a pair by its ``.img``; compressed or not, whatever its name says.

    Raises:
        UnreadableError: If it is damaged, no NIfTI, or describes no scalar volumes.
    """
    problem = "not a readable NIfTI file"
    with refused(path, problem, cause="a damaged or truncated file"), ExitStack() as stack:
        stream, zipped = _stream(_header_path(path), stack)
        start = stream.read(HEADER_BYTES)
        magic = next((m for m, (place, _) in HEADERS.items() if start[place] == m), b"")
        _refuse_no_nifti(path, start, magic)
        if magic.startswith(b"ni"):
            stream, zipped = _stream(path, stack)
        kind = HEADERS[magic][1]
        header = kind(start[: kind.template_dtype.itemsize])
        shape, volumes = _shape(header, path, zipped)
        yield NiftiFile(path, header, stream, shape, volumes, header.get_data_dtype())


def affine_of(file: NiftiFile) -> tuple[FloatArray, dict[str, str]]:
    """(4, 4), voxel -> mm in RAS+, and notes on what was doubtful.

    Raises:
        UnreadableError: If the affine is singular.
    """
    header, notes = file.header, {}
    unit = header.get_xyzt_units()[0]
    if unit == "unknown":
        notes["spatial_unit"] = "not in the header; mm assumed"
    scale = MILLIMETRES.get(unit, 1.0)
    affine = np.diag([scale, scale, scale, 1.0]) @ header.get_best_affine()  # sform, qform, zooms
    _refuse_singular(affine, file.path)
    sform, qform = header.get_sform(coded=True)[0], header.get_qform(coded=True)[0]
    if sform is not None and qform is not None:
        corners = np.array(np.meshgrid(*[(0, size - 1) for size in file.shape]))
        corners = np.vstack([corners.reshape(3, -1), np.ones(8)])
        apart = float(np.abs((sform - qform) @ corners).max() * scale)
        if not apart <= 1e-3:
            notes["geometry"] = f"sform used; the qform differs by up to {apart:.3g} mm"
    elif sform is None and qform is None:
        notes["geometry"] = "no orientation in the header; axes assumed"
    return affine, notes


def _refuse_singular(affine: FloatArray, path: Path) -> None:
    if np.isfinite(affine).all() and np.abs(affine).max() < LARGEST_MM:
        edges = np.linalg.norm(affine[:3, :3], axis=0)
        # Directions of length 1 span a volume of 1 if they are perpendicular, of 0 in one plane.
        whole = edges.min() > SHORTEST_EDGE
        if whole and abs(np.linalg.det(affine[:3, :3] / edges)) > FLATTEST:
            return
    raise UnreadableError(
        f"{path}: the affine is singular",
        observed="axes of no length, of no end, or in one plane",
        cause="a damaged header",
    )


def pixels_beside(path: Path) -> bool:
    """Whether the ``.hdr`` of a pair has its ``.img`` beside it."""
    return any(path.with_name(name).exists() for name in _other_names(path, ".img"))


def _header_path(path: Path) -> Path:
    """The file that holds the header: itself, or the ``.hdr`` beside an ``.img``."""
    if not path.name.lower().endswith((".img", ".img.gz")):
        return path
    for name in _other_names(path, ".hdr"):
        if path.with_name(name).exists():
            return path.with_name(name)
    raise UnreadableError(
        f"{path}: an .img without its .hdr",
        cause="half of a NIfTI pair was left behind, or a disk image",
        fix="put the .hdr beside it",
    )


def _other_names(path: Path, ending: str) -> tuple[str, str]:
    stem = path.name[: path.name.lower().rindex("." + ("img" if ending == ".hdr" else "hdr"))]
    return stem + ending, f"{stem}{ending}.gz"


def _stream(path: Path, stack: ExitStack) -> tuple[BinaryIO, bool]:
    plain = stack.enter_context(path.open("rb"))
    zipped = plain.read(2) == GZIP
    plain.seek(0)
    return (stack.enter_context(gzip.GzipFile(fileobj=plain)) if zipped else plain), zipped  # type: ignore[return-value]


def _refuse_no_nifti(path: Path, start: bytes, magic: bytes) -> None:
    if not magic and start[:4] in ANALYZE:
        raise UnreadableError(
            f"{path}: ANALYZE 7.5, not NIfTI",
            observed="its header does not tell left from right",
            fix="convert it to NIfTI with the program that wrote it",
        )
    paired = path.name.lower().endswith((".img", ".img.gz"))
    if not magic or magic.startswith(b"ni") != paired:
        raise UnreadableError(
            f"{path}: not a NIfTI file",
            observed=f"no magic of {'a pair' if paired else 'a single file'} in the header",
            cause="a damaged or misnamed file",
        )


def _shape(header: Any, path: Path, zipped: bool) -> tuple[tuple[int, int, int], int]:
    """Axes of a volume, and how many; whatever cannot be read is refused here."""
    stored, kind = tuple(int(axis) for axis in header.get_data_shape()), header.get_data_dtype()
    if kind.fields or np.issubdtype(kind, np.complexfloating):
        raise UnreadableError(
            f"{path}: {'colours' if kind.fields else 'complex numbers'} ({kind})",
            observed="expected one real number per voxel",
            fix="save one channel, or the magnitude, as its own file",
        )
    first, second, third, *rest = (*stored, 1, 1, 1)
    if not stored or math.prod(stored) <= 0:
        raise UnreadableError(f"{path}: an empty volume", observed=f"shape {stored}")
    if sum(axis > 1 for axis in rest) > 1:
        raise UnreadableError(
            f"{path}: {len(stored)}D, shape {stored}",
            observed="expected three axes, or four",
            cause="a time series of vectors",
            fix="save one frame of it as its own file",
        )
    _refuse_claims(path, stored, kind.itemsize, header.get_data_offset(), zipped)
    return (first, second, third), math.prod(rest)


def _refuse_claims(
    path: Path, stored: tuple[int, ...], itemsize: int, offset: int, zipped: bool
) -> None:
    claimed, size = math.prod(stored) * itemsize + max(0, offset), path.stat().st_size
    ratio = BEST_OF_LARGE if claimed > ROOM else BEST_COMPRESSION
    if math.prod(stored[:3]) > LARGEST or claimed > size * (ratio if zipped else 1):
        raise UnreadableError(
            f"{path}: the header claims shape {stored}",
            observed=f"{claimed} bytes of values; the file has {size}",
            cause="a truncated file, a damaged header, or a file made to fill memory",
            fix="copy or export it again",
        )
    refuse_beyond_memory(path, math.prod(stored[:3]) * (itemsize + 4))

"""Find every series below a folder, from headers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.imaging import dcm2niix, nifti, nifti_file, orientation, picture
from medimg_gan.imaging.dcm2niix import PartsOf
from medimg_gan.imaging.dicom_header import SliceHeader, read_headers
from medimg_gan.imaging.dicom_series import How, sort_into_series
from medimg_gan.imaging.series import (
    Problem,
    Series,
    chosen_volumes,
    modality_from_name,
    short_key,
    volume_notes,
)
from medimg_gan.imaging.untrusted import LeftOutError
from medimg_gan.read_options import DEFAULTS, ReadOptions

DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
KNOWN_BUT_NOT_READ = (
    ".mha",
    ".mhd",
    ".nrrd",
    ".nhdr",
    ".mgz",
    ".mgh",
    ".zip",
    ".tar",
    ".bmp",
    ".gif",
)
"""Endings of scans or archives of scans that deserve a word instead of silence."""
NOT_A_FILE = "not a file: a broken link, a pipe or a device"

Found: TypeAlias = "list[SliceHeader] | str"
"""What :func:`look_into` says of a file: its slices (none if it is no scan), or a problem."""
Look: TypeAlias = Callable[[Sequence[Path]], Iterable[Found]]
"""Looks into many files, in their order."""


def look_into(path: Path) -> Found:
    """The slices of a file that may be DICOM, or why it cannot be used, from its header only."""
    try:
        if format_of(path) != "dicom":
            return []
        with warnings.catch_warnings():
            # pydicom warns of every value that breaks a rule; what matters here is checked here.
            warnings.simplefilter("ignore")
            return read_headers(path)
    except LeftOutError as reason:
        return f"left out: {reason}"
    except (OSError, UnreadableError) as error:
        return reason_of(error)


def one_by_one(paths: Sequence[Path]) -> Iterator[Found]:
    """Look into files in this process."""
    return map(look_into, paths)


def find_series(
    folder: Path | str,
    modality: str = "",
    options: ReadOptions = DEFAULTS,
    *,
    look: Look = one_by_one,
    parts_of: PartsOf = dcm2niix.parts_of,
) -> tuple[list[Series], list[Problem]]:
    """Every readable series below ``folder``, from headers only where headers tell enough.

    DICOM (with or without ``.dcm``), NIfTI and pictures, at any depth; hidden files are skipped
    and linked folders followed once. Whatever cannot be used costs one problem. What is no single
    regular volume (mosaics, time series, tilt) is converted once by dcm2niix to learn what it
    holds.

    Args:
        folder: Where to look; a single file will do.
        modality: Overrides what files and folder names say, unless "".
        options: What to do with gaps, tilt and time series.
        look: Reads the headers of files that may be DICOM; one that remembers need not open them.
        parts_of: Tells what dcm2niix makes of files; one that remembers need not ask it.

    Returns:
        Series in the order of their first file, and problems in the order of their paths.

    Raises:
        DataError: If ``folder`` does not exist.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"{folder}: not found", fix="check the path given to --data")
    root = folder if folder.is_dir() else folder.parent
    others: list[Path] = []
    series: list[Series] = []
    problems: list[Problem] = []
    for path in _files(folder):
        try:
            if kind := _kind_by_name(path):
                series += series_of_file(path, kind, root, modality, options)
            else:
                others.append(path)
        except (OSError, UnreadableError) as error:
            problems.append(Problem(path, reason_of(error)))
    headers, damaged = _all_headers(others, look)
    found, irregular = sort_into_series(headers, How(root, modality, options, parts_of))
    ordered = sorted([*series, *found], key=lambda one: one.paths[0])
    return ordered, sorted([*problems, *damaged, *irregular], key=lambda one: one.path)


def _files(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` in the order of their names; no hidden ones, no folder twice."""
    if folder.is_file():
        yield folder
        return
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()  # a link back, or a second link to one folder
            continue
        seen.add(real)
        shown = (name for name in folders if not name.startswith((".", "__MACOSX")))
        # Links last: what they lead to is named by its own folder where that is below, too.
        folders[:] = sorted(shown, key=lambda name: (Path(place, name).is_symlink(), name))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _kind_by_name(path: Path) -> str:
    """Name the format that a file's ending tells ("nifti", "picture"), or "".

    Raises:
        UnreadableError: If what has the name of a scan is no file.
    """
    name = path.name.lower()
    nifti_name = name.endswith(nifti_file.ENDINGS)
    if not (nifti_name or name.endswith(picture.ENDINGS)):
        return ""
    if not path.is_file():
        raise UnreadableError(NOT_A_FILE)
    return "nifti" if nifti_name else "picture"


def format_of(path: Path) -> str:
    """Name the format ("dicom", "nifti", "picture"), or "" for what is no scan.

    Raises:
        UnreadableError: If it looks like a scan in a format that is not read.
        OSError: If the file cannot be opened.
    """
    if kind := _kind_by_name(path):
        return kind
    name = path.name.lower()
    if not path.is_file():
        if name.endswith(DICOM_ENDINGS):
            raise UnreadableError(NOT_A_FILE)
        return ""
    if name.endswith(nifti_file.HEADER_ENDINGS):
        if nifti_file.pixels_beside(path):
            return ""  # the .img stands for the pair
        raise UnreadableError("left out: a .hdr without its .img")
    if name.endswith(DICOM_ENDINGS):
        return "dicom"
    with path.open("rb") as file:
        if file.read(132)[128:] == b"DICM":
            return "dicom"
    if name.endswith(KNOWN_BUT_NOT_READ):
        raise UnreadableError(f"left out: {path.suffix} files are not read; convert to NIfTI")
    return ""


def series_of_file(
    path: Path, kind: str, root: Path, modality: str, options: ReadOptions
) -> list[Series]:
    """The series of one NIfTI file or picture."""
    below = path.relative_to(root)
    if kind == "nifti":
        shape, affine, own, count = nifti.nifti_grid(path)
        shape, affine = orientation.grid_in_ras(shape, affine)
        spacing = orientation.spacing_of(affine)
    else:
        shape, spacing, own, count = picture.picture_shape(path), (1.0, 1.0, 1.0), "", 1
    single = Series(
        key=short_key(below.as_posix()),
        paths=(path,),
        format=kind,
        modality=modality or own or modality_from_name(path, root),
        patient="",
        shape=shape,
        spacing=spacing,
        options=options,
    )
    if count == 1:
        return [single]
    return [
        replace(
            single,
            key=short_key(below.as_posix(), volume),
            volume=volume,
            notes=volume_notes(volume, count),
        )
        for volume in chosen_volumes(count, options, str(path))
    ]


def _all_headers(paths: list[Path], look: Look) -> tuple[list[SliceHeader], list[Problem]]:
    headers: list[SliceHeader] = []
    problems: list[Problem] = []
    for path, found in zip(paths, look(paths), strict=True):
        if isinstance(found, str):
            problems.append(Problem(path, found))
        else:
            headers += found
    return headers, problems


def reason_of(error: Exception) -> str:
    """What went wrong, on one line."""
    if isinstance(error, DataError):
        return error.one_line()
    return getattr(error, "strerror", None) or str(error)

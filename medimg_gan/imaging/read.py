"""Decode one series, some files, or everything below a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.imaging import dcm2niix, nifti, picture
from medimg_gan.imaging.dicom_geometry import IrregularError
from medimg_gan.imaging.dicom_header import read_headers
from medimg_gan.imaging.dicom_read import read_dicom
from medimg_gan.imaging.dicom_series import How, sort_into_series
from medimg_gan.imaging.find import find_series, format_of, reason_of, series_of_file
from medimg_gan.imaging.series import Problem, Series
from medimg_gan.imaging.volume import Volume
from medimg_gan.read_options import DEFAULTS, ReadOptions


def read_series(series: Series) -> Volume:
    """Decode one series that :func:`find_series` found.

    Raises:
        UnreadableError: If a file is damaged, not supported, holds 64-bit integers, or all its
            values are equal.
        DicomGeometryError: If the slices do not form one regular volume.
    """
    volume = _decoded(series)
    if volume.provenance.get("stored") in ("int64", "uint64"):
        raise UnreadableError(
            f"{series.paths[0]}: values of type {volume.provenance['stored']}",
            observed="no scanner gives 64-bit integers",
            cause="a mask, or an array that some tool saved without choosing a type",
            fix="save a scan as int16 or float32; name a mask by --mask",
        )
    lowest = float(volume.array.min())
    if lowest == float(volume.array.max()):
        raise UnreadableError(
            f"{series.paths[0]}: every value is {lowest:g}", cause="an empty scan or mask"
        )
    return volume


def _decoded(series: Series) -> Volume:
    if series.part is not None:
        volume = dcm2niix.read_part(
            series.paths, series.part, series.volume, series.options.philips_scaling
        )
        affine = volume.affine if series.affine is None else np.array(series.affine)
        return replace(volume, modality=series.modality, unit=series.unit, affine=affine)
    if series.format == "nifti":
        return nifti.read_nifti(series.paths[0], series.modality, series.volume)
    return read_files(series.paths, series.modality)


def read_files(
    paths: Sequence[Path], modality: str = "", options: ReadOptions = DEFAULTS
) -> Volume:
    """Decode the files of one series, given in any order, or one folder that holds one series.

    Constant volumes and 64-bit integers pass (a mask may be empty, and of any type).

    Args:
        paths: DICOM slices, or one NIfTI file, picture or folder.
        modality: Overrides the files' own, unless "".
        options: What to do with gaps, tilt and time series.

    Raises:
        DataError: If there is no series, or several.
        UnreadableError: If a file is damaged or not supported.
        DicomGeometryError: If the slices do not form one regular volume.
    """
    first = paths[0]
    try:
        if first.is_dir():
            return _decoded(_only(*find_series(first, modality, options), first))
        kind = format_of(first)
        if kind == "picture":
            return picture.read_picture(first, modality)
        if kind == "nifti":
            return _decoded(
                _only(series_of_file(first, kind, first.parent, modality, options), [], first)
            )
        return read_dicom(paths, modality)
    except OSError as error:
        raise UnreadableError(f"{first}: cannot be read", observed=reason_of(error)) from error
    except IrregularError as error:
        headers = [header for path in paths for header in read_headers(path)]
        found, _ = sort_into_series(headers, How(first.parent, modality, options))
        if not found:
            raise error
        return _decoded(_only(found, [], first.parent))


def _only(found: list[Series], problems: list[Problem], place: Path) -> Series:
    if len(found) == 1:
        return found[0]
    raise DataError(
        f"{place}: holds {len(found)} readable series, expected one",
        observed="; ".join(problem.reason for problem in problems[:3]),
    )


def read_volumes(
    folder: Path | str, modality: str = "", options: ReadOptions = DEFAULTS
) -> tuple[list[Volume], list[Problem]]:
    """Find and decode everything below ``folder``.

    Args:
        folder: Where to look.
        modality: Overrides what files and folder names say, unless "".
        options: What to do with gaps, tilt and time series.

    Returns:
        The volumes, and a problem for each file or series that was left out.

    Raises:
        DataError: If ``folder`` does not exist.
    """
    series, problems = find_series(folder, modality, options)
    volumes = []
    for one in series:
        try:
            volumes.append(read_series(one))
        except DataError as error:
            problems.append(Problem(one.paths[0], error.one_line()))
    return volumes, problems

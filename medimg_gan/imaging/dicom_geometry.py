"""From slice headers to one regular grid, or a refusal that says what is irregular."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import DicomGeometryError
from medimg_gan.imaging.orientation import LPS_TO_RAS

if TYPE_CHECKING:
    from medimg_gan.imaging.dicom_header import SliceHeader
    from medimg_gan.types import FloatArray

GAP_TOLERANCE = 0.01
"""A gap may differ from the median gap by this many mm, or this part of the gap if larger."""
DRIFT_TOLERANCE = 0.1
"""Slices may shift sideways by this part of a pixel over the whole stack."""
ANGLE_TOLERANCE = 1e-3
"""Slices are parallel if no component of their direction cosines differs by more."""


class IrregularError(DicomGeometryError):
    """Slices that form no single regular volume, but can be made into some."""

    shown_as = "DicomGeometryError"


class MosaicError(IrregularError):
    """Siemens mosaics: all slices of a volume stand side by side in one picture."""


class TimeSeriesError(IrregularError):
    """The same number of images at each of several positions."""


class TiltedError(IrregularError):
    """Slices that shift sideways from one to the next."""


class GapError(IrregularError):
    """Slices that are not evenly spaced."""


class MissingSliceError(GapError):
    """Wide gaps that the instance numbers left out would fill."""


@dataclass(frozen=True)
class Stack:
    """Slices in order, on one grid.

    Attributes:
        slices: Along the normal of the slices (row direction x column direction).
        affine: (4, 4), (column, row, slice) -> mm in RAS+.
    """

    slices: tuple[SliceHeader, ...]
    affine: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)


def same_plane(one: SliceHeader, other: SliceHeader) -> bool:
    """Whether two slices have equal size, direction and pixel spacing."""
    if one.size != other.size or one.storage != other.storage:
        return False
    if one.orientation is None or other.orientation is None:
        return False
    # Plain comparisons: this runs for every slice of a folder, and numpy takes ten times longer.
    parallel = all(
        abs(mine - its) <= ANGLE_TOLERANCE
        for mine, its in zip(one.orientation, other.orientation, strict=True)
    )
    spacing = zip(one.pixel_spacing or (1, 1), other.pixel_spacing or (1, 1), strict=True)
    return parallel and all(abs(mine - its) <= 1e-3 * abs(its) for mine, its in spacing)


def stack(headers: list[SliceHeader], place: str) -> Stack:
    """Order slices by where they lie and check that they form one regular volume.

    File names and instance numbers play no part. The affine follows the normal; slices that
    leave it (a tilted gantry) are refused.

    Args:
        headers: Slices in any order.
        place: Where the series is, for messages.

    Raises:
        DicomGeometryError: If sizes, directions or spacings differ, positions repeat, a slice is
            missing, or the stack is slanted.
    """
    first = headers[0]
    if len(headers) == 1 and (first.position is None or first.orientation is None):
        return Stack((first,), without_geometry(first.size, first.pixel_spacing or (1.0, 1.0)))
    _refuse_mixed(headers, place)
    row, column = np.reshape(np.array(first.orientation), (2, 3))
    normal = np.cross(row, column)
    if abs(np.linalg.norm(normal) - 1) > 0.01 or abs(row @ column) > 0.01:
        raise DicomGeometryError(
            f"{place}: directions of rows and columns are not perpendicular unit vectors",
            observed=f"Image Orientation (Patient) is {first.orientation}",
        )
    headers, positions, heights = _in_order(headers, normal)
    spacing = first.pixel_spacing or (1.0, 1.0)
    uneven = _uneven(headers, heights, place)
    if isinstance(uneven, MissingSliceError):
        raise uneven  # before the slant: a lost slice is worse, and nobody planned it
    _refuse_slant(positions, heights, normal, min(spacing), place)
    if uneven:
        raise uneven
    gap = _slice_distance(headers, heights)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing[1], column * spacing[0]
    affine[:3, 2], affine[:3, 3] = normal * gap, positions[0]
    return Stack(tuple(headers), LPS_TO_RAS @ affine)


def without_geometry(size: tuple[int, int], spacing: tuple[float, ...]) -> FloatArray:
    """The affine of a picture: column 0 at the patient's right, row 0 at the top.

    Args:
        size: Rows, columns.
        spacing: Distance between rows, between columns, in mm.

    Returns:
        (4, 4), (column, row, 0) -> mm in RAS+; the last pixel of the last row is the origin.
    """
    (rows, columns), (down, across) = size, spacing
    affine = np.diag([-across, -down, 1.0, 1.0])
    affine[:2, 3] = (columns - 1) * across, (rows - 1) * down
    return affine


def even_runs(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Cut a stack of parallel slices where the distance between neighbours changes."""
    row, column = np.reshape(np.array(headers[0].orientation), (2, 3))
    headers, _, heights = _in_order(headers, np.cross(row, column))
    runs = [[headers[0]]]
    first_gap = None
    for header, gap in zip(headers[1:], np.diff(heights).tolist(), strict=True):
        if first_gap is None or abs(gap - first_gap) <= _tolerance(first_gap):
            runs[-1].append(header)
            first_gap = first_gap or gap
        else:
            runs.append([header])
            first_gap = None
    return runs


def _in_order(
    headers: list[SliceHeader], normal: FloatArray
) -> tuple[list[SliceHeader], FloatArray, FloatArray]:
    """Slices along the normal, their positions (N, 3) and heights (N,) in mm."""
    positions = np.array([header.position for header in headers])
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    return [headers[i] for i in order], positions[order], heights[order]


def _tolerance(gap: float) -> float:
    return max(GAP_TOLERANCE, GAP_TOLERANCE * gap)


def repeats(headers: list[SliceHeader]) -> bool:
    """Whether two slices lie at the same place."""
    return max(images_by_place(headers).values()) > 1


def images_by_place(headers: list[SliceHeader]) -> Counter[tuple[float, ...]]:
    """How many images lie at each place."""
    return Counter(place_of(header) for header in headers)


def place_of(header: SliceHeader) -> tuple[float, ...]:
    """The slice's position in mm, to a micrometre; () without geometry."""
    return tuple(round(value, 3) for value in header.position or ())


def _refuse_mixed(headers: list[SliceHeader], place: str) -> None:
    first = headers[0]
    if any(header.position is None or header.orientation is None for header in headers):
        raise DicomGeometryError(
            f"{place}: slices without a position",
            observed="Image Position or Orientation (Patient) is absent",
            cause="an export that dropped geometry",
            fix="export the series again as original images",
        )
    sizes = Counter(header.size for header in headers)
    if len(sizes) > 1:
        raise DicomGeometryError(
            f"{place}: slices of different size",
            observed=", ".join(f"{n} of {r}x{c}" for (r, c), n in sizes.most_common(3)),
        )
    odd = [header.number for header in headers if not same_plane(first, header)]
    if odd:
        raise DicomGeometryError(
            f"{place}: slices of different direction or pixel spacing",
            observed=f"{len(odd)} of {len(headers)} differ from the first",
            cause=f"two series in one (InstanceNumber {_listed(odd)})",
        )
    counts = images_by_place(headers)
    if max(counts.values()) > 1:
        _refuse_repeats(headers, counts, place)


def _refuse_repeats(
    headers: list[SliceHeader], counts: Counter[tuple[float, ...]], place: str
) -> None:
    if len(set(counts.values())) == 1:
        raise TimeSeriesError(
            f"{place}: a 4D series",
            observed=f"{max(counts.values())} images at each of {len(counts)} positions",
            cause="several time points, directions or echoes in one series",
            fix="export one of them as its own series",
        )
    position, times = counts.most_common(1)[0]
    numbers = [header.number for header in headers if place_of(header) == position]
    raise DicomGeometryError(
        f"{place}: slices at the same position",
        observed=f"{times} at {position} (InstanceNumber {_listed(numbers)}); "
        f"{len(headers)} slices at {len(counts)} positions",
        cause="a repeated acquisition, or two series in one",
    )


def _slice_distance(headers: list[SliceHeader], heights: FloatArray) -> float:
    if len(headers) == 1:
        return headers[0].thickness or 1.0
    return float((heights[-1] - heights[0]) / (len(heights) - 1))


def _uneven(headers: list[SliceHeader], heights: FloatArray, place: str) -> GapError | None:
    """What is wrong with the distances between slices, if anything."""
    if len(headers) < 3:
        return None
    gaps = np.diff(heights)
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # the lower median is one of the gaps
    tolerance = _tolerance(usual)
    wrong = np.flatnonzero(np.abs(gaps - usual) > tolerance)
    if not wrong.size:
        return None
    shown = ", ".join(f"gap {i + 1}->{i + 2} is {gaps[i]:.4g} mm" for i in wrong[:3])
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    missing = _missing_numbers(headers, gaps, usual, tolerance, wrong)
    many = len(gaps) - len(wrong)
    rest = f"the other {many} gaps are" if many > 1 else "the other gap is"
    return (MissingSliceError if missing else GapError)(
        f"{place}: slices are not evenly spaced",
        observed=f"{shown}{more}; {rest} {usual:.4g} mm (tolerance {tolerance:.3g} mm)",
        cause=f"a missing file (InstanceNumber {_listed(missing)})"
        if missing
        else "missing files, or slices planned at uneven distances",
        fix="export the series again, or pass --data.on-gap resample (or split)",
    )


def _missing_numbers(
    headers: list[SliceHeader],
    gaps: FloatArray,
    usual: float,
    tolerance: float,
    wrong: np.ndarray,
) -> list[int]:
    """Instance numbers that would fill the wide gaps; empty unless every gap agrees with them."""
    missing: list[int] = []
    for index in wrong:
        steps = round(float(gaps[index]) / usual)
        below, above = headers[index].number, headers[index + 1].number
        whole = steps > 1 and abs(gaps[index] - steps * usual) <= steps * tolerance
        if not whole or below is None or above is None or abs(above - below) != steps:
            return []
        missing += range(min(below, above) + 1, max(below, above))
    return sorted(missing)


def _refuse_slant(
    positions: FloatArray, heights: FloatArray, normal: FloatArray, pixel: float, place: str
) -> None:
    sideways = positions - positions[0] - np.outer(heights - heights[0], normal)
    drift = float(np.linalg.norm(sideways, axis=1).max())
    if drift <= DRIFT_TOLERANCE * pixel:
        return
    rise = float(heights[-1] - heights[0])
    angle = np.degrees(np.arctan2(np.linalg.norm(sideways[-1]), rise))
    raise TiltedError(
        f"{place}: the stack of slices is slanted by {angle:.1f} degrees",
        observed=f"slices shift sideways by {drift:.4g} mm over {rise:.4g} mm, expected below "
        f"{DRIFT_TOLERANCE * pixel:.2g} mm",
        cause="a tilted gantry",
        fix="pass --data.on-tilt resample, or export a reformat",
    )


def _listed(numbers: Sequence[int | None]) -> str:
    shown = ", ".join(str(number) for number in numbers[:5])
    return f"{shown} ..." if len(numbers) > 5 else shown

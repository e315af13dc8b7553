"""Sort slice headers into series: by UID and plane, then by kind where positions repeat."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from medimg_gan.errors import DicomGeometryError, UnreadableError
from medimg_gan.imaging import orientation
from medimg_gan.imaging.dicom_geometry import Stack, repeats, same_plane, stack
from medimg_gan.imaging.dicom_header import SliceHeader
from medimg_gan.imaging.dicom_kind import ENHANCED
from medimg_gan.imaging.series import (
    DICOM_MODALITIES,
    Problem,
    Series,
    modality_from_name,
    short_key,
)

SCANNERS = ("CT", "MR", "PT")
"""Modalities whose images belong into volumes: several without geometry are refused."""
IMAGE_TYPE, ECHO, ACQUISITION = range(3)


def sort_into_series(
    headers: Iterable[SliceHeader], root: Path, modality: str
) -> tuple[list[Series], list[Problem]]:
    """Every series that forms a volume, and a problem for each that does not.

    Args:
        headers: All slices found below ``root``, in any order.
        root: Folders below it may tell the modality where DICOM does not.
        modality: Overrides what files and folders say, unless "".
    """
    unique, problems = _without_copies(headers)
    series: list[Series] = []
    for group in _by_uid(unique):
        planes, odd = _by_plane(group)
        problems += odd
        for part in (part for plane in planes for part in _by_kind(plane)):
            try:
                series.append(_described(part, root, modality))
            except (DicomGeometryError, UnreadableError) as error:
                problems.append(Problem(part[0].path.parent, error.one_line()))
    return series, problems


def checked_stack(headers: list[SliceHeader]) -> Stack:
    """The grid of one series.

    Raises:
        UnreadableError: If a file of it is damaged.
        DicomGeometryError: If the slices do not form one regular volume.
    """
    for header in headers:
        if header.fault:
            raise header.fault
    first = headers[0]
    number = f" (series {first.series_number})" if first.series_number else ""
    return stack(headers, f"{first.path.parent}{number}")


def _without_copies(headers: Iterable[SliceHeader]) -> tuple[list[SliceHeader], list[Problem]]:
    """Drop second copies of an image; one problem for each folder that holds some."""
    seen: dict[tuple[object, ...], SliceHeader] = {}
    copies: Counter[tuple[Path, Path]] = Counter()
    unique = []
    for header in sorted(headers, key=lambda header: (header.path, header.frame)):
        identity = (header.image, header.frame, header.position, header.size, header.patient)
        original = seen.setdefault(identity, header) if header.image else header
        if original is header:
            unique.append(header)
        else:
            copies[header.path.parent, original.path.parent] += header.frame == 0
    problems = [
        Problem(folder, f"left out: copies of {count} images in {original}")
        for (folder, original), count in copies.items()
    ]
    return unique, problems


def _by_uid(headers: list[SliceHeader]) -> list[list[SliceHeader]]:
    groups: dict[tuple[object, ...], list[SliceHeader]] = defaultdict(list)
    for header in headers:
        alone = _stands_alone(header)
        place = header.path if alone else header.series or header.path.parent
        groups[header.patient, place].append(header)
    return list(groups.values())


def _stands_alone(header: SliceHeader) -> bool:
    """Enhanced files are whole volumes; screenshots and radiographs are whole pictures."""
    if header.storage in ENHANCED:
        return True
    flat = header.position is None or header.orientation is None
    return flat and (header.modality not in SCANNERS or header.unit == "display")


def _by_plane(group: list[SliceHeader]) -> tuple[list[list[SliceHeader]], list[Problem]]:
    """Split a series by size, direction and pixel spacing; lone slices are left out."""
    if any(header.orientation is None for header in group) or len(group) == 1:
        return [group], []
    planes: list[list[SliceHeader]] = []
    for header in group:
        plane = next((plane for plane in planes if same_plane(plane[0], header)), None)
        if plane is None:
            planes.append([header])
        else:
            plane.append(header)
    if len(planes) == 1:
        return planes, []
    if all(len(plane) == 1 for plane in planes):
        reason = f"left out: {len(group)} images, each in its own plane (a localiser or rotation)"
        return [], [Problem(group[0].path.parent, reason)]
    odd = [
        Problem(
            plane[0].path,
            f"left out: one slice of other size, direction or pixel spacing "
            f"({plane[0].size[0]}x{plane[0].size[1]}) among {len(group)} of its series",
        )
        for plane in planes
        if len(plane) == 1
    ]
    return [plane for plane in planes if len(plane) > 1], odd


def _by_kind(plane: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Split where positions repeat, if image type, echo or (CT) acquisition explain it."""
    if plane[0].position is None or plane[0].storage in ENHANCED or not repeats(plane):
        return [plane]
    choices = [(IMAGE_TYPE,), (ECHO,), (IMAGE_TYPE, ECHO)]
    # In MR an acquisition number counts time points: that is a 4D series, and refused as one.
    choices += [(ACQUISITION,), (IMAGE_TYPE, ACQUISITION)] if plane[0].modality == "CT" else []
    for choice in choices:
        parts: dict[tuple[str, ...], list[SliceHeader]] = defaultdict(list)
        for header in plane:
            parts[tuple(header.kinds[kind] for kind in choice)].append(header)
        if not any(repeats(part) or len(part) == 1 for part in parts.values()):
            return list(parts.values())
    return [plane]


def _described(headers: list[SliceHeader], root: Path, modality: str) -> Series:
    grid = checked_stack(headers)
    first = grid.slices[0]
    blank = np.broadcast_to(np.float32(0), grid.shape)
    turned, affine = orientation.reoriented(blank, grid.affine, "RAS")
    i, j, k = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    uid = first.series or first.path.relative_to(root)
    direction = [round(value, 2) + 0.0 for value in first.orientation or ()]
    alone = first.image if _stands_alone(first) else ""
    paths = tuple(dict.fromkeys(header.path for header in grid.slices))
    return Series(
        key=short_key(uid, alone, first.size, direction, first.kinds),
        paths=paths,
        format="dicom",
        modality=modality
        or DICOM_MODALITIES.get(first.modality, "")
        or modality_from_name(first.path, root),
        patient=first.patient,
        shape=(turned.shape[0], turned.shape[1], turned.shape[2]),
        spacing=(i, j, k),
    )

"""Sort slice headers into series: by UID and plane, then by kind where positions repeat.

What then is no single regular volume goes to :mod:`dicom_irregular`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from medimg_gan.errors import DicomGeometryError, UnreadableError
from medimg_gan.imaging import dcm2niix, dicom_irregular, orientation
from medimg_gan.imaging.dcm2niix import PartsOf
from medimg_gan.imaging.dicom_geometry import (
    IrregularError,
    MosaicError,
    Stack,
    images_by_place,
    place_of,
    repeats,
    same_plane,
    stack,
)
from medimg_gan.imaging.dicom_header import ACQUISITION, ECHO, IMAGE_TYPE, SliceHeader
from medimg_gan.imaging.dicom_kind import ENHANCED
from medimg_gan.imaging.series import (
    DICOM_MODALITIES,
    Problem,
    Series,
    modality_from_name,
    short_key,
)
from medimg_gan.read_options import DEFAULTS, ReadOptions

SCANNERS = ("CT", "MR", "PT")
"""Modalities whose images belong into volumes: several without geometry are refused."""
SEVERAL_PLANES = (
    "frames of several planes or pixel spacings in one enhanced file; "
    "fix: export each plane as a series of its own"
)


@dataclass(frozen=True)
class How:
    """What sorting needs to know beside the slices.

    Attributes:
        root: Folders below it may tell the modality where DICOM does not.
        modality: Overrides what files and folders say, unless "".
        options: What to do with slices that form no single regular volume.
        parts_of: Tells what dcm2niix makes of files; one that remembers need not ask it.
    """

    root: Path
    modality: str = ""
    options: ReadOptions = DEFAULTS
    parts_of: PartsOf = dcm2niix.parts_of


def sort_into_series(
    headers: Iterable[SliceHeader], how: How
) -> tuple[list[Series], list[Problem]]:
    """Every series that forms a volume, and a problem for each that does not.

    Args:
        headers: All slices found below ``how.root``, in any order.
        how: How to read them.
    """
    unique, problems = _without_copies(headers)
    series: list[Series] = []
    for group in _by_uid(unique):
        planes, odd = _by_plane(group)
        problems += odd
        if len(planes) > 1 and group[0].storage in ENHANCED:
            problems.append(Problem(group[0].path, SEVERAL_PLANES))
            continue
        for part in (part for plane in planes for part in _by_kind(plane)):
            try:
                series += _series_of(part, how)
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
    place = f"{first.path.parent}{number}"
    if first.mosaic:
        raise MosaicError(
            f"{place}: Siemens mosaics",
            observed="all slices of a volume stand side by side in one picture",
            cause="an EPI series exported in mosaic form",
        )
    return stack(headers, place)


def _without_copies(headers: Iterable[SliceHeader]) -> tuple[list[SliceHeader], list[Problem]]:
    """Drop second copies of an image; one problem for each folder that holds some.

    The folder with the most images keeps them: a part of a series that was copied elsewhere must
    not take slices from the whole.
    """
    headers = list(headers)
    images = Counter(header.path.parent for header in headers)
    seen: dict[tuple[object, ...], SliceHeader] = {}
    copies: Counter[tuple[Path, Path]] = Counter()
    unique = []
    for header in sorted(headers, key=lambda h: (-images[h.path.parent], h.path, h.frame)):
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
    def identity(header: SliceHeader) -> tuple[object, ...]:
        alone = _stands_alone(header)
        place = header.path if alone else header.series or header.path.parent
        # Some exports give two series one UID: their numbers differ.
        return header.patient, place, header.series_number

    return [part for group in _grouped(headers, identity) for part in _whole_volumes(group)]


def _stands_alone(header: SliceHeader) -> bool:
    """Screenshots and radiographs are whole pictures."""
    flat = header.position is None or header.orientation is None
    return flat and (header.modality not in SCANNERS or header.unit == "display")


def _whole_volumes(group: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Tell apart what one UID holds together: enhanced files, and copies under new image UIDs.

    Enhanced files are volumes each, unless they show one place at several times. A folder whose
    images stand in another one with the same numbers holds a series of its own.
    """
    if group[0].storage in ENHANCED:
        files = _grouped(group, lambda header: header.path)
        places = {frozenset(images_by_place(frames)) for frames in files}
        return [group] if len(places) == 1 else files
    identities = {(place_of(one), one.number, one.kinds) for one in group}
    copied = len(identities) < len(group) and group[0].position is not None
    return _grouped(group, lambda header: header.path.parent) if copied else [group]


def _grouped(
    headers: list[SliceHeader], key: Callable[[SliceHeader], object]
) -> list[list[SliceHeader]]:
    groups: dict[object, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        groups[key(header)].append(header)
    return list(groups.values())


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
    """Split where positions repeat, if image type, echo or (CT) acquisition explain it.

    The best split leaves no position twice; the next best each as often as every other, which
    makes time series.
    """
    enhanced = plane[0].storage in ENHANCED  # dcm2niix splits the frames of one file
    if plane[0].position is None or enhanced or not repeats(plane):
        return [plane]
    choices = [(IMAGE_TYPE,), (ECHO,), (IMAGE_TYPE, ECHO)]
    # In MR an acquisition number counts time points: that is one 4D series.
    choices += [(ACQUISITION,), (IMAGE_TYPE, ACQUISITION)] if plane[0].modality == "CT" else []
    splits = [
        _grouped(plane, lambda header, choice=choice: tuple(header.kinds[kind] for kind in choice))
        for choice in choices
    ]
    for split in splits:
        if not any(repeats(part) or len(part) == 1 for part in split):
            return split
    for split in splits:
        counts = [set(images_by_place(part).values()) for part in split]
        if all(len(images) == 1 for images in counts):
            return split
    return [plane]


def _series_of(headers: list[SliceHeader], how: How, *notes: str) -> list[Series]:
    """One series of a regular stack; what the options make of any other."""
    try:
        grid = checked_stack(headers)
    except IrregularError as error:
        if parts := dicom_irregular.regular_parts(headers, error, how.options):
            return [
                series for part, note in parts for series in _series_of(part, how, *notes, note)
            ]
        base = _described(headers, how, notes)
        return dicom_irregular.converted(base, headers, error, how.parts_of)
    base = _described(list(grid.slices), how, notes)
    shape, affine = orientation.grid_in_ras(grid.shape, grid.affine)
    return [replace(base, shape=shape, spacing=orientation.spacing_of(affine))]


def _described(headers: list[SliceHeader], how: How, notes: tuple[str, ...]) -> Series:
    """The series of these slices, but for its grid."""
    first = headers[0]
    uid = first.series or first.path.relative_to(how.root)
    direction = [round(value, 2) + 0.0 for value in first.orientation or ()]
    image = min(header.image for header in headers)
    return Series(
        key=short_key(uid, first.series_number, image, first.size, direction, first.kinds, *notes),
        paths=tuple(dict.fromkeys(header.path for header in headers)),
        format="dicom",
        modality=how.modality
        or DICOM_MODALITIES.get(first.modality, "")
        or modality_from_name(first.path, how.root),
        patient=first.patient,
        shape=(0, 0, 0),
        spacing=(0.0, 0.0, 0.0),
        unit=first.unit,
        notes=(*notes, *_remarks(headers)),
        options=how.options,
    )


def _remarks(headers: list[SliceHeader]) -> list[str]:
    """What a person should know of the pixels."""
    burned_in = any(header.burned_in for header in headers)
    unmapped = any(header.real_world == "not applied" for header in headers)
    return [
        *(["burned-in annotation: text in the pixels may name the patient"] if burned_in else []),
        *(["a real-world value map is not applied: rescale goes before it"] if unmapped else []),
    ]

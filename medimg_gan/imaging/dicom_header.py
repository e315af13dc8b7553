"""What one DICOM image says about itself: a :class:`SliceHeader` per slice, pixels untouched."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydicom import Dataset
from pydicom.datadict import dictionary_description

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.dicom_kind import (
    ENHANCED,
    class_name,
    image_type,
    is_colour,
    pixel_fault,
    refuse_what_is_no_scan,
    unit_of,
)
from medimg_gan.imaging.dicom_parse import parsed
from medimg_gan.imaging.untrusted import refused

Value = TypeVar("Value")

LARGEST_MM = 1e6
"""No scanner reaches a kilometre; a larger number is damaged, and would overflow later."""
TAGS = """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID Modality PatientID SeriesInstanceUID
    SeriesNumber AcquisitionNumber InstanceNumber EchoTime EchoNumbers ImagePositionPatient
    ImageOrientationPatient PixelSpacing ImagerPixelSpacing SliceThickness SpacingBetweenSlices
    SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns BitsAllocated BitsStored
    PixelRepresentation RescaleSlope RescaleIntercept RescaleType SharedFunctionalGroupsSequence
    PerFrameFunctionalGroupsSequence ModalityLUTSequence RealWorldValueMappingSequence
    BurnedInAnnotation
"""
IMAGE_TYPE, ECHO, ACQUISITION = range(3)
"""Places in ``SliceHeader.kinds``."""


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice: a whole classic file, or one frame of an enhanced file.

    Attributes:
        path, frame: Where its pixels are.
        series, image: Series and SOP instance UID, "" if absent.
        patient: Patient ID; kept in memory only.
        modality: Modality (0008,0060).
        storage: SOP class UID.
        kinds: What may tell two images at one place apart: image type, echo, acquisition number.
        number: Instance number, or the frame's number from 1.
        series_number: Series Number as text.
        size: Rows, columns.
        position: Image Position (Patient) in mm LPS; None without geometry.
        orientation: Image Orientation (Patient): along a row, then along a column.
        pixel_spacing: Distance between rows, between columns in mm; None if unknown.
        thickness: Distance to the next slice as the header says, in mm; None if unknown.
        slope, intercept: Stored value -> real value.
        unit: "HU", "signal" or "display".
        mosaic: Whether it is a Siemens mosaic: all slices of a volume in one picture.
        real_world: "applied" or "not applied" where there is a real-world value map, else "".
        burned_in: Whether Burned In Annotation says that text stands in the pixels.
        fault: Why its pixels cannot be used, if they cannot.
    """

    path: Path
    frame: int
    series: str
    image: str
    patient: str
    modality: str
    storage: str
    kinds: tuple[str, str, str]
    number: int | None
    series_number: str
    size: tuple[int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness: float | None
    slope: float
    intercept: float
    unit: str
    mosaic: bool = False
    real_world: str = ""
    burned_in: bool = False
    fault: UnreadableError | None = None


def read_headers(path: Path) -> list[SliceHeader]:
    """The slices of one DICOM file, without reading pixels.

    Raises:
        LeftOutError: If the file is valid but holds no scan (a report, a localiser).
        UnreadableError: If the file is damaged or of a kind that is not supported.
    """
    dataset, rest = parsed(path, TAGS.split())
    return headers_of(dataset, path, rest)


def headers_of(dataset: Dataset, path: Path, rest: int | None = None) -> list[SliceHeader]:
    """The slices that a parsed data set describes; raises like :func:`read_headers`.

    Args:
        dataset: With or without its pixels.
        path: Where it came from.
        rest: Bytes of the file behind the header, if only that was read.
    """
    with refused(path, "damaged header"):
        refuse_what_is_no_scan(dataset, path)
        frames = int(dataset.get("NumberOfFrames") or 1)
        fault = pixel_fault(dataset, path, frames, rest)
        if dataset.SOPClassUID in ENHANCED:
            _refuse_missing_frames(dataset, path, frames)
            return [_enhanced(dataset, path, index, fault) for index in range(frames)]
        if frames != 1:
            raise UnreadableError(
                f"{path}: {frames} frames in a {class_name(dataset)}",
                cause="a film or a multi-frame picture without geometry",
                fix="export single frames",
            )
        return [_classic(dataset, path, fault)]


def _classic(dataset: Dataset, path: Path, fault: UnreadableError | None) -> SliceHeader:
    # Geometry of colour pictures is that of a screen, not of the patient.
    place = Dataset() if is_colour(dataset) else dataset
    spacing = "PixelSpacing" if dataset.get("PixelSpacing") else "ImagerPixelSpacing"
    thickness = "SpacingBetweenSlices" if dataset.get("SpacingBetweenSlices") else "SliceThickness"
    return SliceHeader(
        **_shared(dataset, path, fault),
        **_rescale(dataset, dataset, path),
        frame=0,
        number=_read(dataset, "InstanceNumber", path, int),
        position=_read(place, "ImagePositionPatient", path, partial(_floats, count=3)),
        orientation=_read(place, "ImageOrientationPatient", path, partial(_floats, count=6)),
        pixel_spacing=_read(place, spacing, path, _spacing),
        thickness=_read(dataset, thickness, path, _distance),
    )


def _refuse_missing_frames(dataset: Dataset, path: Path, frames: int) -> None:
    groups = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if frames != groups:
        raise UnreadableError(
            f"{path}: {frames} frames, but {groups} descriptions of frames",
            cause="a damaged header",
        )


def _enhanced(
    dataset: Dataset, path: Path, index: int, fault: UnreadableError | None
) -> SliceHeader:
    """One frame, from the shared and the per-frame functional groups (PS3.3 C.7.6.16)."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = dataset.PerFrameFunctionalGroupsSequence[index]

    def item(sequence: str) -> Dataset:
        return (own.get(sequence) or shared.get(sequence) or [Dataset()])[0]

    measures = item("PixelMeasuresSequence")
    thickness = "SpacingBetweenSlices" if measures.get("SpacingBetweenSlices") else "SliceThickness"
    place, plane = item("PlanePositionSequence"), item("PlaneOrientationSequence")
    map_owner = own if "RealWorldValueMappingSequence" in own else shared
    return SliceHeader(
        **_shared(dataset, path, fault),
        **_rescale(item("PixelValueTransformationSequence"), map_owner, path),
        frame=index,
        number=index + 1,
        position=_read(place, "ImagePositionPatient", path, partial(_floats, count=3)),
        orientation=_read(plane, "ImageOrientationPatient", path, partial(_floats, count=6)),
        pixel_spacing=_read(measures, "PixelSpacing", path, _spacing),
        thickness=_read(measures, thickness, path, _distance),
    )


def _rescale(values: Dataset, map_owner: Dataset, path: Path) -> dict[str, Any]:
    """Slope and intercept: the modality's own, else of a linear real-world value map.

    Args:
        values: Holds the modality's rescale, if there is one.
        map_owner: Holds Real World Value Mapping Sequence (PS3.3 C.7.6.16.2.11), if there is one.
        path: Where it came from.
    """
    maps = map_owner.get("RealWorldValueMappingSequence") or []
    rescaled = "ModalityLUTSequence" in values or values.get("RescaleSlope") not in (None, "")
    if len(maps) == 1 and "RealWorldValueSlope" in maps[0] and not rescaled:
        slope = _read(maps[0], "RealWorldValueSlope", path, _finite)
        intercept = _read(maps[0], "RealWorldValueIntercept", path, _finite)
        return {"slope": slope or 1.0, "intercept": intercept or 0.0, "real_world": "applied"}
    return {
        "slope": _read(values, "RescaleSlope", path, _finite) or 1.0,
        "intercept": _read(values, "RescaleIntercept", path, _finite) or 0.0,
        "real_world": "not applied" if maps else "",
    }


def _shared(dataset: Dataset, path: Path, fault: UnreadableError | None) -> dict[str, Any]:
    return {
        "path": path,
        "series": str(dataset.get("SeriesInstanceUID") or ""),
        "image": str(dataset.get("SOPInstanceUID") or ""),
        "patient": str(dataset.get("PatientID") or ""),
        "modality": str(dataset.get("Modality") or ""),
        "storage": str(dataset.SOPClassUID),
        "kinds": (
            "\\".join(image_type(dataset)),
            f"{dataset.get('EchoTime')} {dataset.get('EchoNumbers')}",
            str(dataset.get("AcquisitionNumber")),
        ),
        "series_number": str(_read(dataset, "SeriesNumber", path, int) or ""),
        "size": (int(dataset.Rows), int(dataset.Columns)),
        "unit": unit_of(dataset),
        "mosaic": "MOSAIC" in image_type(dataset),
        "burned_in": str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES",
        "fault": fault,
    }


def _read(
    dataset: Dataset, keyword: str, path: Path, convert: Callable[[Any], Value]
) -> Value | None:
    """An attribute's value, None where it is absent or empty; a damaged one is not quoted."""
    try:
        value = dataset.get(keyword)
        return None if value is None or value == "" else convert(value)
    except Exception:
        raise UnreadableError(
            f"{path}: damaged header",
            observed=f"{dictionary_description(keyword)} is not what it should be",
            fix="copy or export it again",
        ) from None


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _distance(value: Any) -> float:
    """In mm; a negative one tells a direction, which positions tell better."""
    return abs(_floats([value], 1)[0])


def _floats(values: Any, count: int) -> tuple[float, ...]:
    numbers = tuple(_finite(value) for value in values)
    if len(numbers) != count or max(map(abs, numbers)) > LARGEST_MM:
        raise ValueError
    return numbers


def _spacing(values: Any) -> tuple[float, ...]:
    numbers = _floats(values, 2)
    if min(numbers) <= 0:
        raise ValueError
    return numbers

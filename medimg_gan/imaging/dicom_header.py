"""What one DICOM image says about itself: a :class:`SliceHeader` per slice, pixels untouched."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.dicom_kind import (
    ENHANCED,
    LeftOutError,
    class_name,
    image_type,
    is_colour,
    pixel_fault,
    refuse_what_is_no_scan,
    unit_of,
)

TAGS = """
    SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID Modality PatientID SeriesInstanceUID
    SeriesNumber AcquisitionNumber InstanceNumber EchoTime EchoNumbers ImagePositionPatient
    ImageOrientationPatient PixelSpacing ImagerPixelSpacing SliceThickness SpacingBetweenSlices
    SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns BitsAllocated BitsStored
    PixelRepresentation RescaleSlope RescaleIntercept RescaleType SharedFunctionalGroupsSequence
    PerFrameFunctionalGroupsSequence
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
    fault: UnreadableError | None = None


def read_headers(path: Path) -> list[SliceHeader]:
    """The slices of one DICOM file, without reading pixels.

    Raises:
        LeftOutError: If the file is valid but holds no scan (a report, a localiser).
        UnreadableError: If the file is damaged or of a kind that is not supported.
    """
    try:
        with path.open("rb") as file:
            dataset = dcmread(
                file, stop_before_pixels=True, specific_tags=list(TAGS.split()), force=True
            )
            return headers_of(dataset, path, path.stat().st_size - file.tell())
    except (LeftOutError, UnreadableError):
        raise
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise UnreadableError(
            f"{path}: not a readable DICOM file",
            observed=f"{type(error).__name__}: {error}",
            cause="a damaged or incomplete file",
        ) from error


def headers_of(dataset: Dataset, path: Path, rest: int | None = None) -> list[SliceHeader]:
    """The slices that a parsed data set describes; raises like :func:`read_headers`.

    Args:
        dataset: With or without its pixels.
        path: Where it came from.
        rest: Bytes of the file behind the header, if only that was read.
    """
    refuse_what_is_no_scan(dataset, path)
    frames = int(dataset.get("NumberOfFrames") or 1)
    fault = pixel_fault(dataset, path, frames, rest)
    if dataset.SOPClassUID in ENHANCED:
        return [_enhanced(dataset, path, index, fault) for index in range(frames)]
    if frames > 1:
        raise UnreadableError(
            f"{path}: {frames} frames in a {class_name(dataset)}",
            cause="a film or a multi-frame picture without geometry",
            fix="export single frames",
        )
    colour = is_colour(dataset)
    # Geometry of colour pictures is that of a screen, not of the patient.
    place = None if colour else dataset.get("ImagePositionPatient")
    plane = None if colour else dataset.get("ImageOrientationPatient")
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    return [
        SliceHeader(
            **_shared(dataset, path, fault),
            frame=0,
            number=_whole(dataset.get("InstanceNumber")),
            position=_floats(place, 3, path),
            orientation=_floats(plane, 6, path),
            pixel_spacing=None if colour else _floats(spacing, 2, path),
            thickness=_number(dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness")),
            slope=_number(dataset.get("RescaleSlope")) or 1.0,
            intercept=_number(dataset.get("RescaleIntercept")) or 0.0,
        )
    ]


def _enhanced(
    dataset: Dataset, path: Path, index: int, fault: UnreadableError | None
) -> SliceHeader:
    """One frame, from the shared and the per-frame functional groups (PS3.3 C.7.6.16)."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = dataset.PerFrameFunctionalGroupsSequence[index]

    def item(sequence: str) -> Dataset:
        return (own.get(sequence) or shared.get(sequence) or [Dataset()])[0]

    measures = item("PixelMeasuresSequence")
    values = item("PixelValueTransformationSequence")
    position = item("PlanePositionSequence").get("ImagePositionPatient")
    plane = item("PlaneOrientationSequence").get("ImageOrientationPatient")
    thickness = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
    return SliceHeader(
        **_shared(dataset, path, fault),
        frame=index,
        number=index + 1,
        position=_floats(position, 3, path),
        orientation=_floats(plane, 6, path),
        pixel_spacing=_floats(measures.get("PixelSpacing"), 2, path),
        thickness=_number(thickness),
        slope=_number(values.get("RescaleSlope")) or 1.0,
        intercept=_number(values.get("RescaleIntercept")) or 0.0,
    )


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
        "series_number": str(dataset.get("SeriesNumber") or ""),
        "size": (int(dataset.Rows), int(dataset.Columns)),
        "unit": unit_of(dataset),
        "mosaic": "MOSAIC" in image_type(dataset),
        "fault": fault,
    }


def _number(value: Any) -> float | None:
    return None if value in (None, "") else float(value)


def _whole(value: Any) -> int | None:
    return None if value in (None, "") else int(value)


def _floats(values: Any, count: int, path: Path) -> tuple[float, ...] | None:
    if values in (None, ""):
        return None
    numbers = tuple(float(value) for value in values)
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise UnreadableError(
            f"{path}: damaged geometry", observed=f"{numbers}, expected {count} numbers"
        )
    return numbers

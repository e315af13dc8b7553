"""Write a volume as a classic DICOM series: CT, MR or Secondary Capture, one file per slice.

Attributes follow the modules of PS3.3 A.3 (CT Image), A.4 (MR Image) and A.8 (Secondary Capture).
Nothing is copied from a patient's file but what the caller hands over as an :class:`Origin`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import format_number_as_ds

from medimg_gan.errors import DicomGeometryError
from medimg_gan.files import new_folder
from medimg_gan.imaging import orientation
from medimg_gan.imaging.dicom_origin import Origin
from medimg_gan.imaging.dicom_values import StoredValues, in_16_bits
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from medimg_gan.types import FloatArray

PRODUCT = "medimg_gan"
TO_DICOM_MODALITY = {"ct": "CT", "mri": "MR", "xray": "DX"}
STANDARD_AXES = {"S": "LPS", "I": "LPS", "A": "LIP", "P": "LIP", "R": "PIR", "L": "PIR"}
"""Viewing convention by the direction across slices: axial, coronal, sagittal."""


def write_dicom(
    volume: Volume,
    folder: Path | str,
    *,
    description: str = "",
    synthetic: bool = True,
    template_patient: str = "ANON",
    study_seed: str = "",
    series_seed: str = "",
    series_number: int = 1,
    origin: Origin | None = None,
) -> list[Path]:
    """Write one series, 16 bits with Rescale Slope and Intercept.

    Values are kept exactly wherever 16 bits can (:func:`in_16_bits`): whole numbers, and whatever
    was read from DICOM. Else HU are rounded to whole numbers and signals to 1/32767 of the
    largest, which Derivation Description then says.

    Args:
        volume: Values and geometry. A volume read from DICOM gets its own slice direction again;
            any other is cut across the last axis of its file, in the usual viewing convention.
        folder: Made new; it must not hold files yet.
        description: Series Description; must not name a patient.
        synthetic: Sets Synthetic Data (0008,001C); False for a mere conversion of a real scan.
        template_patient: Pseudonym for Patient's Name and ID.
        study_seed: Series with the same seed share study and frame of reference; "" makes new.
        series_seed: Makes the UIDs of series and images reproducible; "" makes new.
        series_number: Series Number.
        origin: What the series shares with the one that it was made from.

    Returns:
        The files, in slice order.

    Raises:
        DicomGeometryError: If the axes are not perpendicular, which a series cannot express.
        DataError: If values do not fit, or the folder cannot be written.
    """
    folder = Path(folder)
    array, affine = orientation.reoriented(volume.array, volume.affine, _axes(volume))
    affine = orientation.LPS_TO_RAS @ affine
    slices = np.ascontiguousarray(array.T)  # slices, rows, columns
    stored = in_16_bits(slices, volume, folder)
    common = _series(
        volume, description, synthetic, template_patient, study_seed, series_seed, series_number
    )
    _share(common, origin or Origin())
    _add_plane(common, affine, folder)
    _add_pixel_description(common, stored.pixels, volume.unit)
    _add_window(common, slices, volume.unit)
    if stored.loss:
        common.DerivationDescription += f"; values {stored.loss}"
    names = [f"{index + 1:04d}.dcm" for index in range(len(slices))]
    with new_folder(folder) as aside:
        for index, name in enumerate(names):
            image = _image(common, stored, affine, index, series_seed)
            _name_sources(image, index, len(names), origin or Origin())
            image.save_as(aside / name, enforce_file_format=True)
    return [folder / name for name in names]


def _axes(volume: Volume) -> str:
    own = volume.stored
    return own if volume.provenance.get("format") == "dicom" else STANDARD_AXES[own[2]]


def _uid(*seed: str) -> uid.UID:
    return uid.generate_uid(entropy_srcs=[PRODUCT, *seed] if seed[0] else None)


def _storage_class(volume: Volume) -> uid.UID:
    if volume.modality == "ct" and volume.unit == "HU":
        return uid.CTImageStorage
    if volume.modality == "mri" and volume.unit == "signal":
        return uid.MRImageStorage
    return uid.SecondaryCaptureImageStorage


def _series(
    volume: Volume,
    description: str,
    synthetic: bool,
    patient: str,
    study_seed: str,
    series_seed: str,
    series_number: int,
) -> Dataset:
    """Everything that the images of a series share, except geometry and pixels."""
    series = Dataset()
    series.SOPClassUID = _storage_class(volume)
    series.SpecificCharacterSet = "ISO_IR 192"
    series.SyntheticData = "YES" if synthetic else "NO"
    series.PatientName = series.PatientID = patient
    series.PatientBirthDate = series.PatientSex = ""
    series.PatientIdentityRemoved = "YES"
    series.DeidentificationMethod = "No element copied from a patient"
    series.StudyInstanceUID = _uid(study_seed, "study")
    series.FrameOfReferenceUID = _uid(study_seed, "frame of reference")
    series.SeriesInstanceUID = _uid(series_seed, "series")
    series.StudyDate = series.StudyTime = series.StudyID = ""
    series.ReferringPhysicianName = series.AccessionNumber = ""
    series.PositionReferenceIndicator = ""
    series.Modality = TO_DICOM_MODALITY.get(volume.modality, "OT")
    series.Laterality = ""
    series.SeriesNumber = series_number
    series.SeriesDescription = description
    series.Manufacturer = PRODUCT
    series.DerivationDescription = (
        "Generated by a neural network or simulation" if synthetic else "Converted"
    )
    if synthetic:
        series.ContributingEquipmentSequence = [_synthesizing_equipment()]
    _add_acquisition(series)
    return series


def _share(series: Dataset, origin: Origin) -> None:
    """Put in place what the series has in common with its source."""
    if origin.frame_of_reference:
        series.FrameOfReferenceUID = origin.frame_of_reference
    if origin.patient_position and "PatientPosition" in series:
        series.PatientPosition = origin.patient_position
    copied = "frame of reference and position" if origin.frame_of_reference else "position"
    series.DeidentificationMethod = f"No element copied but of {copied}"
    if origin.identity is not None:
        series.update(origin.identity)
        series.PatientIdentityRemoved = "NO"
        del series.DeidentificationMethod


def _name_sources(image: Dataset, index: int, slices: int, origin: Origin) -> None:
    """Refer to the source image of a slice, or to all, where they are not one a slice."""
    images = origin.images[index : index + 1] if len(origin.images) == slices else origin.images
    references = []
    for kind, instance in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = kind, instance
        reference.PurposeOfReferenceCodeSequence = [
            _code(codes.DCM.SourceImageForImageProcessingOperation)
        ]
        references.append(reference)
    if references:
        image.SourceImageSequence = references


def _add_acquisition(series: Dataset) -> None:
    """What each storage class demands; unknown values stay empty where the standard allows."""
    kind = {uid.CTImageStorage: "AXIAL", uid.MRImageStorage: "OTHER"}.get(series.SOPClassUID)
    series.ImageType = ["DERIVED", "SECONDARY", *([kind] if kind else [])]
    series.AcquisitionNumber = None
    if series.SOPClassUID == uid.SecondaryCaptureImageStorage:
        series.ConversionType = "WSD"
        series.PatientOrientation = ""
        return
    series.PatientPosition = "HFS"
    if series.SOPClassUID == uid.CTImageStorage:
        series.KVP = None
        return
    series.ScanningSequence = "RM"
    series.SequenceVariant = "NONE"
    series.ScanOptions = series.MRAcquisitionType = ""
    series.RepetitionTime = series.EchoTime = series.EchoTrainLength = None


def _synthesizing_equipment() -> Dataset:
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = [_code(codes.DCM.SynthesizingEquipment)]
    equipment.Manufacturer = PRODUCT
    return equipment


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def _add_plane(series: Dataset, affine: FloatArray, folder: Path) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing
    skew = float(np.abs(directions.T @ directions - np.eye(3)).max())
    if skew > 1e-4:
        raise DicomGeometryError(
            f"{folder}: the volume's axes are not perpendicular",
            observed=f"the cosine between two axes is {skew:.5f}, expected below 0.0001",
            cause="an affine with shear, from registration or a tilted gantry",
            fix="resample onto a regular grid first, or write NIfTI",
        )
    column, row = directions[:, 0], directions[:, 1]
    series.ImageOrientationPatient = _decimals([*column, *row])
    series.PixelSpacing = _decimals([spacing[1], spacing[0]])  # between rows, between columns
    series.SliceThickness = series.SpacingBetweenSlices = _decimals([spacing[2]])[0]


def _add_pixel_description(series: Dataset, pixels: np.ndarray, unit: str) -> None:
    series.SamplesPerPixel = 1
    series.PhotometricInterpretation = "MONOCHROME2"
    series.Rows, series.Columns = pixels.shape[1:]
    series.BitsAllocated = series.BitsStored = 16
    series.HighBit = 15
    series.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    series.BurnedInAnnotation = "NO"
    series.RescaleType = {"HU": "HU", "display": "DISPLAY"}.get(unit, "US")


def _add_window(series: Dataset, slices: FloatArray, unit: str) -> None:
    low, high = (-160.0, 240.0) if unit == "HU" else (0.0, float(slices.max()))
    series.WindowCenter = format_number_as_ds((low + high) / 2)
    series.WindowWidth = format_number_as_ds(max(high - low, 1.0))


def _image(
    common: Dataset, stored: StoredValues, affine: FloatArray, index: int, series_seed: str
) -> Dataset:
    image = Dataset(common)
    image.SOPInstanceUID = _uid(series_seed, "image", str(index))
    image.InstanceNumber = index + 1
    image.ImagePositionPatient = _decimals(affine[:3, 3] + index * affine[:3, 2])
    image.RescaleSlope, image.RescaleIntercept = _decimals(stored.rescale[index])
    image.PixelData = stored.pixels[index].astype(stored.pixels.dtype.newbyteorder("<")).tobytes()
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return image


def _decimals(numbers: Iterable[float]) -> list[str]:
    """Decimal Strings of at most 16 characters."""
    return [format_number_as_ds(float(number)) for number in numbers]

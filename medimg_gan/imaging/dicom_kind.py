"""What a DICOM data set is: a scan or something else, whole or damaged, in which unit."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset, uid
from pydicom.pixels.utils import get_expected_length

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.untrusted import LeftOutError, grows_too_much

ENHANCED = (
    uid.EnhancedCTImageStorage,
    uid.EnhancedMRImageStorage,
    uid.EnhancedPETImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedMRImageStorage,
    uid.LegacyConvertedEnhancedPETImageStorage,
)
CT_CLASSES = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
)
SEGMENTATIONS = (uid.SegmentationStorage, uid.UID("1.2.840.10008.5.1.4.1.1.66.7"))
"""Segmentation, and Label Map Segmentation (which older dictionaries lack)."""
NOT_SCANS = (*SEGMENTATIONS, uid.RTDoseStorage)
"""Classes that have rows and columns, but no scan in them."""
LARGEST = 2**31
"""Voxels of one file beyond which a header is taken for damaged."""


def refuse_what_is_no_scan(dataset: Dataset, path: Path) -> None:
    """Let only images of a scan pass.

    Raises:
        LeftOutError: If it is a report, a plan, a directory, a localiser ...
        UnreadableError: If it is no DICOM at all.
    """
    if dataset.file_meta.get("MediaStorageSOPClassUID") == uid.MediaStorageDirectoryStorage:
        raise LeftOutError("a DICOMDIR")
    if "SOPClassUID" not in dataset:
        if "MediaStorageSOPClassUID" in dataset.file_meta:
            kind = _known_name(dataset.file_meta.MediaStorageSOPClassUID, "file")
            raise LeftOutError(f"no scan in this {kind}")
        raise UnreadableError(
            f"{path}: not a DICOM file", observed="no SOP class", cause="a damaged file"
        )
    pictured = dataset.get("Rows") and dataset.get("Columns")
    if not pictured and class_name(dataset).endswith("Image Storage"):
        raise UnreadableError(
            f"{path}: no pixels in this {class_name(dataset)}",
            cause="a file cut short, or one whose pixels were removed",
            fix="copy or export the series again",
        )
    if dataset.SOPClassUID in NOT_SCANS or not pictured:
        raise LeftOutError(f"no scan in this {class_name(dataset)}")
    kinds = image_type(dataset)
    if "LOCALIZER" in kinds or "SCOUT" in kinds:
        raise LeftOutError("a localiser")


def pixel_fault(
    dataset: Dataset, path: Path, frames: int, rest: int | None
) -> UnreadableError | None:
    """What is wrong with the pixels as far as header and file size tell, if anything.

    Args:
        dataset: The header.
        path: Where it came from.
        frames: How many pictures it holds.
        rest: Bytes of the file behind the header, if known.
    """
    voxels = int(dataset.Rows) * int(dataset.Columns) * frames
    if voxels > LARGEST:
        return UnreadableError(
            f"{path}: the header claims {voxels} pixels", cause="a damaged header"
        )
    syntax, expected = transfer_syntax(dataset), get_expected_length(dataset)
    if syntax.is_private or syntax.is_compressed or syntax.is_deflated:
        size = path.stat().st_size
        if not grows_too_much(expected, size):
            return None
        return UnreadableError(
            f"{path}: the header claims {expected >> 20} MiB of pixels",
            observed=f"compressed into a file of {size} bytes",
            cause="a damaged header, or a file made to fill memory",
        )
    if rest is None:
        return None
    found = max(0, rest - _tag_length(syntax))
    if found >= expected:
        return None
    return UnreadableError(
        f"{path}: truncated",
        observed=f"{found} bytes of pixels, expected {expected}",
        cause="an interrupted copy or a full disk; its series is left out, as a gap would remain",
        fix="copy or export the series again",
    )


def _tag_length(syntax: uid.UID) -> int:
    """Bytes of tag, type and length before the pixels (PS3.5 section 7.1)."""
    return 8 if syntax.is_implicit_VR else 12


def unit_of(dataset: Dataset) -> str:
    """Name the unit of the rescaled values: "HU", "signal" or "display"."""
    rescale = str(dataset.get("RescaleType") or "")
    ct = dataset.SOPClassUID in CT_CLASSES and dataset.get("Modality") == "CT"
    if ct and rescale in ("", "HU", "US"):
        return "HU"
    if is_colour(dataset) or rescale == "DISPLAY":
        return "display"
    scanner = ct or dataset.SOPClassUID == uid.MRImageStorage or dataset.SOPClassUID in ENHANCED
    return "display" if int(dataset.get("BitsStored") or 16) <= 8 and not scanner else "signal"


def is_colour(dataset: Dataset) -> bool:
    """Whether pixels are colours, directly or through a palette."""
    palette = dataset.get("PhotometricInterpretation") == "PALETTE COLOR"
    return palette or int(dataset.get("SamplesPerPixel") or 1) > 1


def image_type(dataset: Dataset) -> list[str]:
    """The values of Image Type, none if absent."""
    kinds = dataset.get("ImageType") or []
    return [kinds] if isinstance(kinds, str) else [str(kind) for kind in kinds]


def class_name(dataset: Dataset) -> str:
    """The storage class in words."""
    if dataset.SOPClassUID in SEGMENTATIONS:
        return uid.SegmentationStorage.name  # older dictionaries lack that of label maps
    return _known_name(dataset.SOPClassUID, "file of an unknown class")


def transfer_syntax(dataset: Dataset) -> uid.UID:
    """How the data set is encoded; implicit little endian where nothing says it."""
    return uid.UID(str(dataset.file_meta.get("TransferSyntaxUID") or uid.ImplicitVRLittleEndian))


def syntax_name(dataset: Dataset) -> str:
    """The transfer syntax in words."""
    return _known_name(transfer_syntax(dataset), "an unknown transfer syntax")


def _known_name(value: object, unknown: str) -> str:
    """A UID in words. One that the standard does not know is not repeated: it may be anyone's."""
    name = uid.UID(str(value)).name
    return unknown if name == str(value) else name

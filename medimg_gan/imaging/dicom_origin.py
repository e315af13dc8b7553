"""What a derived DICOM series may share with the series that it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, config
from pydicom.uid import UID
from pydicom.valuerep import validate_value

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.dicom_parse import parsed
from medimg_gan.imaging.untrusted import refused

PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber")
"""A study's images must agree in all of these (PS3.3 C.7.2.1), or archives tear it apart."""

POSITIONS = {"HFS", "HFP", "HFDR", "HFDL", "FFS", "FFP", "FFDR", "FFDL"}
"""Defined terms of Patient Position (PS3.3 C.7.3.1.1.2) for a lying patient."""


@dataclass(frozen=True, repr=False)
class Origin:
    """Made by :func:`origin_of`; not shown in tracebacks, since it may name a patient.

    Attributes:
        frame_of_reference: UID of the coordinate system, "" for a new one. Images overlay each
            other in a viewer only if they share it. It names no patient, but whoever holds the
            source's archive can look up by it which study, and so whose, it was: a (small) link.
        patient_position: Such as "HFS", "" where it is not known.
        identity: Attributes of patient and study, or None for a pseudonym and a new study.
        images: Class and instance UID of each source image, in slice order; whoever holds the
            archive finds the patient by them, so they go with an identity only.
    """

    frame_of_reference: str = ""
    patient_position: str = ""
    identity: Dataset | None = None
    images: tuple[tuple[str, str], ...] = ()


def origin_of(
    paths: Sequence[Path], *, frame_of_reference: bool = True, identity: bool = False
) -> Origin:
    """Read from the files of the source series what its derived series is to share.

    Args:
        paths: DICOM files in slice order; all but the first are read for an identity only.
        frame_of_reference: Whether to share the coordinate system.
        identity: Whether to copy patient and study, ``PATIENT`` and ``STUDY``, and to tell the
            source images.

    Raises:
        UnreadableError: If the file is damaged, or identity is wanted and malformed; no value of
            it is quoted.
    """
    tags = ["SpecificCharacterSet", "FrameOfReferenceUID", "PatientPosition", *PATIENT, *STUDY]
    path = paths[0]
    dataset, _ = parsed(path, tags)
    with refused(path, "damaged header"):
        frame = UID(str(dataset.get("FrameOfReferenceUID") or ""))
        position = str(dataset.get("PatientPosition") or "").strip()
        return Origin(
            frame if frame_of_reference and frame.is_valid else "",
            position if position in POSITIONS else "",
            _identity(dataset, path) if identity else None,
            tuple(map(_image, paths)) if identity else (),
        )


def _image(path: Path) -> tuple[str, str]:
    dataset, _ = parsed(path, ["SOPClassUID", "SOPInstanceUID"])
    return str(dataset.get("SOPClassUID") or ""), str(dataset.get("SOPInstanceUID") or "")


def _identity(dataset: Dataset, path: Path) -> Dataset:
    identity = Dataset()
    for keyword in (*PATIENT, *STUDY):
        text = str(dataset.get(keyword) or "")
        try:
            setattr(identity, keyword, text)
            validate_value(identity[keyword].VR, text, config.RAISE)
        except ValueError:
            raise UnreadableError(
                f"{path}: its identity cannot be kept",
                observed=f"{keyword} is not what it should be",
                fix="leave --keep-identity away, or export it again",
            ) from None
    if not identity.StudyInstanceUID:
        raise UnreadableError(f"{path}: its identity cannot be kept", observed="no study UID")
    return identity

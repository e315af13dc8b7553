from __future__ import annotations

import errno

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread, uid

from medimg_gan.errors import DataError, DicomGeometryError
from medimg_gan.imaging import Volume, read_files, write_dicom

PATIENT_MODULES = ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber")


def test_synthetic_images_say_so_in_four_places(make_volume, tmp_path):
    for path in write_dicom(make_volume(), tmp_path / "out", synthetic=True):
        image = dcmread(path)
        assert image.SyntheticData == "YES"
        assert list(image.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert image.DerivationDescription
        purpose = image.ContributingEquipmentSequence[0].PurposeOfReferenceCodeSequence[0]
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109100", "DCM")
        assert purpose.CodeMeaning == "Synthesizing Equipment"


def test_a_conversion_of_a_real_scan_is_not_called_synthetic(make_volume, tmp_path):
    image = dcmread(write_dicom(make_volume(), tmp_path / "out", synthetic=False)[0])
    assert image.SyntheticData == "NO"
    assert "ContributingEquipmentSequence" not in image


@pytest.mark.parametrize(
    ("modality", "unit", "storage", "required"),
    [
        ("ct", "HU", uid.CTImageStorage, ("KVP", "AcquisitionNumber", "RescaleSlope")),
        (
            "mri",
            "signal",
            uid.MRImageStorage,
            ("ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "EchoTime"),
        ),
        ("xray", "signal", uid.SecondaryCaptureImageStorage, ("ConversionType",)),
        ("ct", "display", uid.SecondaryCaptureImageStorage, ("ConversionType",)),
    ],
)
def test_each_class_has_its_required_attributes(
    make_volume, tmp_path, modality, unit, storage, required
):
    path = write_dicom(make_volume(modality, unit), tmp_path / "out")[0]
    image = dcmread(path)
    assert image.SOPClassUID == image.file_meta.MediaStorageSOPClassUID == storage
    assert image.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    general = ("PatientName", "PatientID", "ReferringPhysicianName", "StudyID", "SeriesNumber",
               "FrameOfReferenceUID", "PositionReferenceIndicator", "Manufacturer")  # fmt: skip
    missing = [name for name in (*required, *general, *PATIENT_MODULES) if name not in image]
    assert missing == []


def test_nothing_of_a_patient_is_written(make_volume, tmp_path):
    image = dcmread(write_dicom(make_volume(), tmp_path / "out", template_patient="P0007")[0])
    assert image.PatientID == image.PatientName == "P0007"
    assert all(not image[name].value for name in PATIENT_MODULES)
    assert image.PatientIdentityRemoved == "YES"


def test_uids_are_fresh_unless_seeded(make_volume, tmp_path):
    volume = make_volume()

    def uids(name, **seeds):
        image = dcmread(write_dicom(volume, tmp_path / name, **seeds)[0])
        return (
            image.StudyInstanceUID,
            image.FrameOfReferenceUID,
            image.SeriesInstanceUID,
            image.SOPInstanceUID,
        )

    assert not set(uids("a")) & set(uids("b"))
    seeded = uids("c", study_seed="s", series_seed="ct")
    assert seeded == uids("d", study_seed="s", series_seed="ct")
    other = uids("e", study_seed="s", series_seed="mr")
    assert other[:2] == seeded[:2]
    assert not set(other[2:]) & set(seeded[2:])


@pytest.mark.parametrize("stored", ["RAS", "RSA", "PSR"])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (12.0, -20.0)])
def test_simpleitk_reads_the_same_values_at_the_same_places(make_volume, tmp_path, stored, tilt):
    volume = make_volume(tilt=tilt, stored=stored)
    image = SimpleITK.ReadImage([str(path) for path in write_dicom(volume, tmp_path / "out")])
    theirs = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    to_index = np.linalg.inv(volume.affine)
    for place in np.ndindex(theirs.shape):
        left, posterior, superior = image.TransformIndexToPhysicalPoint(place)
        ours = to_index @ (-left, -posterior, superior, 1)
        index = tuple(np.rint(ours[:3]).astype(int))
        assert np.allclose(ours[:3], index, atol=1e-5)
        assert theirs[place] == volume.array[index]


def test_hu_are_rounded_to_half_a_unit_at_most(make_volume, tmp_path):
    volume = make_volume()
    volume = volume.with_array(volume.array + np.float32(0.37), modality="ct", unit="HU")
    again = read_files(write_dicom(volume, tmp_path / "out"))
    assert np.abs(again.array - volume.array).max() <= 0.5


@pytest.mark.parametrize("factor", [1e-7, 0.123, 1e6])
def test_any_signal_fits_within_one_step_of_16_bits(make_volume, tmp_path, factor):
    volume = make_volume("mri")
    scaled = volume.with_array(volume.array * np.float32(factor), modality="mri", unit="signal")
    again = read_files(write_dicom(scaled, tmp_path / "out"))
    assert np.abs(again.array - scaled.array).max() <= scaled.array.max() / 32767 * 0.51


def test_sheared_axes_are_refused_before_anything_is_written(make_volume, tmp_path):
    volume = make_volume()
    affine = volume.affine.copy()
    affine[1, 2] += 0.5
    with pytest.raises(DicomGeometryError, match="not perpendicular"):
        write_dicom(Volume(volume.array, affine, "ct", "HU"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [40000.0, np.nan])
def test_values_that_do_not_fit_are_refused(make_volume, tmp_path, value):
    volume = make_volume()
    volume.array[0, 0, 0] = value
    with pytest.raises(DataError, match=r"do not fit|NaN"):
        write_dicom(volume, tmp_path / "out")


def test_a_folder_that_holds_files_is_left_alone(make_volume, tmp_path):
    (tmp_path / "out").mkdir()
    write_dicom(make_volume(), tmp_path / "out")  # empty: fine
    before = sorted((tmp_path / "out").iterdir())
    with pytest.raises(DataError, match="already holds files"):
        write_dicom(make_volume(), tmp_path / "out")
    assert sorted((tmp_path / "out").iterdir()) == before


def test_a_full_disk_leaves_nothing_half_written(make_volume, tmp_path, monkeypatch):
    written = []
    save = Dataset.save_as

    def full_after_two(self, path, **options):
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        save(self, path, **options)

    monkeypatch.setattr(Dataset, "save_as", full_after_two)
    with pytest.raises(DataError, match="No space left"):
        write_dicom(make_volume(), tmp_path / "out")
    assert len(written) == 2
    assert list(tmp_path.iterdir()) == []

"""What a derived series takes over from its source, and what validators say of it."""

from __future__ import annotations

import shutil
import subprocess

import dcm2niix
import nibabel
import numpy as np
import pytest
from pydicom import dcmread, uid

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import origin_of, read_files, write_dicom

IDENTITY = {
    "PatientName": "Doe^Jane",
    "PatientID": "4711",
    "PatientBirthDate": "19700102",
    "PatientSex": "F",
    "StudyInstanceUID": "1.2.3.4",
    "StudyDate": "20200102",
    "StudyTime": "101112",
    "StudyID": "77",
    "AccessionNumber": "A1",
}
NEWER_THAN_THE_TOOL = "(0x0008,0x001c)"  # Synthetic Data came in 2023, Debian's tool is of 2022


@pytest.fixture
def source(make_volume, tmp_path):
    path = write_dicom(make_volume("mri"), tmp_path / "source", synthetic=False)[0]
    image = dcmread(path)
    for keyword, value in IDENTITY.items():
        setattr(image, keyword, value)
    image.PatientComments = "secret"
    image.PatientPosition = "FFS"
    image.save_as(path)
    return path


def derived(make_volume, tmp_path, origin):
    return dcmread(write_dicom(make_volume(), tmp_path / "out", origin=origin)[0])


def test_only_the_frame_of_reference_and_the_position_are_kept(source, make_volume, tmp_path):
    image, before = derived(make_volume, tmp_path, origin_of([source])), dcmread(source)
    assert image.FrameOfReferenceUID == before.FrameOfReferenceUID
    assert image.PatientPosition == "FFS"
    assert image.PatientIdentityRemoved == "YES"
    assert "frame of reference and position" in image.DeidentificationMethod
    for keyword, value in IDENTITY.items():
        assert str(image[keyword].value) != value
    same = {e.value for e in image if e.VR == "UI"} & {e.value for e in before if e.VR == "UI"}
    assert same == {before.FrameOfReferenceUID}


def test_a_new_frame_of_reference_leaves_no_uid_in_common(source, make_volume, tmp_path):
    image = derived(make_volume, tmp_path, origin_of([source], frame_of_reference=False))
    assert image.DeidentificationMethod == "No element copied but of position"
    before = dcmread(source)
    assert not {e.value for e in image if e.VR == "UI"} & {e.value for e in before if e.VR == "UI"}


def test_an_identity_is_copied_whole_and_nothing_besides(source, make_volume, tmp_path):
    origin = origin_of([source], identity=True)
    assert "Doe" not in repr(origin)
    image = derived(make_volume, tmp_path, origin)
    assert {keyword: str(image[keyword].value) for keyword in IDENTITY} == IDENTITY
    assert image.PatientIdentityRemoved == "NO"
    assert "DeidentificationMethod" not in image
    assert "PatientComments" not in image
    (reference,) = image.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == dcmread(source).SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert image.SeriesInstanceUID != dcmread(source).SeriesInstanceUID
    assert image.SyntheticData == "YES"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_malformed_identity_is_refused_and_not_quoted(source, tmp_path):
    image = dcmread(source)
    image["PatientBirthDate"]._value = "born in May"
    image.save_as(source)
    assert origin_of([source]).identity is None
    with pytest.raises(UnreadableError, match="PatientBirthDate") as refusal:
        origin_of([source], identity=True)
    assert "May" not in str(refusal.value)


@pytest.mark.parametrize("modality", ["ct", "mri"])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (12.0, -20.0)])
def test_dciodvfy_finds_no_error(source, make_volume, tmp_path, modality, tilt):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    volume = make_volume(modality, tilt=tilt)
    paths = write_dicom(volume, tmp_path / "out", origin=origin_of([source], identity=True))
    for path in paths:
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).splitlines()
        assert f"{'CT' if modality == 'ct' else 'MR'}Image" in lines
        errors = [line for line in lines if line.startswith("Error")]
        assert [line for line in errors if NEWER_THAN_THE_TOOL not in line] == []


def test_ct_is_stored_as_signed_16_bit_hounsfield_units(make_volume, tmp_path):
    volume = make_volume()
    volume.array[0], volume.array[1] = -1024, 3071
    paths = write_dicom(volume, tmp_path / "out")
    for path in paths:
        image = dcmread(path)
        assert image.SOPClassUID == uid.CTImageStorage
        assert (image.PixelRepresentation, image.BitsStored) == (1, 16)
        assert (image.RescaleSlope, image.RescaleIntercept) == (1, 0)
        assert image.RescaleType == "HU"
    assert (read_files(paths).array == volume.array).all()


def test_dcm2niix_reads_the_same_values_at_the_same_places(source, make_volume, tmp_path):
    volume = make_volume(tilt=(12.0, -20.0))
    write_dicom(volume, tmp_path / "out", origin=origin_of([source]))
    (tmp_path / "nifti").mkdir()
    words = [dcm2niix.bin, "-b", "n", "-o", str(tmp_path / "nifti"), str(tmp_path / "out")]
    subprocess.run(words, check=True, capture_output=True)
    (path,) = (tmp_path / "nifti").glob("*.nii")
    theirs = nibabel.as_closest_canonical(nibabel.load(path))
    ours = nibabel.as_closest_canonical(nibabel.Nifti1Image(volume.array, volume.affine))
    np.testing.assert_array_equal(theirs.get_fdata(), ours.get_fdata())
    np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-4)

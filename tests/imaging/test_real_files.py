"""Files of real scanners, against the volumes that dcm2niix and dicom2nifti make of them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from medimg_gan.errors import MedimgError
from medimg_gan.imaging import find_series, read_files, read_series, read_volumes
from medimg_gan.imaging.orientation import reoriented

pytestmark = pytest.mark.filterwarnings("ignore")
SAME_AS_TRUTH = [
    "anatomical/001",
    "anatomical/001_implicit",
    "ge/anatomical/001",
    "ge/anatomical/001_single_slice",
    "generic/anatomical/001",
    "generic/anatomical/002_non_isotropic",
    "generic/compressed/001",
    "generic/compressed_j2k/001",
    "generic/compressed_jpeg/001",
    "generic/compressed_jpegls/001",
    "generic/compressed_rle/001",
    "hitachi/anatomical/001",
    "hyperfine/anatomical/001",
    "philips_enhanced/anatomical/001",
    "philips_enhanced/anatomical/001_implicit",
    "siemens_multiframe/anatomical/001",
]
REFUSED = {
    "dicom2nifti/failing/gantrytilting/001": r"slanted by 14\.0 degrees",
    "dicom2nifti/failing/notavolume/001": "4 images at each of 1 positions",
    "dicom2nifti/failing/sliceincrement/001": "gap 3->4 is 10 mm",
    "dicom2nifti/ge/dti/002": "4D",
    "dicom2nifti/philips_enhanced/fmri/001": "4D",
    "dcm_qa_ct/In/GE": r"slanted by 18\.5 degrees",
    "dcm_qa_base/In/Orientation/ax/axasc35": "mosaic",
    "dcm_qa_nih/In/20180918GE/mr_0004": "10 images at each of 15 positions",
}


def test_the_whole_tree_is_read_or_refused(reader_data):
    series, problems = find_series(reader_data)
    assert series
    assert all("\n" not in problem.reason for problem in problems)
    assert len({one.key for one in series}) == len(series)
    for one in series:
        try:
            volume = read_series(one)
        except MedimgError:
            continue
        assert volume.array.shape == one.shape
        np.testing.assert_allclose(volume.spacing, one.spacing, rtol=1e-6)


@pytest.mark.parametrize("name", SAME_AS_TRUTH)
def test_volumes_equal_those_of_dicom2nifti(reader_data, name):
    folder = reader_data / "dicom2nifti" / name
    (volume,), problems = read_volumes(folder)
    truth = read_files([folder.with_name(f"{folder.name}_ground_truth.nii.gz")])
    assert problems == []
    np.testing.assert_allclose(volume.array, truth.array, rtol=1e-6)
    np.testing.assert_allclose(volume.affine, truth.affine, atol=1e-4)


def test_an_enhanced_time_series_gives_the_frames_of_dcm2niix(reader_data):
    volumes, problems = read_volumes(reader_data / "dcm_qa_enh" / "In" / "Siemens")
    truth = nib.load(next((reader_data / "dcm_qa_enh" / "Ref").glob("Siemens_REST1*.nii")))
    frames = np.asanyarray(truth.dataobj)
    assert problems == []
    assert len(volumes) == frames.shape[3] == 4
    for volume, frame in zip(volumes, np.moveaxis(frames, 3, 0), strict=True):
        array, affine = reoriented(frame, truth.affine, "RAS")
        np.testing.assert_array_equal(volume.array, array)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-4)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_regular_volume_is_refused_by_name(reader_data, name):
    series, problems = find_series(reader_data / name)
    assert [one for one in series if one.format == "dicom"] == []
    assert any(re.search(REFUSED[name], problem.reason) for problem in problems)


def test_nine_transfer_syntaxes_of_one_image_decode_alike(reader_data):
    arrays = []
    for path in sorted((reader_data / "dcm_qa_ts" / "In").iterdir()):
        image = pydicom.dcmread(path)
        image.ImageType = image.ImageType[:-1]  # read the mosaic as the picture it is
        arrays.append(image.pixel_array)
    assert len(arrays) == 9
    assert all(np.array_equal(array, arrays[0]) for array in arrays)


def test_screenshots_become_pictures_of_grey(reader_data):
    volumes, problems = read_volumes(reader_data / "secondary_capture")
    assert problems == []
    assert [volume.array.shape for volume in volumes] == [(512, 512, 1)] * 3
    assert all(volume.unit == "display" for volume in volumes)


def test_every_file_that_pydicom_ships_is_read_or_refused():
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volumes, problems = read_volumes(folder)
    assert len(volumes) > 30
    reasons = "\n".join(problem.reason for problem in problems)
    for kind in ("DICOMDIR", "RT Structure Set", "Basic Text SR", "localiser", "ECG", "truncated"):
        assert kind in reasons

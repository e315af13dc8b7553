"""Files of real scanners, against the volumes that dcm2niix and dicom2nifti make of them."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medimg_gan.errors import MedimgError
from medimg_gan.imaging import find_series, read_series, read_volumes

pytestmark = pytest.mark.filterwarnings("ignore")
REFUSED = {
    "dicom2nifti/failing/notavolume/001": "4 images at each of 1 positions",
    "dicom2nifti/failing/sliceincrement/001": "gap 3->4 is 10 mm",
    "dicom2nifti/failing/sliceincrement/002": "a missing file",
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


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_regular_volume_is_refused_by_name(reader_data, name):
    series, problems = find_series(reader_data / name)
    assert [one for one in series if one.format == "dicom"] == []
    assert any(re.search(REFUSED[name], problem.reason) for problem in problems)


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

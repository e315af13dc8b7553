"""The reference volumes of other readers' projects, voxel by voxel; see ``conformance.py``."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")
NOT_REPRODUCED = {
    # Its own way of resampling a series that lacks a slice; we refuse, or resample by dcm2niix.
    "dicom2nifti/failing/sliceincrement/002_ground_truth.nii.gz": "a missing file",
    # Colour becomes grey here.
    "dicom2nifti/generic/rgb/001_ground_truth.nii.gz": "colour",
    # Three of the reference's four volumes are zero; the one that is not equals ours.
    "dicom2nifti/philips_enhanced/dti/001_ground_truth.nii.gz": "voxels",
    "dicom2nifti/philips_enhanced/dti/001_implicit_ground_truth.nii.gz": "voxels",
}


@pytest.fixture(scope="module")
def conformance():
    path = Path(__file__).with_name("conformance.py")
    spec = importlib.util.spec_from_file_location("conformance", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    return module


def test_every_reference_is_reproduced_or_known_not_to_be(conformance, reader_data):
    rows = conformance.rows(reader_data)
    print(conformance.table(rows))
    exact = Counter(row.reference.split("/")[0] for row in rows if row.result == conformance.EXACT)
    assert {name: exact[name] for name in exact if name.startswith("dcm_qa")} == {
        "dcm_qa_base": 19,
        "dcm_qa_ct": 2,
        "dcm_qa_enh": 3,
        "dcm_qa_nih": 8,
        "dcm_qa_ts": 9,
    }
    others = {row.reference: row.result for row in rows if row.result != conformance.EXACT}
    assert others.keys() == NOT_REPRODUCED.keys()
    assert all(NOT_REPRODUCED[name] in result for name, result in others.items())

from pathlib import Path

import pytest

from medimg_gan.data.scan import Scan
from medimg_gan.data.visits import common_name, visits, with_patients_of
from medimg_gan.imaging import Series


def scan(path: str, patient: str, shape=(4, 4, 2)) -> Scan:
    series = Series(path, (Path(path),), "nifti", "mri", "", shape, (1, 1, 1))
    return Scan(series, path, patient, "mri")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("mri/P001", "P001"),
        ("ct/P001.nii.gz", "P001"),
        ("mri/t2/P001.nii.gz", "P001"),
        ("case/case_t1.nii.gz", "case/case"),
        ("1BA001/mr.nii.gz", "1BA001"),
        ("mri/patient_04/slice_002.png", "patient_04/slice_002"),
    ],
)
def test_a_common_name_is_free_of_modality_sequence_and_ending(path, name):
    assert common_name(path) == name


def test_scans_belong_together_by_patient_and_by_name():
    single = [[scan("a/x.nii", "a")], [scan("a/y.nii", "a")]]
    assert len(visits(single)) == 1
    first = [scan(f"p/{visit}_t1.nii", "p") for visit in ("pre", "post")]
    second = [scan(f"p/{visit}_t2.nii", "p") for visit in ("post", "late")]
    assert visits([first, second]) == [(first[1], second[0])]


def test_what_nobody_can_tell_apart_is_not_guessed():
    one, two = scan("mri/t1/p.nii", "p"), scan("mri/t2/p.nii", "p")
    assert visits([[one, two], [scan("ct/p.nii", "p")]]) == []


def test_scans_of_different_shapes_are_no_visit():
    assert visits([[scan("t1/p.nii", "p")], [scan("t2/p.nii", "p", (4, 4, 3))]]) == []


def test_a_truth_is_its_sources_patients():
    sources = [scan("mri/P1.nii", "known")]
    truths = with_patients_of([scan("ct/P1.nii", "x"), scan("ct/P2.nii", "y")], sources)
    assert [truth.patient for truth in truths] == ["known"]

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from medimg_gan.data.folders import folder_facts
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, DataError, LabelError

MASK = "{patient}/{visit}_Mask.nii.gz"


@pytest.fixture
def settings(tmp_path):
    return lambda folder, **more: DataConfig(data=folder, cache=tmp_path / "cache", **more)


def test_masks_are_joined_to_their_scans_and_are_no_scans(nifti_folder, settings):
    index = build_index(settings(nifti_folder, mask=MASK))
    assert len(index.scans) == 18
    for scan in index.scans:
        assert scan.mask == nifti_folder / scan.path.replace("Scan_T1", "Mask")
    assert {scan.modality for scan in index.scans} == {"mri"}


def test_visits_of_one_patient_share_a_pseudonym(nifti_folder, settings):
    index = build_index(settings(nifti_folder, mask=MASK))
    assert len({scan.patient for scan in index.scans}) == 9
    assert all(scan.patient_known for scan in index.scans)


def test_files_named_like_masks_are_left_out_with_a_hint(nifti_folder, settings):
    index = build_index(settings(nifti_folder))
    assert len(index.scans) == 18
    assert {problem.path.name for problem in index.problems} == {
        "Pre_Mask.nii.gz",
        "Post_Mask.nii.gz",
    }
    assert "--mask" in index.problems[0].reason


def test_class_folders_become_labels_and_unknown_patients_are_said(class_folder, settings):
    index = build_index(settings(class_folder))
    assert [scan.label for scan in index.scans] == ["cat"] * 12 + ["dog"] * 6
    assert not any(scan.patient_known for scan in index.scans)
    assert {scan.modality for scan in index.scans} == {"picture"}


def test_a_table_goes_before_folders(class_folder, settings):
    rows = ["file,label,patient"] + [f"cat/{n}.png,lion,p{n // 2}" for n in range(12)]
    (class_folder / "labels.csv").write_text("\n".join(rows))
    index = build_index(settings(class_folder))
    assert [scan.label for scan in index.scans] == ["lion"] * 12 + ["dog"] * 6
    assert len({scan.patient for scan in index.scans[:12]}) == 6


def test_an_edited_table_comes_back_as_the_whole_truth(class_folder, settings, tmp_path):
    first = build_index(settings(class_folder))
    first.write(class_folder / "index.csv")
    table = pd.read_csv(class_folder / "index.csv", keep_default_na=False)
    table = table[table["path"] != "dog/0.png"]
    table.loc[table["path"] == "cat/0.png", "label"] = "dog"
    table.to_csv(class_folder / "mine.csv", index=False)
    again = build_index(settings(class_folder / "mine.csv"))
    assert len(again.scans) == 17
    assert [scan.label for scan in again.scans].count("dog") == 6
    assert {s.patient for s in again.scans} < {s.patient for s in first.scans}


def test_a_layout_explains_folder_names(class_folder, settings):
    shutil.move(class_folder / "cat", class_folder / "02")
    plain = build_index(settings(class_folder))
    assert {scan.label for scan in plain.scans} == {"", "dog"}  # 02 reads as a patient
    told = build_index(settings(class_folder, layout="{label}/*"))
    assert {scan.label for scan in told.scans} == {"02", "dog"}


def test_split_folders_are_kept(class_folder, settings):
    (class_folder / "train").mkdir()
    shutil.move(class_folder / "cat", class_folder / "train" / "cat")
    index = build_index(settings(class_folder))
    assert {(scan.split, scan.label) for scan in index.scans} == {("train", "cat"), ("", "dog")}


def test_what_is_wrong_is_said(nifti_folder, settings, tmp_path):
    with pytest.raises(DataError, match="no such file"):
        build_index(settings(tmp_path / "gone"))
    with pytest.raises(LabelError, match="matches no file"):
        build_index(settings(nifti_folder, mask="{patient}_Mask.nii.gz"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="nothing readable"):
        build_index(settings(tmp_path / "empty"))
    with pytest.raises(DataError, match="unknown modality"):
        build_index(settings(nifti_folder, modality="pet"))
    with pytest.raises(ConfigError, match="relative"):
        settings(nifti_folder, mask="../x/{patient}.nii")


def test_one_bad_file_costs_a_line_or_with_strict_the_run(nifti_folder, settings):
    (nifti_folder / "09.nii.gz").write_bytes(b"not a nifti")
    index = build_index(settings(nifti_folder, mask=MASK))
    assert len(index.scans) == 18
    assert [problem.path.name for problem in index.problems] == ["09.nii.gz"]
    with pytest.raises(DataError, match=r"09\.nii\.gz"):
        build_index(replace(settings(nifti_folder, mask=MASK), strict=True))


def test_a_table_that_names_nothing_is_refused(class_folder, settings):
    (class_folder / "labels.csv").write_text("file,label\nelsewhere/1.png,cat\n")
    with pytest.raises(LabelError, match=r"elsewhere/1\.png"):
        build_index(settings(class_folder))


@pytest.mark.parametrize(
    ("path", "picture", "expected"),
    [
        ("alice/visit1/T1.nii.gz", False, {"patient": "alice"}),
        ("sub-01/anat/t1.nii.gz", False, {"patient": "sub-01"}),
        ("mri/patient_01/slice_000.png", True, {"patient": "patient_01"}),
        ("tumor/P07/scan.nii.gz", False, {"label": "tumor", "patient": "P07"}),
        ("train/glioma/1.png", True, {"split": "train", "label": "glioma"}),
        ("Testing/COVID-19/1.png", True, {"split": "test", "label": "COVID-19"}),
        ("glioma/03/1.png", True, {"label": "glioma", "patient": "03"}),
        ("ct/scan.nii.gz", False, {}),
    ],
)
def test_folder_names_are_read_as_their_owners_mean_them(path, picture, expected):
    assert folder_facts(path, picture=picture) == expected


def test_a_table_may_name_patients_by_their_dicom_id(tmp_path, settings):
    from medimg_gan.imaging.phantom import make_phantom

    data = make_phantom(tmp_path / "p", 2, size=(16, 16, 8), mri_fraction=1.0, workers=1).data
    (data / "index.csv").unlink()
    (data / "mri" / "P001").rename(data / "mri" / "first")
    (data / "labels.csv").write_text("patient,label\nP001,ill\nP002,well\n")
    found = {scan.path: scan.label for scan in build_index(settings(data)).scans}
    assert found == {"mri/first": "ill", "mri/P002": "well"}


def test_a_row_without_a_path_is_refused(class_folder, settings):
    (class_folder / "labels.csv").write_text("file,label\ncat/1.png,cat\n,dog\n")
    with pytest.raises(LabelError, match="row without a file"):
        build_index(settings(class_folder))

"""Folders of public data sets are recognised; what users say goes before."""

import json
import zlib

import nibabel
import numpy as np
import pytest

from medimg_gan.data.index import build_index
from medimg_gan.data.layouts import recognise
from medimg_gan.data.prepare import prepare
from medimg_gan.data.settings import DataConfig


def save(path, values=None, shape=(8, 8, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))  # no two scans are copies
    values = rng.uniform(1, 100, shape) if values is None else values
    nibabel.save(nibabel.Nifti1Image(np.float32(values), np.diag([2, 2, 4, 1])), path)


def mask_of(*present):
    values = np.zeros((8, 8, 3))
    for number, value in enumerate(present):
        values[:4, number * 2 : number * 2 + 2, 1] = value
    return values


@pytest.fixture
def settings(tmp_path):
    return lambda folder, **more: DataConfig(data=folder, cache=tmp_path / "c" / "cache", **more)


@pytest.fixture
def brats(tmp_path):
    """Six cases of four sequences with a mask, one without."""
    folder = tmp_path / "brats"
    for number in range(7):
        case = f"BraTS20_Training_{number:03d}"
        for what in ("t1", "t1ce", "t2", "flair"):
            save(folder / case / f"{case}_{what}.nii.gz")
        if number < 6:
            save(
                folder / case / f"{case}_seg.nii.gz", mask_of(1, 2, 4) if number % 2 else mask_of()
            )
    return folder


def test_brats_says_patient_sequence_mask_and_names(brats, settings):
    index = build_index(settings(brats))
    assert len(index.scans) == 28
    assert index.problems == []
    assert len({scan.patient for scan in index.scans}) == 7
    assert [scan.sequence for scan in index.scans[:4]] == ["flair", "t1", "t1ce", "t2"]
    assert {scan.modality for scan in index.scans} == {"mri"}
    for scan in index.scans[:24]:
        assert scan.mask.name == f"{scan.path.partition('/')[0]}_seg.nii.gz"
        assert scan.mask_names == {1: "necrotic", 2: "edema", 4: "enhancing"}
    assert all(scan.mask is None for scan in index.scans[24:])
    assert index.layouts == (
        "recognised: BraTS 2020 layout, 7 patients, 28 scans; 7 flair, 7 t1, 7 t1ce, 7 t2; "
        "masks with labels 1=necrotic, 2=edema, 4=enhancing",
    )


def test_brats_labels_slices_without_a_flag(brats, settings, tmp_path, capsys):
    prepared = prepare(settings(brats), (), size=32, seed=0, folder=tmp_path / "run")
    assert prepared.classes == ("background", "enhancing")  # slice 1 holds all three labels
    assert "recognised: BraTS 2020" in capsys.readouterr().out
    assert (prepared.cache.rows["label"] == "enhancing").sum() == 3 * 4


def test_visits_of_a_brats_patient_are_one_patient(tmp_path, settings):
    for case in ("BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00006-100"):
        for what in ("t1n", "t1c", "t2w", "t2f"):
            save(tmp_path / "d" / case / f"{case}-{what}.nii.gz")
        save(tmp_path / "d" / case / f"{case}-seg.nii.gz", mask_of(3))
    index = build_index(settings(tmp_path / "d"))
    assert len({scan.patient for scan in index.scans}) == 2
    assert {scan.sequence for scan in index.scans} == {"t1", "t1ce", "t2", "flair"}
    assert index.scans[0].mask_names[3] == "enhancing"


def test_what_users_say_goes_before_the_layout(brats, settings):
    rows = ["path,patient,sequence,modality"]
    rows += ["BraTS20_Training_000/BraTS20_Training_000_t1.nii.gz,me,mprage,ct"]
    (brats / "labels.csv").write_text("\n".join(rows))
    by_path = {scan.path: scan for scan in build_index(settings(brats)).scans}
    told = by_path["BraTS20_Training_000/BraTS20_Training_000_t1.nii.gz"]
    other = by_path["BraTS20_Training_000/BraTS20_Training_000_t2.nii.gz"]
    assert (told.sequence, told.modality) == ("mprage", "ct")
    assert told.patient != other.patient
    (brats / "labels.csv").unlink()
    masked = build_index(settings(brats, mask="{patient}/{visit}_seg.nii.gz", modality="mri"))
    assert {scan.modality for scan in masked.scans} == {"mri"}
    assert len({scan.patient for scan in masked.scans}) == 7


def test_the_table_of_a_layout_comes_back_the_same(brats, settings, tmp_path):
    first = build_index(settings(brats))
    first.write(brats / "mine.csv")
    again = build_index(settings(brats / "mine.csv"))
    assert again.scans == first.scans


def decathlon(folder, description):
    for number in range(3):
        save(folder / "imagesTr" / f"liver_{number}.nii.gz")
        save(folder / "labelsTr" / f"liver_{number}.nii.gz", mask_of(1, 2))
    save(folder / "imagesTs" / "liver_9.nii.gz")
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


MSD = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver", "2": "cancer"}}
NNUNET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "cancer": 2}}


@pytest.mark.parametrize("description", [MSD, NNUNET])
def test_a_decathlon_task_says_modality_mask_and_names(tmp_path, settings, description):
    index = build_index(settings(decathlon(tmp_path / "Task03_Liver", description)))
    assert [scan.path for scan in index.scans] == [
        *(f"imagesTr/liver_{number}.nii.gz" for number in range(3)),
        "imagesTs/liver_9.nii.gz",
    ]
    assert {scan.modality for scan in index.scans} == {"ct"}
    assert len({scan.patient for scan in index.scans}) == 4
    assert all(scan.patient_known for scan in index.scans)
    assert [scan.mask is None for scan in index.scans] == [False, False, False, True]
    assert index.scans[0].mask_names == {1: "liver", 2: "cancer"}
    assert index.problems == []


def test_nnunet_channels_are_sequences_of_one_patient(tmp_path, settings):
    for channel in range(2):
        save(tmp_path / "d" / "imagesTr" / f"case_7_{channel:04d}.nii.gz")
    save(tmp_path / "d" / "labelsTr" / "case_7.nii.gz", mask_of(1))
    description = {"channel_names": {"0": "T2w", "1": "ADC"}, "labels": {"all": [1, 2], "PZ": 1}}
    (tmp_path / "d" / "dataset.json").write_text(json.dumps(description))
    index = build_index(settings(tmp_path / "d"))
    assert [scan.sequence for scan in index.scans] == ["t2", "adc"]
    assert {scan.modality for scan in index.scans} == {"mri"}
    assert len({scan.patient for scan in index.scans}) == 1
    assert {scan.mask.name for scan in index.scans} == {"case_7.nii.gz"}
    assert index.scans[0].mask_names == {1: "PZ"}  # regions are no values


@pytest.mark.parametrize("volume", [0, 2])
def test_a_channel_of_a_decathlon_file_is_a_sequence(tmp_path, settings, volume):
    save(tmp_path / "d" / "imagesTr" / "BRATS_001.nii.gz", shape=(8, 8, 3, 4))
    save(tmp_path / "d" / "labelsTr" / "BRATS_001.nii.gz", mask_of(1))
    channels = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
    (tmp_path / "d" / "dataset.json").write_text(json.dumps({"modality": channels}))
    (scan,) = build_index(settings(tmp_path / "d", volume=volume)).scans
    assert scan.sequence == {0: "flair", 2: "t1ce"}[volume]
    assert scan.modality == "mri"
    assert "4D" in scan.notes[0]


def test_four_digits_may_be_the_cases_own(tmp_path):
    names = ["imagesTr/p_0001.nii.gz", "imagesTr/p_0002.nii.gz"]
    labels = ["labelsTr/p_0001.nii.gz", "labelsTr/p_0002.nii.gz"]
    (layout,) = recognise([*names, *labels], tmp_path)
    assert [layout.scans[name].patient for name in names] == ["p_0001", "p_0002"]
    assert [layout.scans[name].mask for name in names] == labels


def test_a_damaged_description_costs_a_line(tmp_path, settings):
    folder = decathlon(tmp_path / "d", MSD)
    (folder / "dataset.json").write_text("{")
    index = build_index(settings(folder, modality="ct"))
    assert [problem.path.name for problem in index.problems] == ["dataset.json"]
    assert len(index.scans) == 4


def test_ordinary_folders_are_no_layout(tmp_path):
    paths = ["P1/P1_t1.nii.gz", "P2/scan_seg.nii.gz", "a/b_t1.nii.gz", "a/b_t2.nii.gz"]
    assert recognise(paths, tmp_path) == []

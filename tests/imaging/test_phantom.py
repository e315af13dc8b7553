"""The phantom as a data set: reproducible patients, twins, and the folder that is written."""

from __future__ import annotations

import csv
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from medimg_gan.errors import ConfigError, DataError, RunError
from medimg_gan.imaging import phantom, read_volumes
from medimg_gan.imaging.phantom import make_phantom, phantom_patient

SMALL = (48, 48, 8)


def small_set(folder: Path, patients: int = 4, **settings) -> phantom.PhantomSet:
    settings = {"size": SMALL, "workers": 1, **settings}
    return make_phantom(folder, patients, **settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".dcm", ".gz", ".csv")
    }


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "data" / "index.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_patient_is_a_function_of_seed_and_number():
    first, again = phantom_patient(3, 7, SMALL), phantom_patient(3, 7, SMALL)
    for name in ("ct", "mri", "mask"):
        assert np.array_equal(getattr(first, name).array, getattr(again, name).array)
    for seed, number in ((3, 8), (4, 7)):
        other = phantom_patient(seed, number, SMALL)
        assert not np.array_equal(first.ct.array, other.ct.array)
        assert np.abs(first.ct.array - other.ct.array).mean() > 20


def test_both_modalities_share_one_grid():
    patient = phantom_patient(0, 1, SMALL)
    for volume in (patient.ct, patient.mri, patient.mask):
        assert volume.array.shape == SMALL
        assert volume.array.dtype == np.float32
        assert np.array_equal(volume.affine, patient.ct.affine)
    assert (patient.ct.modality, patient.ct.unit) == ("ct", "HU")
    assert (patient.mri.modality, patient.mri.unit) == ("mri", "signal")
    assert patient.ct.spacing == pytest.approx((4, 5, 16.25))


def test_values_lie_in_a_scanners_range():
    patient = phantom_patient(0, 2, (64, 80, 13))
    assert patient.ct.array.min() >= -1024
    assert 700 < patient.ct.array.max() <= 3071
    corner = patient.ct.array[:4, :4]
    assert corner.mean() == pytest.approx(-1000, abs=3)
    assert patient.mri.array.min() >= 0
    assert patient.mri.array.max() > 300


def test_tumour_is_where_a_patient_differs_from_its_twin():
    size = (64, 80, 26)
    found = 0
    for number in range(3):
        ill = phantom_patient(0, number, size, tumour=True)
        well = phantom_patient(0, number, size, tumour=False)
        assert not well.mask.array.any()
        mask = ill.mask.array > 0
        assert mask.sum() > 10
        places = np.argwhere(mask) * ill.mask.spacing
        middle = places.mean(axis=0)
        everywhere = np.argwhere(np.ones(size, bool)) * ill.mask.spacing
        far = (np.linalg.norm(everywhere - middle, axis=1) > 75).reshape(size)
        for name in ("ct", "mri"):
            change = np.abs(getattr(ill, name).array - getattr(well, name).array)
            assert change[far].max() == 0  # the same anatomy and the same noise
            assert change[mask].mean() > 10 * change[~mask].mean()
            found += 1
    assert found == 6


def test_tumours_have_the_promised_sizes_and_are_seen_in_both_modalities():
    size = (64, 80, 26)
    for number in range(4):
        patient = phantom_patient(1, number, size, tumour=True)
        voxel = np.prod(patient.mask.spacing)
        radius = (3 * patient.mask.array.sum() * voxel / (4 * np.pi)) ** (1 / 3)
        assert 4.5 < radius < 21
        mask = patient.mask.array > 0
        assert set(np.unique(patient.mask.array)) == {0.0, 1.0}
        assert -20 < patient.ct.array[mask].mean() < 80  # soft tissue, nowhere bone or air


def test_a_coin_decides_where_nobody_says():
    ill = [phantom_patient(0, number, (32, 32, 8)).mask.array.any() for number in range(24)]
    assert 4 < sum(ill) < 20


def test_set_has_disjoint_modalities_masks_and_truth(tmp_path):
    made = small_set(tmp_path / "set", patients=6)
    assert made.made == 6
    rows = read_rows(tmp_path / "set")
    assert [row["patient"] for row in rows] == [f"P{n:03d}" for n in range(1, 7)]
    by_modality = {
        name: {row["patient"] for row in rows if row["modality"] == name} for name in ("mri", "ct")
    }
    assert len(by_modality["mri"]) == len(by_modality["ct"]) == 3
    assert not by_modality["mri"] & by_modality["ct"]
    for row in rows:
        assert (made.data / row["path"]).is_dir()
        assert (made.data / row["mask"]).is_file()
        other = "ct" if row["modality"] == "mri" else "mri"
        assert (made.truth / other / f"{row['patient']}.nii.gz").is_file()
        assert not (made.data / other / row["patient"]).exists()


@pytest.mark.parametrize("format", ["dicom", "nifti"])
def test_written_scans_read_back_equal(tmp_path, format):
    made = small_set(tmp_path / "set", patients=2, seed=5, format=format, tumour_fraction=1.0)
    expected = phantom_patient(5, 1, SMALL, tumour=True)
    for folder, volume in (
        (made.data / "mri", expected.mri),
        (made.data / "masks", expected.mask),
        (made.truth / "ct", expected.ct),
    ):
        volumes, problems = read_volumes(folder)
        assert problems == []
        match = [read for read in volumes if np.array_equal(read.array, volume.array)]
        assert len(match) == 1
        assert match[0].affine == pytest.approx(volume.affine, abs=1e-4)
    ct, _ = read_volumes(made.data / "ct")
    assert np.array_equal(ct[0].array, phantom_patient(5, 2, SMALL, tumour=True).ct.array)
    assert ct[0].unit == "HU"


def test_dicom_names_only_pseudonyms_and_says_it_is_synthetic(tmp_path):
    import pydicom

    made = small_set(tmp_path / "set", patients=2)
    header = pydicom.dcmread(next((made.data / "mri" / "P001").iterdir()))
    assert header.Modality == "MR"
    assert header.PatientID == "P001"
    assert header.SyntheticData == "YES"


def test_interrupted_set_is_completed_and_equal_to_an_undisturbed_one(tmp_path):
    whole = small_set(tmp_path / "whole")
    part = tmp_path / "part"
    small_set(part)
    before = contents(whole.data.parent)
    # As a kill would leave it: one patient missing, one without its mask, no table, unfinished.
    for file in (part / "data" / "mri" / "P003").iterdir():
        file.unlink()
    (part / "data" / "mri" / "P003").rmdir()
    (part / "data" / "masks" / "P002.nii.gz").unlink()
    (part / "data" / "index.csv").unlink()
    manifest = json.loads((part / "manifest.json").read_text())
    (part / "manifest.json").write_text(json.dumps({**manifest, "finished": False}))
    kept = part / "data" / "ct" / "P004" / "0001.dcm"
    written = kept.stat().st_mtime_ns
    assert small_set(part).made == 2
    assert contents(part) == before
    assert kept.stat().st_mtime_ns == written
    assert json.loads((part / "manifest.json").read_text())["finished"]
    assert small_set(part).made == 0


def test_two_processes_write_what_one_writes(tmp_path):
    alone = small_set(tmp_path / "alone", patients=3)
    assert small_set(tmp_path / "shared", patients=3, workers=2).made == 3
    assert contents(tmp_path / "shared") == contents(alone.data.parent)


def test_an_error_keeps_its_parts_on_the_way_back_from_a_worker():
    error = DataError("masks: cannot be written", observed="disk full", cause="c", fix="free some")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is DataError
    assert str(back) == str(error)


def test_other_settings_are_refused(tmp_path):
    small_set(tmp_path / "set", patients=2)
    with pytest.raises(RunError, match="patients: 2 -> 3"):
        small_set(tmp_path / "set", patients=3)
    assert small_set(tmp_path / "set", patients=3, restart=True).made == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"patients": 0},
        {"size": (2, 48, 8)},
        {"tumour_fraction": 1.5},
        {"tumour_fraction_ct": -1},
        {"workers": 0},
    ],
)
def test_impossible_settings_are_refused_before_anything_is_written(tmp_path, wrong):
    with pytest.raises(ConfigError):
        small_set(tmp_path / "set", **wrong)
    assert not (tmp_path / "set").exists()


def plan(**changes) -> phantom.Plan:
    settings = {
        "patients": 40, "seed": 0, "size": SMALL, "tumour_fraction": 0.5, "mri_fraction": 0.5,
        "weighting": "t1", "format": "dicom",
    }  # fmt: skip
    return phantom.Plan(**{**settings, **changes})


@pytest.mark.parametrize(("tumours", "mri"), [(0.5, 0.5), (0.25, 0.5), (0.5, 1.0), (0.3, 0.0)])
def test_tumours_and_modalities_come_in_the_promised_shares(tumours, mri):
    shares = plan(tumour_fraction=tumours, mri_fraction=mri)
    numbers = range(1, 41)
    assert sum(shares.modality(n) == "mri" for n in numbers) == 40 * mri
    for modality in ("mri", "ct"):
        mine = [n for n in numbers if shares.modality(n) == modality]
        assert sum(map(shares.has_tumour, mine)) == pytest.approx(len(mine) * tumours)


def test_a_larger_set_begins_with_the_smaller_one(tmp_path):
    small_set(tmp_path / "two", patients=2)
    small_set(tmp_path / "three", patients=3)
    two, three = contents(tmp_path / "two"), contents(tmp_path / "three")
    del two["data/index.csv"]
    assert two.items() <= three.items()


def test_tumours_can_be_in_one_domain_only():
    shares = plan(tumour_fraction=0.5, tumour_fraction_ct=0.0)
    numbers = range(1, 41)
    ill = [number for number in numbers if shares.has_tumour(number)]
    assert len(ill) == 10
    assert all(shares.modality(number) == "mri" for number in ill)


def test_both_weightings_show_one_head_with_noise_of_their_own(tmp_path):
    made = small_set(tmp_path / "set", patients=2, weighting="both", format="nifti")
    rows = read_rows(tmp_path / "set")
    assert [(row["path"], row["sequence"]) for row in rows] == [
        ("mri/t1/P001.nii.gz", "t1"),
        ("mri/t2/P001.nii.gz", "t2"),
        ("ct/P002.nii.gz", ""),
    ]
    assert (made.truth / "ct/P001.nii.gz").is_file()
    assert (made.truth / "mri/t2/P002.nii.gz").is_file()
    t1, t2 = (read_volumes(made.data / "mri" / name)[0][0].array for name in ("t1", "t2"))
    alone = phantom_patient(0, 1, SMALL, tumour=False)
    assert np.array_equal(t1, alone.mri.array)
    same_noise = phantom_patient(0, 1, SMALL, tumour=False, weighting="t2").mri.array
    air = alone.ct.array < -990
    assert np.corrcoef(t1[air], same_noise[air])[0, 1] > 0.5
    assert abs(np.corrcoef(t1[air], t2[air])[0, 1]) < 0.3


def test_slices_with_tumour_are_a_minority():
    """On the real grid's slices; few voxels in the plane are enough to see it."""
    positive = total = 0
    for number in range(1, 21):
        patient = phantom_patient(0, number, (32, 40, 26), tumour=plan().has_tumour(number))
        areas = patient.mask.array.sum(axis=(0, 1)) * 36.0
        positive, total = positive + (areas >= 10).sum(), total + len(areas)
    assert 0.07 < positive / total < 0.17


def test_app_says_where_and_what_next_and_does_not_repeat_itself(tmp_path, capsys):
    from medimg_gan.apps import make_phantom as app

    config = app.Config(out=tmp_path / "set", patients=2, size=SMALL, workers=1)
    app.main(config)
    first = capsys.readouterr().out
    assert f"train_cyclegan.py --src mri --tgt ct --data {tmp_path / 'set' / 'data'}" in first
    assert "finished already" not in first
    app.main(config)
    assert "finished already" in capsys.readouterr().out


def test_app_config_imports_nothing_heavy():
    code = (
        "import sys, medimg_gan.apps.make_phantom; "
        "print(sorted({'numpy', 'scipy', 'torch', 'pydicom', 'pandas'} & set(sys.modules)))"
    )
    root = Path(phantom.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_finished_set_may_be_used_by_many_at_once(tmp_path):
    small_set(tmp_path / "set")
    code = (
        "from pathlib import Path; from medimg_gan.imaging.phantom import make_phantom; "
        f"make_phantom(Path({str(tmp_path / 'set')!r}), 4, size={SMALL}, workers=1)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert other.returncode == 0, other.stderr

"""The verb translate on a run whose networks were never trained: what it writes and refuses."""

import json

import nibabel
import numpy as np
import pytest
import torch
from pandas import read_csv
from pydicom import dcmread

from medimg_gan.apps import cli
from medimg_gan.data.companions import is_companion
from medimg_gan.engine.checkpoint import save_weights
from medimg_gan.imaging import Volume, read_volumes, write_dicom, write_nifti
from medimg_gan.runs import write_json
from medimg_gan.synthesis import build_recipe

AFFINE = np.diag([8.0, 8.0, 5.0, 1.0])
NAME = "Doe^Jane"


def head(seed: int, size: int = 20) -> Volume:
    grid = np.indices((size, 20, 6)) - np.array([10, 10, 3])[:, None, None, None]
    ball = np.square(grid[:2]).sum(0) < 49
    noise = np.random.default_rng(seed).integers(0, 60, ball.shape)
    return Volume((ball * 800 + noise).astype(np.float32), AFFINE, "mri", "signal")


def a_run(folder, sequences=()):
    channels = 3 * max(1, len(sequences))
    facts = {
        "verb": "train-cyclegan", "finished": True, "recipe": "cyclegan", "options": {"width": 4},
        "spec": {"channels": 3, "size": 32, "classes": [], "source_channels": channels},
        "source": "+".join(sequences) or "mri", "target": "ct", "sources": list(sequences),
        "source_modality": "mri", "target_modality": "ct", "adjacent": 3, "unit": "HU",
        "scale": {"low": -1000.0, "high": 1500.0, "pixel_mm": 2.0},
    }  # fmt: skip
    write_json(folder / "manifest.json", facts)
    (folder / "split.csv").write_text("patient,split\n")
    torch.manual_seed(0)
    save_weights(folder / "weights.pt", build_recipe(facts))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dicom(place):
    a_run(place / "run")
    for patient in range(2):
        for path in write_dicom(head(patient), place / f"scans/mri/{patient}", synthetic=False):
            image = dcmread(path)
            image.PatientName, image.PatientID = NAME, f"Jane{patient}"
            image.save_as(path)
    return place


def translate(*words: str) -> None:
    cli.run("translate", ["--run", "run", "--data", "scans", *words])


def stopped(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        translate(*words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def images(folder):
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def test_dicom_overlays_its_source_and_names_nobody(dicom, capsys):
    translate("--out", "out", "--format", "dicom")
    made, sources = images(dicom / "out"), images(dicom / "scans")
    assert len(made) == len(sources) == 12
    assert {i.FrameOfReferenceUID for i in made} == {i.FrameOfReferenceUID for i in sources}
    assert not {i.StudyInstanceUID for i in made} & {i.StudyInstanceUID for i in sources}
    assert len({i.PatientID for i in made}) == 2
    assert not any("Jane" in str(i) for i in made)
    assert {str(i.ImageType) for i in made} == {"['DERIVED', 'SECONDARY', 'AXIAL']"}
    volumes, problems = read_volumes(dicom / "out")
    assert problems == []
    for volume in volumes:
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_an_identity_is_kept_only_when_asked_for_and_then_said_aloud(dicom, capsys):
    translate("--out", "out", "--format", "dicom", "--keep-identity")
    printed = capsys.readouterr().out
    assert "name patients" in printed
    made, sources = images(dicom / "out"), images(dicom / "scans")
    assert {str(i.PatientName) for i in made} == {NAME}
    assert {i.StudyInstanceUID for i in made} == {i.StudyInstanceUID for i in sources}
    place_of = {i.SOPInstanceUID: i.ImagePositionPatient for i in sources}
    for image in made:  # each slice names the one source image at its own place
        (reference,) = image.SourceImageSequence
        assert place_of[reference.ReferencedSOPInstanceUID] == image.ImagePositionPatient
    told = printed + (dicom / "out/manifest.json").read_text()
    told += " ".join(map(str, (dicom / "out").rglob("*")))
    assert "Jane" not in told
    assert "--format dicom" in stopped(capsys, "--out", "other", "--keep-identity")


def test_nifti_has_no_identity_to_keep(place, capsys):
    a_run(place / "run")
    write_nifti(head(0), place / "scans/mri/0.nii.gz")
    words = ["--out", "out", "--format", "dicom"]
    assert "not all of these scans are DICOM" in stopped(capsys, *words, "--keep-identity")
    assert not (place / "out").exists()
    translate(*words)
    assert images(place / "out")[0].PatientIdentityRemoved == "YES"


def test_an_uncertainty_lies_beside_its_volume_and_passes_for_no_scan(place, capsys):
    a_run(place / "run")
    for patient in range(2):
        write_nifti(head(patient), place / f"scans/mri/{patient}.nii.gz")
        write_nifti(
            Volume(head(patient).array - 1000, AFFINE, "ct", "HU"),
            place / f"truth/ct/{patient}.nii.gz",
        )
    translate("--out", "out", "--uncertainty", "--truth", "truth")
    assert "Spearman" in capsys.readouterr().out
    found = json.loads((place / "out/manifest.json").read_text())
    assert -1 <= found["uncertainty"]["spearman"] <= 1
    maps = sorted((place / "out").rglob("*_uncertainty.nii.gz"))
    assert len(maps) == 2
    image = nibabel.load(maps[0])
    made = nibabel.load(maps[0].with_name(maps[0].name.replace("_uncertainty", "")))
    assert image.get_data_dtype() == np.float32
    assert made.get_data_dtype() == np.int16
    np.testing.assert_array_equal(image.affine, made.affine)
    assert image.get_fdata().max() > 0
    for map_path in maps:
        assert is_companion(map_path)
    capsys.readouterr()
    cli.run("index", ["--data", "out"])
    printed = capsys.readouterr().out
    assert "written by translate to be looked at" in printed
    table = read_csv("runs/index-out/index.csv")
    assert sorted(table.loc[table["problem"].isna(), "modality"]) == ["ct", "ct"]
    # Beside a manifest of another verb, the same names are scans.
    write_json(place / "out/manifest.json", {"verb": "make-phantom"})
    assert not is_companion(maps[0])
    volumes, _ = read_volumes(place / "out")
    assert [volume.modality for volume in volumes].count("ct") == 2


def test_an_uncertainty_is_worth_the_same_in_every_format(place):
    a_run(place / "run")
    for patient in range(2):
        slice_of = head(patient).array[..., 2:3]
        write_nifti(Volume(slice_of, AFFINE, "mri", "signal"), place / f"scans/mri/{patient}.nii")
        truth = Volume(slice_of - 1000, AFFINE, "ct", "HU")
        write_nifti(truth, place / f"truth/ct/{patient}.nii")
    found = []
    for form in ("png", "nifti"):
        translate("--out", form, "--format", form, "--uncertainty", "--truth", "truth")
        found.append(json.loads((place / form / "manifest.json").read_text())["uncertainty"])
    assert found[0]["spearman"] == pytest.approx(found[1]["spearman"], abs=0.01)
    assert found[0]["pearson"] == pytest.approx(found[1]["pearson"], abs=0.01)


@pytest.mark.parametrize(
    ("truth", "expected"), [("absent", "no such folder"), ("truth", "of the same name")]
)
def test_a_truth_that_fits_nothing_is_refused_before_anything_is_made(
    place, capsys, truth, expected
):
    a_run(place / "run")
    write_nifti(head(0), place / "scans/mri/0.nii.gz")
    write_nifti(Volume(head(0).array - 1000, AFFINE, "ct", "HU"), place / "truth/ct/other.nii.gz")
    assert expected in stopped(capsys, "--out", "out", "--truth", truth)
    assert not (place / "out").exists()


def test_a_truth_that_cannot_be_read_costs_itself_alone(place, capsys):
    a_run(place / "run")
    for patient in range(3):
        write_nifti(head(patient), place / f"scans/mri/{patient}.nii.gz")
        truth = Volume(head(patient).array - 1000, AFFINE, "ct", "HU")
        write_nifti(truth, place / f"truth/ct/{patient}.nii.gz")
    broken = place / "truth/ct/1.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-500])  # its header tells nothing of it
    translate("--out", "out", "--truth", "truth", "--uncertainty")
    printed = capsys.readouterr().out
    assert "over 2 patients" in printed
    assert "(mean over 2 scans)" in printed
    assert printed.count("not compared: ") == 1
    found = json.loads((place / "out/manifest.json").read_text())
    assert found["finished"]
    assert len(found["error"]) == 2


def test_a_scan_that_failed_is_tried_again(place, capsys):
    a_run(place / "run")
    for patient in range(2):
        write_nifti(head(patient), place / f"scans/mri/{patient}.nii.gz")
    broken = place / "scans/mri/1.nii.gz"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-500])
    translate("--out", "out")
    printed = capsys.readouterr().out
    assert "not translated: mri/1.nii.gz" in printed
    assert "tries again" in printed
    made = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.nii.gz")}
    assert len(made) == 1
    broken.write_bytes(whole)
    translate("--out", "out")
    assert "tries again" not in capsys.readouterr().out
    assert len(list((place / "out").rglob("*.nii.gz"))) == 2
    assert all(path.stat().st_mtime_ns == at for path, at in made.items())
    facts = json.loads((place / "out/manifest.json").read_text())
    assert (facts["finished"], facts["translated"], facts["not_translated"]) == (True, 2, [])
    translate("--out", "out")
    assert "finished already" in capsys.readouterr().out


def test_a_truth_of_training_patients_alone_tells_no_error(place, capsys):
    a_run(place / "run")
    for patient in range(2):
        write_nifti(head(patient), place / f"scans/mri/{patient}.nii.gz")
    write_nifti(Volume(head(0).array - 1000, AFFINE, "ct", "HU"), place / "truth/ct/0.nii.gz")
    cli.run("index", ["--data", "scans", "--run", "table"])
    table = read_csv("table/index.csv").set_index("path")["patient"]
    (place / "run/split.csv").write_text(f"patient,split\n{table['mri/0.nii.gz']},train\n")
    translate("--out", "out", "--truth", "truth")
    assert "so no error is told" in capsys.readouterr().out
    found = json.loads((place / "out/manifest.json").read_text())
    assert (found["finished"], found["error"]) == (True, {})


def test_an_interrupted_call_goes_on_with_what_is_not_there(place, monkeypatch):
    a_run(place / "run")
    for patient in range(3):
        write_nifti(head(patient), place / f"scans/mri/{patient}.nii.gz")
    from medimg_gan.synthesis import Translator

    real, seen = Translator.translate, []

    def second_stops(self, volume):
        seen.append(volume)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return real(self, volume)

    monkeypatch.setattr(Translator, "translate", second_stops)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        translate("--out", "out")
    assert len(list((place / "out").rglob("*.nii.gz"))) == 1
    translate("--out", "out")
    assert len(seen) == 4
    assert len(list((place / "out").rglob("*.nii.gz"))) == 3


def test_sequences_of_a_visit_go_in_together_and_the_rest_is_counted(place, capsys):
    a_run(place / "run", ("t1", "t2"))
    for name in ("a/a_t1", "a/a_t2", "b/b_t2", "b/b_t1", "c/c_t1"):
        write_nifti(head(len(name)), place / f"scans/{name}.nii.gz")
    words = ["--modality", "mri"]
    (place / "scans/index.csv").write_text(
        "path,patient,sequence\n"
        + "".join(f"{p}/{p}_{s}.nii.gz,{p},{s}\n" for p in "abc" for s in ("t1", "t2")).replace(
            "c/c_t2.nii.gz,c,t2\n", ""
        )
    )
    translate("--out", "out", *words)
    printed = capsys.readouterr().out
    assert "2 ct volumes" in printed
    table = read_csv("out/translated.csv")
    assert all((place / "out" / name).is_file() for name in table["file"])
    cli.run("index", ["--data", "scans", *words])
    index = read_csv("runs/index-scans/index.csv").set_index("series")["path"]
    sources = {tuple(index[keys.split()]) for keys in table["series"]}
    assert sources == {tuple(f"{p}/{p}_{s}.nii.gz" for s in ("t1", "t2")) for p in "ab"}
    assert "left out: 1 scans" in printed
    assert json.loads((place / "out/manifest.json").read_text())["left_out"] == 1


def test_a_visit_of_sequences_has_one_truth(place, capsys):
    a_run(place / "run", ("t1", "t2"))
    for name in ("a_t1", "a_t2"):
        write_nifti(head(len(name)), place / f"scans/mri/{name}.nii.gz")
    rows = "path,patient,sequence\nmri/a_t1.nii.gz,a,t1\nmri/a_t2.nii.gz,a,t2\n"
    (place / "scans/index.csv").write_text(rows)
    truth = Volume(head(0).array - 1000, AFFINE, "ct", "HU")
    write_nifti(truth, place / "truth/ct/a.nii.gz")
    translate("--out", "out", "--truth", "truth")
    assert "over 1 patients" in capsys.readouterr().out
    assert (place / "out/comparison.png").exists()


def test_sequences_that_are_not_there_are_named(place, capsys):
    a_run(place / "run", ("t1", "flair"))
    write_nifti(head(0), place / "scans/mri/0_t1.nii.gz")
    (place / "scans/index.csv").write_text("path,sequence\nmri/0_t1.nii.gz,t1\n")
    assert "flair" in stopped(capsys, "--out", "out")
    assert not (place / "out").exists()


def test_scans_of_another_modality_are_refused(place, capsys):
    a_run(place / "run")
    write_nifti(Volume(head(0).array - 1000, AFFINE, "ct", "HU"), place / "scans/ct/0.nii.gz")
    assert "no mri scans" in stopped(capsys, "--out", "out")

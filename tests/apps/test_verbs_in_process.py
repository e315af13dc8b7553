"""Verbs called as a user calls them, in this process: what they refuse, resume and write."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from medimg_gan.apps import cli
from medimg_gan.apps.options import named_numbers
from medimg_gan.errors import ConfigError

MASK = ["--mask", "{patient}/{visit}_Mask.nii.gz"]
TINY = ["--size", "32", "--batch-size", "4", "--engine.precision", "32-true"]


@pytest.fixture
def place(nifti_folder, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stopped(verb: str, words: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.run(verb, words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def train(*words: str) -> None:
    cli.run("train-gan", ["--data", "scans", *MASK, *TINY, "--steps", "2", *words])


STUDY = ["--minority-class", "tumor", "--data", "scans", *MASK, *TINY, "--features", "random"]
QUICK = ["--classifier-steps", "2", "--seeds", "1", "--steps", "2", "--arms", "real", "synthetic"]


def test_a_gan_of_the_same_training_patients_is_taken(place, capsys):
    train("--run", "runs/gan")
    cli.run("augment", [*STUDY, *QUICK, "--gan", "runs/gan"])
    report = json.loads((place / "runs/augment-tumor/report.json").read_text())
    assert "weights" in report["synthetic_source"]
    assert not (place / "runs/augment-tumor/gan").exists()
    words = [*STUDY, *QUICK, "--keep-minority", "0.3", "--gan", "runs/gan", "--run", "runs/thin"]
    assert "--keep-minority takes away" in stopped("augment", words, capsys)


def test_a_gan_that_saw_held_out_patients_is_refused(place, capsys):
    train("--run", "runs/gan", "--seed", "1")
    message = stopped("augment", [*STUDY, *QUICK, "--gan", "runs/gan"], capsys)
    assert "knows patients that are held out here" in message


def test_a_gan_that_cannot_make_the_class_is_refused(place, capsys):
    train("--run", "runs/plain", "--recipe", "dcgan")
    message = stopped("augment", [*STUDY, *QUICK, "--gan", "runs/plain"], capsys)
    assert "cannot make class 'tumor'" in message


def test_an_unknown_arm_or_setting_is_refused_before_anything_is_trained(place, capsys):
    assert "synthetik" in stopped("augment", [*STUDY, *QUICK, "--arms", "synthetik"], capsys)
    assert "'copy'" in stopped("augment", [*STUDY, *QUICK, "--filters", "copy"], capsys)
    assert "widht" in stopped("augment", [*STUDY, *QUICK, "--set", "widht=3"], capsys)
    assert not list((place / "runs").rglob("*.pt"))


def test_a_thinned_study_compares_ratios_and_its_gan_learns_from_what_is_left(place, capsys):
    words = ["--ratios", "0.6", "1", "--classifier-steps", "2", "--seeds", "1", "--steps", "2"]
    words += ["--arms", "real", "duplicate", "synthetic", "--keep-minority", "0.3"]
    cli.run("augment", [*STUDY, *words])
    assert "tumor is made rarer: 1 of 4 training patients" in capsys.readouterr().out
    folder = place / "runs/augment-tumor"
    report = json.loads((folder / "report.json").read_text())
    ratios = [arm["ratio"] for arm in report["arms"] if arm["name"] == "synthetic"]
    assert ratios == [0.6, 1.0]
    learnt = json.loads((folder / "gan/manifest.json").read_text())["class_counts"]
    assert learnt == list(report["counts"]["train"]["slices"].values())
    assert learnt[1] == 4
    assert "made on purpose" in report["caveats"][0]


def test_an_unconditional_gan_writes_no_labels(place):
    train("--run", "runs/plain", "--recipe", "dcgan")
    cli.run("synthesize", ["--run", "runs/plain", "--count", "3", "--out", "out"])
    rows = (place / "out/labels.csv").read_text().splitlines()
    assert rows[1:] == [f"synthetic_{n:05d}.nii.gz,,mri,yes" for n in range(3)]


def test_a_gan_is_conditioned_on_position_and_on_columns_of_the_table(place, capsys):
    rows = ["patient,age,sex"] + [f"{n:02d},{20 + 7.3 * n},{'mf'[n % 2]}" for n in range(9)]
    (place / "scans/labels.csv").write_text("\n".join(rows))
    train("--run", "runs/gan", "--condition", "position", "age")
    printed = capsys.readouterr().out
    assert "conditioned on position: 0 to 1" in printed
    written = (place / "runs/gan/manifest.json").read_text()
    facts = json.loads(written)
    assert [number["name"] for number in facts["numbers"]] == ["position", "age"]
    assert not any(f"{20 + 7.3 * n:g}" in written for n in range(1, 9))
    words = ["--run", "runs/gan", "--count", "3", "--format", "png"]
    cli.run("synthesize", [*words, "--out", "out", "--at", "age=45"])
    table = (place / "out/labels.csv").read_text().splitlines()
    assert table[0] == "path,label,modality,synthetic,position,age"
    assert all(row.endswith(",45") for row in table[1:])
    assert len({row.split(",")[4] for row in table[1:]}) > 1
    for wrong, said in (("agee=4", "did you mean age"), ("age", "'age'"), ("age=7", "20 to")):
        message = stopped("synthesize", [*words, "--out", "x", "--at", wrong], capsys)
        assert said in message
    assert not (place / "x").exists()
    words = ["--data", "scans", *MASK, *TINY, "--steps", "2", "--run", "runs/other"]
    assert "'m', 'f'" in stopped("train-gan", [*words, "--condition", "sex"], capsys)


def test_a_gan_knows_the_position_of_volumes_unless_told_not_to(place, capsys):
    train("--run", "runs/gan")
    train("--run", "runs/none", "--condition", "none")
    train("--run", "runs/plain", "--recipe", "dcgan")
    found = [
        json.loads((place / "runs" / name / "manifest.json").read_text())["spec"]["numbers"]
        for name in ("gan", "none", "plain")
    ]
    assert found == [["position"], [], []]
    words = ["--data", "scans", *MASK, *TINY, "--steps", "2", "--run", "runs/other"]
    message = stopped("train-gan", [*words, "--recipe", "dcgan", "--condition", "age"], capsys)
    assert "without conditions" in message
    assert "stand alone" in stopped("train-gan", [*words, "--condition", "auto", "age"], capsys)


def test_another_gan_does_not_pass_for_the_first(place, capsys):
    train("--run", "runs/one")
    train("--run", "runs/two", "--seed", "5")
    words = ["--count", "2", "--out", "out"]
    cli.run("synthesize", ["--run", "runs/one", *words])
    assert "runs/one -> runs/two" in stopped("synthesize", ["--run", "runs/two", *words], capsys)


def test_restart_begins_again(place, capsys):
    train("--run", "runs/gan")
    train("--run", "runs/gan", "--restart", "--seed", "3")
    manifest = json.loads((place / "runs/gan/manifest.json").read_text())
    assert manifest["config"]["seed"] == 3
    assert "finished already" not in capsys.readouterr().out


def test_minutes_bound_a_training(place):
    cli.run("train-gan", ["--data", "scans", *MASK, *TINY, "--minutes", "0.01", "--run", "runs/m"])
    manifest = json.loads((place / "runs/m/manifest.json").read_text())
    assert manifest["finished"]
    assert manifest["steps"] >= 1


def test_a_damaged_scan_costs_a_line_not_the_run(place, capsys):
    path = place / "scans/03/Pre_Scan_T1.nii.gz"
    path.write_bytes(path.read_bytes()[:200])
    (place / "scans/notes.nii").write_text("not a scan")
    train("--run", "runs/gan")
    printed = capsys.readouterr().out
    assert "03/Pre_Scan_T1.nii.gz" in printed
    assert "notes.nii" in printed


def test_strict_stops_at_a_damaged_scan(place, capsys):
    (place / "scans/notes.nii").write_text("not a scan")
    words = ["--data", "scans", *MASK, *TINY, "--steps", "2", "--strict"]
    assert "notes.nii" in stopped("train-gan", words, capsys)


def test_a_gpu_that_is_not_there_is_said(place, capsys):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    words = ["--data", "scans", *MASK, *TINY, "--engine.accelerator", "gpu"]
    assert "DeviceError" in stopped("train-gan", words, capsys)


def test_a_picture_of_a_whole_volume_is_refused_at_once(place, capsys):
    data = ["--data", "scans"]
    for path in place.glob("scans/*/Post*"):  # a second modality on the same patients
        name = path.name.replace("_T1", "")  # a file named by its modality is of that one
        target = place / "scans/ct" / path.parent.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    for path in place.glob("scans/ct/*/*Mask*"):
        path.unlink()
    for path in place.glob("scans/ct/*/*.nii.gz"):
        values = nibabel.load(path).get_fdata()
        nibabel.save(nibabel.Nifti1Image(np.float32(10 * values - 1000), np.eye(4)), path)
    words = ["--src", "mri", "--tgt", "ct", *data, *TINY, "--steps", "2"]
    cli.run("train-cyclegan", words)
    run = ["--run", "runs/train-disguise-mri-ct"]
    message = stopped("translate", [*run, *data, "--out", "out", "--format", "png"], capsys)
    assert "many slices" in message
    assert not (place / "out").exists()


CHAIN = ["--transform.plane", "sagittal", "--transform.spacing", "2", "2", "2"]
NYUL = ["--transform.intensity", "nyul", "--transform.crop", "body"]


def test_the_chain_of_a_training_is_noted_and_its_slices_lie_in_that_plane(place):
    train("--run", "runs/gan", *CHAIN, *NYUL)
    facts = json.loads((place / "runs/gan/manifest.json").read_text())
    assert facts["transform"]["spacing"] == [2, 2, 2]
    assert facts["config"]["transform"] == facts["transform"]
    assert len(facts["standard"]) == 11
    assert facts["spec"]["calibrated"] is False  # MR signal has no unit
    assert facts["spec"]["mirror"] is False  # left and right of the picture are front and back
    cli.run("synthesize", ["--run", "runs/gan", "--count", "1", "--out", "out"])
    (path,) = (place / "out").glob("*.nii.gz")
    image = nibabel.load(path)
    assert nibabel.aff2axcodes(image.affine) == ("A", "S", "R")
    assert image.shape == (32, 32, 1)
    words = ["--run", "runs/gan", "--count", "1", "--out", "png", "--format", "png"]
    cli.run("synthesize", words)
    assert list((place / "png").glob("*.png"))


def test_a_gan_of_another_chain_is_refused(place, capsys):
    train("--run", "runs/gan", "--transform.crop", "body")
    message = stopped("augment", [*STUDY, *QUICK, "--gan", "runs/gan"], capsys)
    assert "another transform" in message


def test_a_chain_may_come_from_a_yaml_file(place):
    lines = ["steps: 2", "transform:", "  crop: body", "  spacing: [0, 0, 2.5]", "  bias-field: n4"]
    (place / "my.yaml").write_text("\n".join(lines))
    words = ["--data", "scans", *MASK, *TINY, "--run", "runs/gan", "--config", "my.yaml"]
    cli.run("train-gan", words)
    chain = json.loads((place / "runs/gan/manifest.json").read_text())["transform"]
    assert (chain["crop"], chain["spacing"], chain["bias_field"]) == ("body", [0, 0, 2.5], "n4")


def test_a_chain_for_what_is_not_there_is_refused(place, capsys):
    words = ["--data", "scans", *MASK, *TINY, "--steps", "2", "--transform.window", "brain"]
    assert "no ct scans here" in stopped("train-gan", words, capsys)
    assert "brian" in stopped("train-gan", [*words[:-1], "brian"], capsys)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("position=0.2", "position=0.8"), "stands twice"),
        (("position",), "expected name=value"),
        (("position=abc",), "'abc' is no number"),
        (("position=nan",), "'nan' is no number"),
    ],
)
def test_numbers_of_a_flag_are_named_once_and_finite(settings, said):
    with pytest.raises(ConfigError, match=said):
        named_numbers("--at", settings, "position=0.5")


def test_a_move_beyond_every_sample_is_refused(capsys):
    words = ["--run", "runs/none", "--out", "out", "--move", "1=1e9"]
    assert "at most 10 standard deviations" in stopped("synthesize", words, capsys)


@pytest.mark.parametrize("wrong", ["loss=hinje", "los=hinge", "width=8 width=4"])
def test_a_wrong_setting_leaves_no_run(place, capsys, wrong):
    with pytest.raises(SystemExit) as stop:
        train("--run", "runs/wrong", "--set", *wrong.split())
    assert stop.value.code == 2
    assert not (place / "runs/wrong").exists()


def test_a_pack_that_does_not_fit_the_batch_is_refused_before_data_are_read(tmp_path, capsys):
    words = ["--data", str(tmp_path), "--steps", "1", "--batch-size", "16"]
    message = stopped("train-gan", [*words, "--set", "pack=3"], capsys)
    assert "--batch-size 15" in message

"""The verb as a user calls it: what it refuses, reuses, resumes and writes."""

import json
import shutil
from pathlib import Path

import pytest

from medimg_gan.apps import cli
from medimg_gan.runs import write_json

MASK = ["--mask", "{patient}/{visit}_Mask.nii.gz"]
QUICK = ["--features", "random", "--classifier-steps", "2", "--count", "24", "--copies", "40"]


@pytest.fixture
def place(nifti_folder, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(recipe: str = "cgan") -> None:
    tiny = ["--size", "32", "--batch-size", "4", "--steps", "1", "--set", "width=8"]
    words = ["--recipe", recipe, "--engine.precision", "32-true", "--run", "runs/gan"]
    cli.run("train-gan", ["--data", "scans", *MASK, *tiny, *words])


def evaluate(*words: str) -> None:
    cli.run("evaluate", ["--run", "runs/gan", *QUICK, *words])


def stopped(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        evaluate(*words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_the_runs_own_data_and_split_are_taken(place, capsys):
    train()
    capsys.readouterr()
    evaluate()
    printed = capsys.readouterr().out
    assert "Kernel distance (random)" in printed
    assert "train-real" in printed
    folder = place / "runs/gan/evaluation"
    assert (folder / "split.csv").read_text() == (place / "runs/gan/split.csv").read_text()
    content = json.loads((folder / "evaluation.json").read_text())
    assert {figure["group"] for figure in content["figures"]} == {"all", "tumor", "no-tumor"}
    assert content["copies"]["pixels"]["training_slices"] > 0
    assert "of 40 synthetic slices lie closer" in printed
    assert content["duplicates"]["samples"] == 40
    assert 0 <= content["duplicates"]["too_close_to_training"] <= 1
    assert set(content["class_consistency"]["by_class"]) == {"tumor", "no-tumor"}
    for name in ("measurements", "spectra", "neighbours"):
        assert (folder / f"{name}.png").stat().st_size > 1000

    evaluate()
    assert "finished already" in capsys.readouterr().out
    assert "seed: 0 -> 3" in stopped(capsys, "--seed", "3")


def test_real_slices_are_on_the_standard_scale_of_the_run(place):
    train()
    manifest = json.loads((place / "runs/gan/manifest.json").read_text())
    manifest["transform"]["intensity"] = "nyul"
    found = []
    for least in (-0.9, 0.0):  # landmarks that differ give other real slices, so other figures
        standard = [least + step * (0.99 - least) / 11 for step in range(11)]
        write_json(place / "runs/gan/manifest.json", {**manifest, "standard": standard})
        evaluate("--restart")
        content = json.loads((place / "runs/gan/evaluation/evaluation.json").read_text())
        found.append(content["copies"]["pixels"]["held_out"])
    assert found[0] != pytest.approx(found[1], rel=0.05)


def test_an_unconditional_gan_and_patients_of_another_hospital(place, capsys):
    train("dcgan")
    shutil.copytree("scans", "others")
    for folder in sorted(Path("others").iterdir()):
        folder.rename(folder.with_name(f"site2-{folder.name}"))
    evaluate("--data", "others", "--out", "elsewhere")
    printed = capsys.readouterr().out
    assert "none of the training patients are among these data" in printed
    content = json.loads((place / "elsewhere/evaluation.json").read_text())
    assert {figure["group"] for figure in content["figures"]} == {"all"}
    assert all(figure["train_vs_held_out"] is None for figure in content["figures"])
    assert all(figure["halves_mean"] is not None for figure in content["figures"])
    assert content["class_consistency"] is None


def test_two_patients_of_another_hospital_suffice(place, capsys):
    """Too few to be dealt out, but nothing is: the run's own split is all there is."""
    train()
    others = place / "others"
    others.mkdir()
    for name in ("01", "02"):
        shutil.copytree(f"scans/{name}", others / f"site2-{name}")
    capsys.readouterr()
    evaluate("--data", "others", *MASK, "--out", "elsewhere")
    assert "the run was trained on 0 slices" in capsys.readouterr().out
    rows = (place / "elsewhere/split.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == ["test", "test"]


def test_data_without_the_classes_are_refused(place, capsys):
    train()
    assert "no slices of no-tumor, tumor" in stopped(capsys, "--data", "scans", "--out", "x")
    assert "no such extractor" in stopped(capsys, "--features", "resnet")
    train_manifest = json.loads((place / "runs/gan/manifest.json").read_text())
    write_json(place / "runs/gan/manifest.json", {**train_manifest, "finished": False})
    assert "not finished" in stopped(capsys)

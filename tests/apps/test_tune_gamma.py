"""Which gamma is recommended, and the sweep as a user starts it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from medimg_gan.apps import cli
from medimg_gan.apps.tune_gamma import FACTORS, Trial, choose
from medimg_gan.metrics.features import FEATURES


def trial(gamma, kid, error=0.01, similarity=0.4, real=0.3):
    return Trial(gamma, kid, error, similarity, real)


def test_the_lowest_distance_wins_where_it_stands_out():
    taken, why = choose([trial(1, 0.30), trial(2, 0.10), trial(4, 0.20)])
    assert taken == trial(2, 0.10)
    assert "lowest kernel distance" in why


def test_within_its_standard_error_the_larger_gamma_wins():
    taken, why = choose([trial(1, 0.10, 0.05), trial(2, 0.12), trial(4, 0.14), trial(8, 0.16)])
    assert taken == trial(4, 0.14)
    assert "at gamma 1" in why


def test_what_collapsed_or_diverged_is_not_taken():
    collapsed = trial(4, 0.01, similarity=0.66, real=0.3)  # over halfway from 0.3 to 1
    varied = trial(2, 0.5, similarity=0.64, real=0.3)
    assert collapsed.fault == "collapsed"
    assert choose([Trial(1), varied, collapsed])[0] is varied
    assert choose([Trial(1), collapsed])[0] is None


def test_a_negative_distance_is_lower_than_none():
    assert choose([trial(1, -0.02, 0.001), trial(2, 0.0)])[0] == trial(1, -0.02, 0.001)


def sweep(*words):
    cli.run(
        "train-gan",
        ["--tune-gamma", "--data", "scans", "--mask", "{patient}/{visit}_Mask.nii.gz",
         "--size", "32", "--batch-size", "4", "--engine.precision", "32-true", "--steps", "10",
         "--condition", "none", "--engine.watch-every", "2", "--engine.watch-features", "random",
         "--set", "width=4", "widest=8", "gamma=0.1", *words],
    )  # fmt: skip


def test_a_sweep_trains_scores_recommends_and_goes_on_where_it_stopped(
    nifti_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(FEATURES, "efficientnet-lite0", FEATURES["random"])  # quicker
    sweep()
    said = capsys.readouterr().out
    folder = Path("runs/tune-gamma-cgan")
    found = json.loads((folder / "gamma.json").read_text())
    assert [row["gamma"] for row in found["trials"]] == [0.025, 0.05, 0.1, 0.2, 0.4]
    assert all(row["kid"] is not None and 0 <= row["accuracy"] <= 1 for row in found["trials"])
    manifests = [json.loads((p / "manifest.json").read_text()) for p in folder.glob("gamma-*")]
    assert {facts["steps"] for facts in manifests} == {2}
    assert {facts["options"]["gamma"] for facts in manifests} == {0.025, 0.05, 0.1, 0.2, 0.4}
    assert len({facts["config"]["seed"] for facts in manifests}) == 1
    rows = 1 + len(FACTORS)  # real slices on top
    assert Image.open(folder / "samples.png").height > rows * 32
    if found["gamma"] is not None:
        command = next(line for line in said.splitlines() if line.startswith("next: "))
        assert "--mask '{patient}/{visit}_Mask.nii.gz'" in command
        assert f"--set width=4 widest=8 gamma={found['gamma']:g}" in command
        for flag in ("--data scans", "--size 32", "--condition none", "--engine.watch-every 2"):
            assert flag in command
        assert "--tune-gamma" not in command
    assert all(facts["spec"]["numbers"] == [] for facts in manifests)  # --condition none
    # Stopped while scoring: the trainings are not repeated.
    weights = {path: path.stat().st_mtime_ns for path in folder.glob("gamma-*/weights.pt")}
    facts = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**facts, "finished": False}))
    (folder / "gamma.json").unlink()
    sweep()
    assert json.loads((folder / "gamma.json").read_text()) == found
    assert {path: path.stat().st_mtime_ns for path in weights} == weights
    sweep()
    assert "finished already" in capsys.readouterr().out


def test_a_recipe_without_gamma_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.run("train-gan", ["--tune-gamma", "--recipe", "wgan-gp", "--steps", "5"])
    assert stop.value.code == 2
    assert "wgan-gp has no gamma" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--patience", "3"], "equal length"),
        (["--condition", "none", "age"], "stand alone"),
        (["--condition", "no_such_column", "--data", "scans"], "no_such_column"),
    ],
)
def test_flags_count_or_are_refused(nifti_folder, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.run("train-gan", ["--tune-gamma", "--steps", "5", *words])
    assert stop.value.code == 2
    assert said in capsys.readouterr().err

"""Explore, and the knobs of synthesize, called as a user calls them on a small finished run."""

import json

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from medimg_gan.apps import cli
from medimg_gan.engine.checkpoint import save_weights
from medimg_gan.runs import write_json
from medimg_gan.synthesis import build_recipe

FACTS = {
    "verb": "train-gan",
    "finished": True,
    "recipe": "cgan",
    "options": {"latent": 4, "width": 4, "widest": 8},
    "spec": {"channels": 1, "size": 32, "classes": ["a", "b"], "mirror": False},
    "modality": "mri",
    "unit": "signal",
    "scale": {"low": 0.0, "high": 500.0, "pixel_mm": 2.0},
    "class_counts": [3, 1],
}


def write_run(folder, **facts):
    torch.manual_seed(0)
    write_json(folder / "manifest.json", {**FACTS, **facts})
    save_weights(folder / "weights.pt", build_recipe({**FACTS, **facts}))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "gan")
    return tmp_path


def explore(*words: str):
    cli.run("explore", ["--run", "gan", "--out", "out", *words])


def stopped(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        explore(*words)
    assert stop.value.code == 2
    return capsys.readouterr().err


def manifest(place) -> dict:
    return json.loads((place / "out/manifest.json").read_text())


def test_a_grid_has_a_row_and_a_figure_for_each_class(place, capsys):
    explore("--count", "3")
    with Image.open(place / "out/grid.png") as grid:
        assert grid.size == (4 + 3 * 100, 4 + 2 * (22 + 100))
    plain = manifest(place)["diversity"]
    assert set(plain) == {"a", "b"}
    assert "a: 0." in capsys.readouterr().out
    explore("--count", "3", "--truncation", "0.5", "--restart")
    assert all(manifest(place)["diversity"][name] < plain[name] for name in plain)
    explore("--count", "3", "--truncation", "0.5")
    assert "finished already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "frames"),
    [(["--count", "3"], 9), (["--through", "classes", "--count", "2"], 5)],
)
def test_a_walk_is_a_strip_and_an_animation(place, words, frames):
    explore("--what", "interpolate", "--frames", "4", *words)
    assert manifest(place)["frames"] == frames
    with Image.open(place / "out/walk.gif") as gif:
        assert gif.n_frames == 2 * frames - 2
        assert gif.size == (2 * 96, 96)  # two classes, or two seeds
    assert (place / "out/walk.png").exists()


def test_directions_are_drawn_and_kept(place):
    explore("--what", "directions", "--count", "2")
    kept = np.load(place / "out/directions.npz")
    assert kept["vectors"].shape == (8, 8)
    assert {path.name for path in (place / "out").glob("*.png")} == {
        "directions-a.png", "directions-b.png",
    }  # fmt: skip


def test_a_real_slice_is_searched_for_and_its_name_kept_out(place, capsys):
    scan = np.random.default_rng(0).uniform(0, 100, (20, 24, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(scan, np.diag([-2.0, -2, 5, 1])), place / "doe_john.nii.gz")
    words = ["--what", "project", "--image", "doe_john.nii.gz", "--steps", "3", "--starts", "1"]
    assert "slices 0 to 4" in stopped(capsys, *words, "--slice", "5")
    assert not (place / "out").exists()
    explore(*words, "--slice", "4")
    assert "cannot reach this image" in capsys.readouterr().out
    assert manifest(place)["projection"]["share"] > 0.5
    assert np.load(place / "out/noise.npy").shape == (4,)
    assert (place / "out/likeness.png").exists()
    assert "doe" not in (place / "out/manifest.json").read_text()


def test_the_weights_to_look_at_can_be_chosen(place):
    grids = []
    torch.manual_seed(1)
    save_weights(place / "gan/weights_best.pt", build_recipe(FACTS))
    for weights in ("best", "last"):
        explore("--count", "2", "--weights", weights, "--restart")
        grids.append((place / "out/grid.png").read_bytes())
    (place / "gan/weights_best.pt").unlink()
    explore("--count", "2", "--restart")
    assert grids[0] != grids[1] == (place / "out/grid.png").read_bytes()


def test_mistakes_leave_nothing_behind(place, capsys):
    assert "a, b" in stopped(capsys, "--label", "c")
    assert "not found" in stopped(capsys, "--what", "project", "--image", "nowhere.png")
    write_run(place / "gan", recipe="dcgan", options={"width": 4}, spec={
        "channels": 1, "size": 32, "classes": [], "mirror": False,
    })  # fmt: skip
    assert "needs two" in stopped(capsys, "--what", "interpolate", "--through", "classes")
    write_run(place / "gan", recipe="cyclegan", options={"width": 4}, source="mri", target="ct",
              averaged=[])  # fmt: skip
    assert "translator" in stopped(capsys)
    assert not (place / "out").exists()


def test_synthesize_turns_the_knobs_and_notes_them(place, capsys):
    words = ["--run", "gan", "--count", "4", "--label", "a"]

    def made(out: str, *knobs: str) -> np.ndarray:
        cli.run("synthesize", [*words, "--out", out, *knobs])
        files = sorted((place / out).glob("*.nii.gz"))
        return np.stack([nibabel.load(path).get_fdata() for path in files])

    plain, typical = made("plain"), made("typical", "--truncation", "0.3")
    moved = made("moved", "--move", "1=2", "3=-1")
    assert 0 < typical.std(axis=0).mean() < plain.std(axis=0).mean()
    assert not np.allclose(moved, plain, atol=1e-3)
    noted = json.loads((place / "moved/manifest.json").read_text())
    assert (noted["truncation"], noted["moves"]) == (1.0, {"1": 2.0, "3": -1.0})
    with pytest.raises(SystemExit) as stop:
        made("far", "--move", "99=1")
    assert stop.value.code == 2
    assert "has 8" in capsys.readouterr().err
    assert not (place / "far").exists()


def test_at_asks_for_a_number_and_one_never_learnt_is_refused(place, capsys):
    numbers = [{"name": "position", "low": 0.0, "high": 1.0, "deciles": [[0.5] * 11] * 2,
                "whole": False}]  # fmt: skip
    write_run(place / "gan", spec={**FACTS["spec"], "numbers": ["position"]}, numbers=numbers)
    assert "expected name=value" in stopped(capsys, "--at", "position")
    assert "0 to 1" in stopped(capsys, "--at", "position=7")
    grids = []
    for value in ("0", "1"):
        explore("--count", "1", "--at", f"position={value}", "--restart")
        grids.append((place / "out/grid.png").read_bytes())
    assert grids[0] != grids[1]

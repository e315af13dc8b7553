"""From DICOM to a report through the real scripts, on a tiny phantom."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
TINY = ["--config", str(ROOT / "configs" / "smoke.yaml"), "--engine.precision", "32-true"]
TRANSLATOR = "runs/train-disguise-mri-ct"


def command(script: str, *words: object) -> list[str]:
    return [sys.executable, str(ROOT / "scripts" / script), *map(str, words)]


def run(folder: Path, script: str, *words: object, status: int = 0) -> str:
    """Run a script as a user would; everything it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(script, *words), cwd=folder, capture_output=True, text=True, env=environment
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A working folder with a tiny phantom: half MRI, half CT, as DICOM."""
    folder = tmp_path_factory.mktemp("place")
    size = ["--size", 32, 40, 8]
    run(folder, "make_phantom.py", "--out", "phantom", "--patients", 16, *size, "--workers", 1)
    return folder


@pytest.fixture(scope="module")
def translator(place) -> str:
    """A finished training on two processes; what it printed."""
    devices = ["--engine.accelerator", "cpu", "--engine.devices", 2]
    words = ["--src", "mri", "--tgt", "ct", "--data", "phantom/data", *TINY, *devices]
    return run(place, "train_cyclegan.py", *words)


def test_index_lists_every_series_and_no_identity(place):
    printed = run(place, "index.py", "--data", "phantom/data")
    assert "16 scans of 16 patients, 0 problems" in printed
    table = (place / "runs/index-data/index.csv").read_text()
    assert table.count(",ct,") == table.count(",mri,") == 8
    # The table can be passed back, and says the same.
    again = run(place, "index.py", "--data", "runs/index-data/index.csv", "--run", "runs/again")
    assert "16 scans of 16 patients, 0 problems" in again


def test_two_processes_train_one_translator(place, translator):
    assert "next:" in translator
    manifest = json.loads((place / TRANSLATOR / "manifest.json").read_text())
    assert manifest["finished"]
    assert manifest["unit"] == "HU"
    assert manifest["config"]["src"] == "mri"
    assert (place / TRANSLATOR / "weights.pt").exists()


def test_a_finished_run_is_never_overwritten(place, translator):
    weights = place / TRANSLATOR / "weights.pt"
    before = weights.stat().st_mtime_ns
    words = ["--src", "mri", "--tgt", "ct", "--data", "phantom/data", *TINY]
    assert "finished already" in run(place, "train_cyclegan.py", *words)
    assert "steps: 4 -> 5" in run(place, "train_cyclegan.py", *words, "--steps", 5, status=2)
    assert weights.stat().st_mtime_ns == before


@pytest.mark.parametrize("file_format", ["nifti", "dicom"])
def test_translated_volumes_keep_the_geometry(place, translator, file_format):
    from medimg_gan.imaging import read_volumes

    out = f"translated-{file_format}"
    words = ["--run", TRANSLATOR, "--data", "phantom/data", "--out", out]
    printed = run(place, "translate.py", *words, "--format", file_format)
    assert "8 ct volumes" in printed
    sources, _ = read_volumes(place / "phantom/data/mri")
    volumes, problems = read_volumes(place / out)
    assert (len(volumes), problems) == (8, [])
    for volume in volumes:
        assert any(
            volume.array.shape == source.array.shape
            and np.allclose(volume.affine, source.affine, atol=1e-4)
            for source in sources
        )
        assert volume.array.min() >= -1024
        assert volume.array.max() <= 3071


def test_augment_goes_from_dicom_to_a_report(place):
    import jsonschema

    words = ["--minority-class", "tumor", "--data", "phantom/data", "--only", "mri", *TINY]
    words += ["--classifier-steps", 4, "--seeds", 1, "--features", "random"]
    printed = run(place, "augment.py", *words)
    folder = place / "runs/augment-tumor"
    report = json.loads((folder / "report.json").read_text())
    schema = json.loads((ROOT / "medimg_gan" / "report_schema.json").read_text())
    jsonschema.validate(report, schema)
    assert report["verdict"] in printed
    assert all(f"reason: {reason}\n" in printed for reason in report["reasons"])
    names = {arm["name"] for arm in report["arms"]}
    assert names >= {"real", "weighted", "classical", "synthetic"}
    assert (folder / "table.csv").exists()
    assert list((folder / "tensorboard").glob("events*"))
    digest = hashlib.sha256((folder / "split.csv").read_bytes()).hexdigest()
    assert report["splits"] == [{"file": "split.csv", "sha256": digest}]
    assert digest in (folder / "report.html").read_text()
    assert report["verdict"][:20] in (folder / "report.html").read_text()
    split = (folder / "split.csv").read_text().splitlines()[1:]
    assert len({line.split(",")[0] for line in split}) == len(split) == 8


@pytest.fixture(scope="module")
def gan(place) -> str:
    """The name of a finished class-conditional GAN on the phantom's MRI."""
    words = ["--data", "phantom/data", "--only", "mri", "--run", "runs/gan", *TINY]
    run(place, "train_gan.py", "--recipe", "cgan", *words)
    return "runs/gan"


@pytest.mark.parametrize(("file_format", "pattern"), [("nifti", "*.nii.gz"), ("png", "*.png")])
def test_synthetic_slices_are_written_with_their_labels(place, gan, file_format, pattern):
    out = f"synthetic-{file_format}"
    words = ["--run", gan, "--count", 5, "--label", "tumor", "--out", out, "--at", "position=0.4"]
    run(place, "synthesize.py", *words, "--format", file_format)
    assert len(list((place / out).glob(pattern))) == 5
    table = (place / out / "labels.csv").read_text().splitlines()
    assert all(row.endswith(",tumor,mri,yes,0.4") for row in table[1:])
    assert "finished already" in run(place, "synthesize.py", *words, "--format", file_format)
    assert "5 scans" in run(place, "index.py", "--data", out)


def test_an_unknown_class_lists_the_known_and_writes_nothing(place, gan):
    words = ["--run", gan, "--label", "tumour", "--out", "nothing"]
    assert "no-tumor, tumor" in run(place, "synthesize.py", *words, status=2)
    assert not (place / "nothing").exists()


def test_a_sample_is_the_same_for_equal_seeds_and_in_longer_sets(place, gan):
    from medimg_gan.synthesis import load_run

    generator = load_run(place / gan)
    few, many = generator.sample(3, "tumor", seed=5), generator.sample(70, "tumor", seed=5)
    np.testing.assert_allclose(many[:3], few, rtol=1e-4, atol=1e-2)
    assert not np.allclose(few, generator.sample(3, "tumor", seed=6))
    assert few.shape == (3, 1, 32, 32)
    assert generator.scale.low <= few.min() < few.max() <= generator.scale.high


def test_killed_at_any_moment_the_same_command_gives_the_same_weights(place):
    words = ["--recipe", "dcgan", "--data", "phantom/data", "--only", "mri", *TINY]
    words += ["--steps", 200, "--engine.checkpoint-minutes", 0.005]
    run(place, "train_gan.py", *words, "--run", "runs/undisturbed")
    killed = command("train_gan.py", *words, "--run", "runs/killed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(killed, cwd=place, env=environment, stdout=subprocess.DEVNULL)
    checkpoints = place / "runs/killed/checkpoints"
    give_up = time.monotonic() + 120
    while not list(checkpoints.glob("step_*.json")) and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (place / "runs/killed/weights.pt").exists(), "it ended before it could be killed"
    assert "continuing" in run(place, "train_gan.py", *words, "--run", "runs/killed")
    one, other = (
        torch.load(place / "runs" / name / "weights.pt", weights_only=True)
        for name in ("undisturbed", "killed")
    )
    assert _equal(one, other)


def _equal(one, other) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other

import json
import subprocess
import sys

import pytest

from medimg_gan import runs
from medimg_gan.errors import RunError

CONFIG = {"steps": 10, "seed": 0, "restart": False}


def test_a_run_begins_unfinished_and_is_found_again(tmp_path):
    run = runs.open_run(tmp_path / "a", "train", CONFIG)
    assert not run.finished
    run.note(scale=2)
    (tmp_path / "a" / "weights.pt").touch()
    assert not runs.open_run(tmp_path / "a", "train", CONFIG).finished
    run.finish(steps=10)
    again = runs.open_run(tmp_path / "a", "train", CONFIG)
    assert again.finished
    assert (again.manifest["scale"], again.manifest["steps"]) == (2, 10)


def test_a_run_that_did_no_work_is_begun_again(tmp_path):
    runs.open_run(tmp_path / "a", "train", CONFIG)
    assert (
        runs.open_run(tmp_path / "a", "train", {**CONFIG, "steps": 9}).manifest["config"]["steps"]
        == 9
    )
    (tmp_path / "a" / "checkpoints").mkdir()
    with pytest.raises(RunError, match="steps: 9 -> 10"):
        runs.open_run(tmp_path / "a", "train", CONFIG)


def test_other_settings_are_refused_by_name(tmp_path):
    runs.open_run(tmp_path / "a", "train", CONFIG).finish()
    with pytest.raises(RunError, match="steps: 10 -> 20"):
        runs.open_run(tmp_path / "a", "train", {**CONFIG, "steps": 20})


def test_restart_deletes_and_begins_again(tmp_path):
    runs.open_run(tmp_path / "a", "train", CONFIG).finish()
    (tmp_path / "a" / "old.txt").write_text("x")
    run = runs.open_run(tmp_path / "a", "train", {**CONFIG, "steps": 20}, restart=True)
    assert not run.finished
    assert not (tmp_path / "a" / "old.txt").exists()


def test_a_foreign_folder_is_never_touched(tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(RunError, match="not made by"):
        runs.open_run(tmp_path, "train", CONFIG, restart=True)
    assert (tmp_path / "thesis.docx").exists()


def test_another_verbs_folder_is_never_touched(tmp_path):
    runs.open_run(tmp_path / "a", "train", CONFIG).finish()
    with pytest.raises(RunError, match="another verb"):
        runs.open_run(tmp_path / "a", "translate", CONFIG, restart=True)


def test_the_manifest_notes_what_a_repetition_needs(tmp_path):
    found = runs.open_run(tmp_path / "a", "train", CONFIG).manifest
    assert found["config"] == CONFIG
    assert found["environment"]["versions"].keys() >= {"torch", "monai"}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    runs.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        runs.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "manifest.json").write_text('{"verb": "tr')
    with pytest.raises(RunError, match=r"manifest\.json"):
        runs.open_run(tmp_path, "train", CONFIG)


def test_a_folder_in_use_is_left_alone(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from medimg_gan import runs\n"
        "runs.open_run(Path(sys.argv[1]), 'train', {})\n"
        "print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="in use"):
            runs.open_run(tmp_path / "a", "train", {})
    finally:
        other.kill()
        other.wait()
    assert not runs.open_run(tmp_path / "a", "train", {}).finished


def test_a_moved_run_is_found_and_another_input_is_not(tmp_path):
    mine = {**CONFIG, "run": str(tmp_path / "a")}
    runs.open_run(tmp_path / "a", "train", mine).finish()
    (tmp_path / "a").rename(tmp_path / "b")
    moved = {**CONFIG, "run": str(tmp_path / "b")}
    assert runs.open_run(tmp_path / "b", "train", moved).finished
    runs.open_run(tmp_path / "out", "synthesize", {"run": "runs/one"}).finish()
    with pytest.raises(RunError, match="run: runs/one -> runs/two"):
        runs.open_run(tmp_path / "out", "synthesize", {"run": "runs/two"})


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(RunError, match="is a file"):
        runs.open_run(tmp_path / "a", "train", CONFIG)

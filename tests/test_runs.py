import json

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

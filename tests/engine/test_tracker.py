import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy_gan import FABRIC, Signalling, toy_engine

from medimg_gan.engine.observer import Averages, Speed
from medimg_gan.engine.rows import forget_after
from medimg_gan.engine.tracker import Tracker, grid
from medimg_gan.errors import RunError


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_averages_are_means_since_the_last_time():
    averages = Averages()
    averages.note({"b": torch.tensor(1.0), "a": torch.tensor(4)})
    averages.note({"b": torch.tensor(2.0, dtype=torch.bfloat16)})
    found = averages.take()
    assert list(found) == ["a", "b"]
    assert found["b"].item() == 1.5
    assert averages.take() == {}


def test_speed_leaves_out_what_is_not_training(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("medimg_gan.engine.observer.time.monotonic", lambda: now[0])
    speed = Speed()
    now[0] = 110.0
    speed.leave_out(6.0)
    assert speed.take(8) == pytest.approx(2.0)  # 8 steps in 4 seconds
    now[0] = 120.0
    assert speed.take(13) == pytest.approx(0.5)


def test_a_training_leaves_figures_pictures_and_tensorboard(tmp_path):
    settings = replace(FABRIC, log_every=2, preview_every=4)
    toy_engine(tmp_path, steps=5, settings=settings).fit()
    assert [row["step"] for row in rows(tmp_path)] == [2, 4, 5]
    expected = {
        "loss/critic", "loss/generator", "critic/real", "gradient_norm/critic",
        "gradient_norm/generator", "learning_rate/critic", "speed/images_per_second",
        "scores/critic_real", "scores/critic_fake", "scores/critic_real_held_out", "weights/norm",
    }  # fmt: skip
    assert expected <= rows(tmp_path)[0].keys()
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == [
        "step_000004.png", "step_000005.png",
    ]  # fmt: skip
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss/generator")] == [2, 4, 5]
    assert [event.step for event in board.Images("preview/samples")] == [4, 5]
    text = board.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| recipe.learning_rate | 0.01 |" in text


def test_no_step_is_written_twice_after_a_resume(tmp_path):
    settings = replace(FABRIC, log_every=1)
    with pytest.raises(KeyboardInterrupt):
        toy_engine(tmp_path, settings=settings, stream=Signalling(at=12)).fit()
    stopped_at = rows(tmp_path)[-1]["step"]
    with (tmp_path / "metrics.jsonl").open("a") as file:  # a step after the checkpoint, then a kill
        file.write(json.dumps({"step": stopped_at + 1, "loss/critic": 9.0}) + '\n{"step": 7')
    toy_engine(tmp_path, settings=settings).fit()
    assert [row["step"] for row in rows(tmp_path)] == list(range(1, 13))
    assert all(row["loss/critic"] != 9.0 for row in rows(tmp_path))
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss/critic")] == list(range(1, 13))


def test_rows_after_a_step_are_forgotten(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 3}\n{"ste')
    forget_after(path, 2)
    assert path.read_text() == '{"step": 1}\n'
    forget_after(tmp_path / "absent", 2)


def test_a_value_that_is_not_finite_is_null(tmp_path):
    tracker = Tracker(tmp_path, 0, {})
    tracker.figures(1, {"a": math.nan, "b": 0.123456789})
    tracker.close()
    assert rows(tmp_path) == [{"step": 1, "a": None, "b": 0.123457}]


def test_a_full_disk_is_an_error_with_a_remedy(tmp_path, monkeypatch):
    tracker = Tracker(tmp_path, 0, {})
    monkeypatch.setattr(tracker, "file", Path("/dev/full").open("w"))  # noqa: SIM115
    with pytest.raises(RunError, match="No space left"):
        tracker.figures(1, {"a": 1.0})


def test_a_grid_shows_the_middle_slice_in_rows():
    images = torch.full((5, 3, 4, 4), -1.0)
    images[1, 1] = 1.0  # the second image's middle channel
    picture = grid(images, columns=3)
    assert picture.shape == (3, 2 * 6 + 2, 3 * 6 + 2)
    assert picture[:, 2:6, 8:12].min() == 1.0
    assert picture.sum() == 3 * 16


def test_stacks_of_a_translation_stand_under_each_other(tmp_path):
    tracker = Tracker(tmp_path, 0, {})
    stack = torch.zeros(2, 1, 4, 4)
    path = tracker.pictures(500, {"source": stack - 1, "translated": stack, "back": stack + 1})
    tracker.close()
    assert path.name == "step_000500.png"
    picture = np.asarray(Image.open(path))[..., 0]
    centres = picture[4::8, 4]  # three grids of one row each, 8 pixels high
    assert centres.tolist() == [0, 128, 255]

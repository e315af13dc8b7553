"""Exact copies: refused across a given split, else kept together or once."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medimg_gan.apps import augment
from medimg_gan.data.prepare import prepare
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.split_file import read_split
from medimg_gan.errors import SplitError

COPIES = 216


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 32), dtype=np.uint8))


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    """Training and Testing folders by class, with 216 training pictures in the test part too."""
    folder = tmp_path_factory.mktemp("kaggle")
    for number in range(260):
        label = ("glioma", "tumor")[number % 2]
        for part in ("Training", *(["Testing"] if number < COPIES else [])):
            (folder / part / label).mkdir(parents=True, exist_ok=True)
            picture(number).save(folder / part / label / f"{part}{number}.png")
    for number in range(10):
        picture(1000 + number).save(folder / "Testing" / "tumor" / f"new{number}.png")
    return DataConfig(data=folder, cache=folder.parent / "cache", workers=1)


def test_216_copies_in_the_test_folder_stop_the_study(leaking, tmp_path):
    config = augment.Config(
        minority_class="tumor", source=leaking, steps=2, size=32, run=tmp_path / "run"
    )
    with pytest.raises(SplitError, match="216 of 226 test slices are exact copies of train") as e:
        augment.main(config)
    assert "Testing/glioma/Testing0.png = Training/glioma/Training0.png" in str(e.value)
    assert "--drop-duplicates" in e.value.fix
    assert not (tmp_path / "run" / "gan").exists(), "refused before anything is trained"


def test_dropping_duplicates_keeps_the_test_copies(leaking, tmp_path, capsys):
    settings = replace(leaking, drop_duplicates=True)
    counts = prepare(settings, (), size=32, seed=0, folder=tmp_path / "run").counts()
    assert counts["test"]["patients"] == 226
    assert counts["train"]["patients"] + counts["val"]["patients"] == 260 - COPIES
    assert "216 slices that are exact copies of others (216 train)" in capsys.readouterr().out


@pytest.fixture
def copied(class_folder, tmp_path):
    """Without a split: cat/0 three times, and dog/1 under both labels."""
    for name in ("cat/a.png", "cat/b.png"):
        (class_folder / name).write_bytes((class_folder / "cat/0.png").read_bytes())
    (class_folder / "cat/c.png").write_bytes((class_folder / "dog/1.png").read_bytes())
    return DataConfig(data=class_folder, cache=tmp_path / "cache")


def test_files_that_share_a_picture_stay_together(copied, tmp_path, capsys):
    splits = set()
    for seed in range(5):
        rows = prepare(copied, (), size=32, seed=seed, folder=tmp_path / str(seed)).cache.rows
        groups = rows.groupby("patient")
        assert sorted(groups.size().tolist())[-2:] == [2, 3], "the copies are one patient"
        assert (groups["split"].nunique() == 1).all()
        splits.add(tuple(rows["split"]))
    assert len(splits) > 1
    said = capsys.readouterr().out
    assert "5 patients (or files) that share some count as 2" in said
    assert "2 slices are exact copies of slices with another label" in said


def test_who_shares_a_picture_with_a_training_patient_was_trained_on(copied, tmp_path):
    first = prepare(copied, (), size=32, seed=0, folder=tmp_path / "run")
    saved = read_split(tmp_path / "run/split.csv")
    rows = first.cache.rows[first.cache.rows["split"] != ""]
    assert len(saved) == len(rows), "every file's own name is there, also of those that were joined"
    joined = sorted(set(saved) - set(rows["patient"]))
    assert len(joined) == 3, "two of three copies, and one of two"
    for name in joined:  # whom alone an earlier run knew
        for part in ("train", "val"):
            place = tmp_path / name / part
            again = prepare(copied, (), size=32, seed=0, folder=place, dealt={name: part})
            known = again.cache.rows[again.cache.rows["split"] == part]
            assert known["patient"].nunique() == 1
            assert len(known) == (rows["patient"] == known["patient"].iloc[0]).sum() > 1
            assert (again.cache.rows["split"] == "test").sum() == len(rows) - len(known)


def test_a_picture_with_two_labels_is_dropped_altogether(copied, tmp_path):
    settings = replace(copied, drop_duplicates=True)
    counts = prepare(settings, (), size=32, seed=0, folder=tmp_path / "run").counts()
    assert sum(part["cat"] for part in counts.values()) == 12
    assert sum(part["dog"] for part in counts.values()) == 5


def test_blank_pictures_are_no_copies(class_folder, tmp_path, capsys):
    for number in range(3):
        grey = np.full((32, 32), 200, dtype=np.uint8)
        Image.fromarray(grey).save(class_folder / "cat" / f"blank{number}.png")
    settings = DataConfig(data=class_folder, cache=tmp_path / "cache")
    rows = prepare(settings, (), size=32, seed=0, folder=tmp_path / "run").cache.rows
    assert rows["patient"].nunique() == len(rows)
    assert "copies" not in capsys.readouterr().out

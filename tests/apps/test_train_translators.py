"""train-cyclegan as a user calls it: sequences as channels, 2.5D, pairs, matched sampling."""

import json
from typing import get_args, get_type_hints

import nibabel
import numpy as np
import pytest

from medimg_gan import config
from medimg_gan.apps import cli
from medimg_gan.apps.train_cyclegan import Config
from medimg_gan.recipes import RECIPES, TranslationRecipe
from medimg_gan.recipes.cyclegan import CycleGan
from medimg_gan.synthesis import Translator, load_run

TINY = ["--size", "32", "--batch-size", "2", "--steps", "2", "--engine.precision", "32-true"]
TINY += ["--set", "width=4"]
FILES = sorted(config.config_folder().glob("train-cyclegan-*.yaml"))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Five patients with T1, T2 and CT of five slices."""
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), ["path,patient,modality,sequence"]
    for patient in range(5):
        for kind, modality in (("t1", "mri"), ("t2", "mri"), ("ct", "ct")):
            values = rng.uniform(0, 200, (16, 16, 5)).astype(np.float32)
            path = tmp_path / "data" / kind / f"P{patient}.nii"
            path.parent.mkdir(parents=True, exist_ok=True)
            values = values - 1000 * (kind == "ct")
            nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 5, 1])), path)
            sequence = "" if kind == "ct" else kind
            rows.append(f"{kind}/P{patient}.nii,P{patient},{modality},{sequence}")
    (tmp_path / "data/index.csv").write_text("\n".join(rows))
    return tmp_path


class Paired(CycleGan):
    """Stands for any recipe of pairs: refuses a batch whose sides are not of one slice."""

    paired = True


def train(*words: str) -> None:
    cli.run("train-cyclegan", ["--data", "data", *TINY, *words])


def parse(*words: str) -> Config:
    words = [*words, "--src", "mri", "--tgt", "ct"]
    return config.load(Config, words, prog="train_cyclegan.py", default_yaml="train-cyclegan.yaml")


@pytest.mark.parametrize("words", [(), ("--config", str(config.config_folder() / "smoke.yaml"))])
def test_the_default_learns_from_disguises(words):
    assert parse(*words).recipe == "disguise"
    assert parse(*words, "--recipe", "cyclegan").recipe == "cyclegan"


@pytest.mark.parametrize(
    ("words", "recipe", "adjacent"),
    [([], "disguise", 3), (["--recipe", "cyclegan"], "cyclegan", 1)],
    ids=["default", "faithful"],
)
def test_a_run_is_named_by_its_recipe_which_chooses_the_neighbours(
    place, capsys, words, recipe, adjacent
):
    train("--src", "t1", "--tgt", "ct", *words)
    folder = f"runs/train-{recipe}-t1-ct"
    facts = json.loads((place / folder / "manifest.json").read_text())
    assert (facts["finished"], facts["recipe"], facts["adjacent"]) == (True, recipe, adjacent)
    assert f"translate.py --run {folder} " in capsys.readouterr().out


def test_single_pictures_have_no_neighbours_unless_somebody_insists(place, capsys):
    for volume in place.glob("data/*/*.nii"):
        image = nibabel.load(volume)
        nibabel.save(image.slicer[..., 2:3], volume)
    train("--src", "t1", "--tgt", "ct")
    facts = json.loads((place / "runs/train-disguise-t1-ct/manifest.json").read_text())
    assert (facts["finished"], facts["adjacent"]) == (True, 1)
    with pytest.raises(SystemExit):
        train("--src", "t1", "--tgt", "ct", "--adjacent", "3", "--run", "runs/insisted")
    assert "--adjacent 3: t1 scans of the train part are single slices" in capsys.readouterr().err


def test_two_sequences_and_their_neighbours_are_the_channels_that_the_manifest_tells(place):
    train("--src", "t1+t2", "--tgt", "ct", "--adjacent", "3")
    facts = json.loads((place / "runs/train-disguise-t1+t2-ct/manifest.json").read_text())
    assert facts["finished"]
    assert (facts["spec"]["source_channels"], facts["spec"]["channels"]) == (6, 3)
    assert facts["spec"]["dark_bone"]
    told = {
        "source": "t1+t2", "target": "ct", "sources": ["t1", "t2"], "adjacent": 3,
        "source_modality": "mri", "target_modality": "ct", "balance_prior": "position",
        "paired": False, "unit": "HU",
    }  # fmt: skip
    assert {name: facts[name] for name in told} == told


def test_a_run_between_sequences_is_loaded_with_their_modality(place):
    train("--src", "t1", "--tgt", "t2", "--balance-prior", "none")
    translator = load_run("runs/train-disguise-t1-t2")
    assert isinstance(translator, Translator)
    assert (translator.source, translator.target) == ("mri", "mri")
    facts = json.loads((place / "runs/train-disguise-t1-t2/manifest.json").read_text())
    assert not facts["spec"]["dark_bone"]


@pytest.mark.parametrize(
    ("words", "dark"),
    [
        (["--src", "t1", "--tgt", "ct", "--transform.window", "-1000,1500"], True),  # wide
        (["--src", "t1", "--tgt", "ct", "--transform.window", "full"], False),  # other HU
        (["--src", "ct", "--tgt", "t1"], False),
    ],
)
def test_bone_is_dark_in_disguises_of_ct_as_mr_in_the_wide_window(place, words, dark):
    train(*words, "--run", "runs/it")
    facts = json.loads((place / "runs/it/manifest.json").read_text())
    assert facts["spec"]["dark_bone"] is dark


def test_a_paired_recipe_trains_on_pairs_and_on_nothing_else(place, monkeypatch, capsys):
    monkeypatch.setitem(RECIPES, "cyclegan", Paired)
    paired = ["--src", "t1", "--tgt", "ct", "--recipe", "cyclegan"]
    train(*paired)
    facts = json.loads((place / "runs/train-cyclegan-t1-ct/manifest.json").read_text())
    assert (facts["paired"], facts["balance_prior"]) == (True, "none")
    for words, expected in (
        (["--balance-prior", "label"], "learns from pairs"),
        (["--truth", "data/t1"], "no ct scans"),
    ):
        with pytest.raises(SystemExit):
            train(*paired, *words, "--run", f"runs/{expected[:2]}")
        assert expected in capsys.readouterr().err


def test_a_typo_on_a_finished_run_is_told_as_a_typo(place, capsys):
    train("--src", "t1", "--tgt", "t2")
    for words, expected in ((["--set", "widht=4"], "--set width=4"), (["--seed", "9"], "seed: 0")):
        with pytest.raises(SystemExit):
            train("--src", "t1", "--tgt", "t2", *words)
        assert expected in capsys.readouterr().err


def test_what_cannot_be_matched_is_refused(place, capsys):
    for words, expected in (
        (["--balance-prior", "label"], "no labels to balance by"),
        (["--truth", "data"], "must not see the answers"),
    ):
        with pytest.raises(SystemExit):
            train("--src", "t1", "--tgt", "ct", *words, "--run", f"runs/{words[0][2:]}")
        assert expected in capsys.readouterr().err


def test_the_flag_offers_every_translation_recipe():
    offered = set(get_args(get_type_hints(Config)["recipe"]))
    assert offered == {
        name for name, kind in RECIPES.items() if issubclass(kind, TranslationRecipe)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_asks_for_the_recipe_in_its_name(path):
    asked = parse("--config", str(path))
    assert asked.recipe == path.stem.removeprefix("train-cyclegan-")
    assert asked.steps

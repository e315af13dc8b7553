"""Every noise recipe can be asked for by name, and by its YAML where it has one."""

import dataclasses
import typing

import pytest

from medimg_gan import config
from medimg_gan.apps.train_gan import Config
from medimg_gan.recipes import RECIPES, NoiseRecipe

OFFERED = typing.get_args(typing.get_type_hints(Config)["recipe"])
FILES = sorted(config.config_folder().glob("train-gan-*.yaml"))


def test_the_flag_offers_every_noise_recipe():
    assert set(OFFERED) == {name for name, kind in RECIPES.items() if issubclass(kind, NoiseRecipe)}


def test_there_are_files():
    assert {"train-gan-fastgan.yaml", "train-gan-vae.yaml"} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_asks_for_the_recipe_in_its_name(path):
    asked = config.load(
        Config, ["--config", str(path)], prog="train_gan.py", default_yaml="train-gan.yaml"
    )
    assert asked.recipe == path.stem.removeprefix("train-gan-")
    assert asked.steps
    assert dataclasses.replace(asked, size=512).size == 512

"""The reader's choices, as flags and as YAML."""

from __future__ import annotations

import pytest

from medimg_gan import config
from medimg_gan.apps.index import Config
from medimg_gan.errors import ConfigError
from medimg_gan.read_options import ReadOptions


def options(*words: str) -> ReadOptions:
    return config.load(
        Config, list(words), prog="index", default_yaml="no.yaml"
    ).source.read_options


def test_flags_reach_the_reader():
    assert options() == ReadOptions()
    words = "--data.on-gap split --data.on-tilt keep --data.volume all"
    chosen = options(*words.split(), "--data.philips-scaling", "display")
    assert chosen == ReadOptions("split", "keep", "all", "display")
    assert options("--data.volume", "3").volume == 3


def test_yaml_says_the_same(tmp_path):
    path = tmp_path / "reader.yaml"
    path.write_text(f"data: {tmp_path}\ndata.on-gap: resample\ndata.volume: 2\ndata.strict: true\n")
    loaded = config.load(Config, ["--config", str(path)], prog="index", default_yaml="no.yaml")
    assert loaded.source.read_options == ReadOptions(on_gap="resample", volume=2)
    assert loaded.source.strict


@pytest.mark.parametrize("word", ["--strict", "--data.strict"])
def test_strictness_has_two_spellings(word):
    loaded = config.load(Config, [word], prog="index", default_yaml="no.yaml")
    assert loaded.source.strict


def test_a_volume_before_the_first_is_refused():
    with pytest.raises(ConfigError, match="counted from 0"):
        options("--data.volume", "-1")


@pytest.mark.parametrize("wrong", [{"on_gap": "splt"}, {"on_tilt": "x"}, {"volume": "x"}])
def test_unknown_choices_are_refused_from_python_too(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ReadOptions(**wrong)

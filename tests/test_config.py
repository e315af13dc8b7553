import dataclasses
import typing
from pathlib import Path

import pytest

from medimg_gan import config
from medimg_gan.apps.options import parse_options
from medimg_gan.apps.train_gan import Config
from medimg_gan.errors import ConfigError
from medimg_gan.recipes import RECIPES, TranslationRecipe
from medimg_gan.recipes.cgan import CganConfig
from medimg_gan.recipes.cyclegan import CycleGanConfig


@dataclasses.dataclass(frozen=True)
class Engine:
    devices: int = 1


@dataclasses.dataclass(frozen=True)
class App:
    """An app."""

    src: str
    tgt: str
    steps: int = 10
    restart: bool = False
    ratios: tuple[float, ...] = (1.0,)
    minutes: float | None = None
    engine: Engine = dataclasses.field(default_factory=Engine)


def load(words: str, path: Path | None = None) -> App:
    words = f"{words} --config {path}" if path else words
    return config.load(App, words.split(), prog="app", default_yaml="not-there.yaml")


@pytest.fixture
def yaml(tmp_path: Path) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text("src: mri\nsteps: 20\nratios: [0.5, 2]\nrestart: true\nengine: {devices: 2}\n")
    return path


def test_a_required_field_may_come_from_yaml_or_flags(yaml):
    assert load("--tgt ct", yaml) == App("mri", "ct", 20, True, (0.5, 2.0), None, Engine(2))


def test_flags_go_before_yaml_and_yaml_before_defaults(yaml):
    merged = load("--tgt ct --src xray --engine.devices 3 --no-restart", yaml)
    assert (merged.src, merged.steps, merged.engine.devices) == ("xray", 20, 3)
    assert merged.restart is False


def test_a_field_required_by_neither_is_asked_for(yaml, capsys):
    with pytest.raises(SystemExit) as stop:
        load("", yaml)
    assert stop.value.code == 2
    assert "--tgt" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["steps: many", "stepz: 3", "engine: {device: 1}"])
def test_a_mistake_in_yaml_names_the_file(tmp_path, line, capsys):
    path = tmp_path / "wrong.yaml"
    path.write_text(line)
    with pytest.raises(SystemExit) as stop:
        load("--src mri --tgt ct", path)
    assert stop.value.code == 2
    assert "wrong.yaml" in capsys.readouterr().err.replace("\n", "")


def test_help_shows_the_yaml_values(yaml, capsys):
    with pytest.raises(SystemExit) as stop:
        load("--help", yaml)
    assert stop.value.code == 0
    assert "(default: 20)" in capsys.readouterr().out


def test_dashes_and_underscores_are_the_same():
    assert load("--src a --tgt b --engine.devices 4").engine.devices == 4


@pytest.mark.parametrize(("text", "what"), [("- a\n- b", "list"), ("a: [", "YAML")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, what):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=what):
        load("--src a --tgt b", path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load("--src a --tgt b", tmp_path / "gone.yaml")


def test_as_dict_is_plain_json():
    assert config.as_dict(App("a", "b", ratios=(1.0,)))["ratios"] == [1.0]


def test_flags_say_what_differs_from_the_defaults_and_give_it_back():
    words = "--data . --mask {patient}/*.nii --strict --data.volume all --size 32 --minutes 2.5"
    words += " --transform.spacing 1 1 2 --engine.watch-every 7 --condition position age"
    words += " --set width=8 gamma=0.1 --tune-gamma"

    def parsed(*argv: str) -> Config:
        return config.load(Config, [*argv], prog="train-gan", default_yaml="train-gan.yaml")

    made = parsed(*words.split())
    flags = config.flags_of(made, parsed())
    assert parsed(*flags) == made
    assert {word for word in flags if word.startswith("--")} == {
        "--data", "--mask", "--data.strict", "--data.volume", "--size", "--minutes", "--set",
        "--transform.spacing", "--engine.watch-every", "--condition", "--tune-gamma",
    }  # fmt: skip
    assert config.flags_of(parsed(), parsed()) == []
    back = config.flags_of(parsed(), made)
    assert "--no-tune-gamma" in back
    assert "--data.no-strict" in back


def test_an_unknown_setting_lists_the_known_and_the_nearest():
    with pytest.raises(ConfigError) as refused:
        parse_options(CycleGanConfig, ("widht=8",), "cyclegan")
    assert "--set width=8" in str(refused.value)
    assert "cycle_weight" in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "kind"),
    [("width=abc", "a whole number"), ("gamma=", "a number"), ("loss=hing", "least-squares")],
)
def test_a_value_of_another_kind_is_refused_with_what_the_setting_takes(setting, kind, capfd):
    with pytest.raises(ConfigError) as refused:
        parse_options(CganConfig, ("latent=8", setting), "cgan")
    assert f"--set {setting}: not a value" in str(refused.value)
    assert kind in str(refused.value)
    assert capfd.readouterr() == ("", "")  # one message, which the caller prints


def test_settings_that_need_each_other_are_read_together():
    words = ("loss=wasserstein", "gamma=0", "spectral-norm=True")  # the first two alone: refused
    assert parse_options(CganConfig, words, "cgan").loss == "wasserstein"
    with pytest.raises(ConfigError, match="slope"):
        parse_options(CganConfig, words[:2], "cgan")


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_setting_says_in_words_what_it_takes(recipe):
    kind = RECIPES[recipe].Config
    for setting in dataclasses.fields(kind):
        if typing.get_type_hints(kind)[setting.name] is not str:
            with pytest.raises(ConfigError, match=r"takes (a|one of|True)") as refused:
                parse_options(kind, (f"{setting.name}=what",), recipe)
            assert "class" not in str(refused.value)


BAD = {"width": "0", "learning_rate": "-1", "augment": "2", "body_threshold": "-1.5",
       "temperature": "0", "patches": "1"}  # fmt: skip


@pytest.mark.parametrize(
    ("recipe", "setting"),
    [
        (name, one.name)
        for name, recipe in RECIPES.items()
        if issubclass(recipe, TranslationRecipe)
        for one in dataclasses.fields(recipe.Config)
    ],
)
def test_a_setting_that_no_translator_could_follow_is_refused(recipe, setting):
    value = "-1" if setting.endswith("_weight") else BAD[setting]
    with pytest.raises(ConfigError, match=f"--set {setting}={value}: "):
        parse_options(RECIPES[recipe].Config, (f"{setting}={value}",), recipe)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_no_setting_is_without_end(recipe, value):
    for setting in dataclasses.fields(RECIPES[recipe].Config):
        if typing.get_type_hints(RECIPES[recipe].Config)[setting.name] is float:
            with pytest.raises(ConfigError):
                parse_options(RECIPES[recipe].Config, (f"{setting.name}={value}",), recipe)

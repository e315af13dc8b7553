"""From a dataclass, a YAML file and the command line to one frozen configuration.

Precedence: dataclass default < YAML < flags. The YAML is read *as flags*, so an unknown key or a
wrong type in it gets the same clear answer as on the command line, with the file's name.
"""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any, TypeVar

import tyro
import yaml

from medimg_gan.errors import ConfigError

ConfigT = TypeVar("ConfigT")

YAML_SETTINGS = (tyro.conf.FlagConversionOff,)
"""Read from YAML, a boolean is a flag with a value; typed, it is a bare ``--restart``."""

NOT_GIVEN = "<required>"
"""Stands in for a required field while only the YAML is parsed."""


def config_folder() -> Path:
    """Where the YAML files live: inside an installed package, else at the top of the checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def load(config: type[ConfigT], argv: list[str], *, prog: str, default_yaml: str) -> ConfigT:
    """Parse flags over YAML over the defaults of ``config``.

    Args:
        config: A frozen dataclass; nested dataclasses become ``--outer.inner`` flags.
        argv: The command line without the program's name. ``--config FILE.yaml`` replaces
            ``default_yaml``.
        prog: Name shown in ``--help``.
        default_yaml: File of the configs folder that the app loads by itself, if it is there.

    Raises:
        ConfigError: If the YAML file is missing or not a mapping.
        SystemExit: With status 2 on a wrong flag or YAML key; tyro says which.
    """
    argv, chosen = _take_config_flag(argv)
    path = Path(chosen) if chosen else config_folder() / default_yaml
    if not chosen and not path.exists():
        return tyro.cli(config, args=argv, prog=prog)
    from_yaml = _parse_yaml(config, path)
    return tyro.cli(config, args=argv, prog=prog, default=from_yaml)


def as_dict(config: Any) -> dict[str, Any]:
    """A resolved configuration as plain JSON values."""
    plain = {}
    for key, value in dataclasses.asdict(config).items():
        plain[key] = _plain(value)
    return plain


def flags_of(config: Any, base: Any, prefix: str = "--") -> list[str]:
    """The words that :func:`load` makes ``config`` of, where ``base`` is what it makes of none.

    Args:
        config: Resolved.
        base: Of the same class.
        prefix: What flags begin with; of a nested dataclass its own name as well.
    """
    words: list[str] = []
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value, usual = getattr(config, field.name), getattr(base, field.name)
        # A field may carry a name of its own (tyro.conf.arg); the empty one stands for no prefix.
        marks = [
            getattr(mark, "name", None) for mark in getattr(hints[field.name], "__metadata__", ())
        ]
        name = next((mark for mark in marks if mark is not None), field.name.replace("_", "-"))
        if dataclasses.is_dataclass(value):
            words += flags_of(value, usual, f"{prefix}{name}." if name else prefix)
        elif isinstance(value, bool) and value != usual:
            outer, dot, inner = name.rpartition(".")
            words += [
                f"{prefix}{outer}{dot}{inner}" if value else f"{prefix}{outer}{dot}no-{inner}"
            ]
        elif value != usual:
            words += [f"{prefix}{name}", *map(str, value if isinstance(value, tuple) else [value])]
    return words


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _take_config_flag(argv: list[str]) -> tuple[list[str], str | None]:
    """Split ``--config FILE`` or ``--config=FILE`` off the command line."""
    rest, chosen = [], None
    words = iter(argv)
    for word in words:
        if word == "--config":
            chosen = next(words, None)
            if chosen is None:
                raise ConfigError("--config needs a file", fix="--config my.yaml")
        elif word.startswith("--config="):
            chosen = word.removeprefix("--config=")
        else:
            rest.append(word)
    return rest, chosen


def _parse_yaml(config: type[ConfigT], path: Path) -> ConfigT:
    """The dataclass with the YAML's values; required fields that it lacks stay required."""
    required = [
        field.name
        for field in dataclasses.fields(config)  # type: ignore[arg-type]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    hints = typing.get_type_hints(config)
    blank = config(
        **{name: Path(NOT_GIVEN) if hints[name] is Path else NOT_GIVEN for name in required}
    )
    parsed = tyro.cli(
        config, args=_tokens(_read(path)), prog=str(path), default=blank, config=YAML_SETTINGS
    )
    open_fields = {
        name: tyro.MISSING for name in required if str(getattr(parsed, name)) == NOT_GIVEN
    }
    return dataclasses.replace(parsed, **open_fields)  # type: ignore[type-var]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read", observed=error.strerror or str(error)
        ) from error
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"{path}: not valid YAML", observed=where) from error
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path}: expected keys and values",
            observed=f"found a {type(content).__name__}",
            fix="write one 'flag: value' per line, for example 'steps: 2000'",
        )
    return content


def _tokens(content: dict[str, Any], prefix: str = "--") -> list[str]:
    """Flatten nested keys into flags: ``{"engine": {"devices": 2}}`` -> ``--engine.devices 2``."""
    tokens: list[str] = []
    for key, value in content.items():
        if isinstance(value, dict):
            tokens += _tokens(value, prefix=f"{prefix}{key}.")
        elif isinstance(value, list):
            tokens += [f"{prefix}{key}", *map(str, value)]
        else:
            tokens += [f"{prefix}{key}", str(value)]
    return tokens

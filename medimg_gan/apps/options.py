"""Flags that hold several settings: ``--set name=value``, ``--condition position age`` ..."""

from __future__ import annotations

import difflib
import io
import math
from contextlib import redirect_stderr
from dataclasses import fields
from itertools import chain
from typing import TYPE_CHECKING, TypeVar, get_args, get_type_hints

import tyro

from medimg_gan.data.settings import AUTO
from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import DataclassInstance

OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


def parse_options(options: type[OptionsT], settings: tuple[str, ...], recipe: str) -> OptionsT:
    """``--set name=value ...`` over a recipe's defaults.

    Raises:
        ConfigError: If a setting is not of the form name=value, unknown, stands twice, or has a
            value that it cannot have, such as a number that is not finite.
    """
    words: dict[str, list[str]] = {}
    known = [one.name for one in fields(options)]
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise ConfigError(f"--set {setting!r}: expected name=value", fix="--set width=64")
        if name.replace("-", "_") not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"--set {setting}: {recipe} has no setting of that name",
                observed=f"it has {', '.join(known)}",
                fix=f"--set {near[0]}={value}" if near else "one of these",
            )
        if name in words:
            raise ConfigError(f"--set: {name} stands twice", observed=" ".join(settings))
        words[name] = [f"--{name}", *value.split(",")]
    try:
        found = _read(options, chain.from_iterable(words.values()))
    except SystemExit as error:
        wrong = next(name for name, one in words.items() if not _is_read(options, one))
        raise ConfigError(
            f"--set {wrong}={','.join(words[wrong][1:])}: not a value of that setting",
            observed=f"{recipe} takes {_kind_of(options, wrong)}",
        ) from error
    for name in known:
        value = getattr(found, name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"--set {name}={value}: must be finite")
    return found


def _read(options: type[OptionsT], words: Iterable[str]) -> OptionsT:
    with redirect_stderr(io.StringIO()):  # tyro's own words name a command that is none
        return tyro.cli(options, args=[*words], config=(tyro.conf.FlagConversionOff,))


def _is_read(options: type[DataclassInstance], words: list[str]) -> bool:
    """Whether a setting's words are of its type; what does not go together is another matter."""
    try:
        _read(options, words)
    except SystemExit:
        return False
    except ConfigError:  # of the options themselves, which may need other settings
        return True
    return True


def _kind_of(options: type[DataclassInstance], name: str) -> str:
    """The values of a setting, in words."""
    kind = get_type_hints(options)[name.replace("-", "_")]
    if choices := get_args(kind):
        return f"one of {', '.join(map(str, choices))}"
    return {int: "a whole number", float: "a number", bool: "True or False"}.get(kind, str(kind))


def check_settings(recipe: str, settings: tuple[str, ...]) -> None:
    """Refuse a wrong ``--set``; imports the recipes.

    Raises:
        ConfigError: As :func:`parse_options`.
    """
    from medimg_gan.recipes import RECIPES

    parse_options(RECIPES[recipe].Config, settings, recipe)


def named_numbers(flag: str, settings: tuple[str, ...], example: str) -> dict[str, float]:
    """``name=number ...`` of a flag, by name in lower case.

    Args:
        flag: For messages.
        settings: As typed.
        example: Shown as the remedy.

    Raises:
        ConfigError: If one is of another form, is no finite number, or is named twice.
    """
    found: dict[str, float] = {}
    for setting in settings:
        name, separator, value = (part.strip().lower() for part in setting.partition("="))
        if not (separator and name and value):
            raise ConfigError(f"{flag} {setting!r}: expected name=value", fix=f"{flag} {example}")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ConfigError(f"{flag} {setting}: {value!r} is no number", fix=f"{flag} {example}")
        if name in found:
            raise ConfigError(f"{flag}: {name} stands twice", observed=" ".join(settings))
        found[name] = number
    return found


def condition_for(names: tuple[str, ...], recipe: str, *, conditional: bool) -> tuple[str, ...]:
    """``--condition`` as :func:`medimg_gan.data.prepare.prepare` takes it.

    Args:
        names: As typed.
        recipe: Its name, for the message.
        conditional: Whether it can make what it is asked for.

    Raises:
        ConfigError: If it cannot, or a name stands beside auto or none.
    """
    names = tuple(dict.fromkeys(name.strip().lower() for name in names))
    if names == ("none",):
        return ()
    if len(names) > 1 and not {"none", AUTO}.isdisjoint(names):
        raise ConfigError(
            f"--condition {' '.join(names)}: auto and none stand alone",
            fix="name columns only, such as --condition position age",
        )
    if not conditional and names != (AUTO,):
        raise ConfigError(
            f"--condition {' '.join(names)}: recipe {recipe} makes slices without conditions",
            fix="--recipe cgan, or leave --condition away",
        )
    return names if conditional else ()

"""Flags that hold several settings: ``--set name=value``, ``--condition position age`` ..."""

from __future__ import annotations

import difflib
import math
from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import tyro

from medimg_gan.data.settings import AUTO
from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


def parse_options(options: type[OptionsT], settings: tuple[str, ...], recipe: str) -> OptionsT:
    """``--set name=value ...`` over a recipe's defaults.

    Raises:
        ConfigError: If a setting is not of the form name=value, unknown, or stands twice.
        SystemExit: With status 2 on a wrong value; tyro says which.
    """
    words: list[str] = []
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
        if f"--{name}" in words:
            raise ConfigError(f"--set: {name} stands twice", observed=" ".join(settings))
        words += [f"--{name}", *value.split(",")]
    return tyro.cli(
        options, args=words, prog=f"--set (recipe {recipe})", config=(tyro.conf.FlagConversionOff,)
    )


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

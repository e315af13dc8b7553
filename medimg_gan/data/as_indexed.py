"""A table that ``index`` wrote is read as it was indexed: its own flags are the defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from medimg_gan.console import say
from medimg_gan.data.settings import DataConfig
from medimg_gan.runs import MANIFEST, read_json

FLAGS = {
    "on_gap": "--data.on-gap",
    "on_tilt": "--data.on-tilt",
    "volume": "--data.volume",
    "philips_scaling": "--data.philips-scaling",
    "mask_label": "--mask-label",
    "mask_min_area": "--mask-min-area",
}
"""Settings that decide which scans there are and what is on them."""


def as_indexed(config: DataConfig) -> DataConfig:
    """The same config, with the settings by which its table was made where none was given.

    Says which they are. A folder, or a table of the user's own, changes nothing.
    """
    manifest = (config.data or Path()).parent / MANIFEST
    if config.data is None or not config.data.is_file() or not manifest.is_file():
        return config
    noted = read_json(manifest).get("config", {}).get("source", {})
    changes = {
        name: _of_json(noted[name])
        for name in FLAGS
        if name in noted
        and getattr(config, name) == getattr(DataConfig(), name)
        and _of_json(noted[name]) != getattr(config, name)
    }
    if changes:
        words = ", ".join(f"{FLAGS[name]} {_as_typed(value)}" for name, value in changes.items())
        say(f"  as indexed: {words}")
    return replace(config, **changes)


def _of_json(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _as_typed(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else f"{value}"

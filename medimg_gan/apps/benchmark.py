"""Measure indexing, loading, training and memory on made-up data; ratios, as machines differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from medimg_gan import runs
from medimg_gan.apps.common import RUNS
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.errors import ConfigError

Part = Literal["index", "loader", "training", "memory", "translation"]
FEWEST_PATIENTS = 3


@dataclass(frozen=True)
class Config:
    """Measure files indexed, slices loaded and training steps per second, and peak memory."""

    parts: tuple[Part, ...] = ("index", "loader", "training", "memory")
    """What to measure; translation is not among the defaults: CycleGAN's step beside a plain one,
    at the paper's width and 128 pixels."""
    files: int = 10000
    """DICOM files to index."""
    patients: int = 40
    """Phantom volumes that the loaders draw slices from."""
    slice_size: int = 128
    """Side of the loaders' slices."""
    slice_batch: int = 32
    """Slices in a batch of the loaders."""
    size: int = 64
    """Side of the pictures in training."""
    batch_size: int = 16
    """Images per batch in training."""
    seconds: float = 6.0
    """How long each figure is measured."""
    run: Path = RUNS / "benchmark"
    """Folder for the data and the figures."""

    def __post_init__(self) -> None:
        """Refuse at once what cannot be measured."""
        if self.patients < FEWEST_PATIENTS or self.files < 1 or self.seconds <= 0:
            raise ConfigError(
                "too little to measure",
                observed=f"files {self.files}, patients {self.patients}, seconds {self.seconds:g}",
                fix=f"--files 1, --patients {FEWEST_PATIENTS} and --seconds 0.1 at the least",
            )


def main(config: Config) -> None:
    """Print one table; the same figures go to ``benchmark.json``."""
    run = runs.open_run(config.run, "benchmark", as_dict(config), restart=True)
    rows = [row for part in config.parts for row in PARTS[part](config)]
    environment = run.manifest["environment"]
    say(f"\n{environment['cores']} cores, torch {environment['versions']['torch']}\n")
    width = max(len(row["what"]) for row in rows)
    for row in rows:
        say(_line(row, width))
    runs.write_json(config.run / "benchmark.json", rows)
    run.finish()
    say(f"\nfigures: {config.run}/benchmark.json")


def _line(row: dict[str, Any], width: int) -> str:
    if row["figure"] is None:
        return f"{row['what']:{width}}  {row['note']:>10}"
    words = [f"{row['what']:{width}}  {row['figure']:10.1f} {row['unit']}"]
    if "ratio" in row:
        words.append(f"{row['ratio']:.2f} x {row['against']}")
    if row.get("peak_mib") is not None:
        words.append(f"peak {row['peak_mib']:.0f} MiB, {row['workers']} workers")
    return "   ".join(words)


def _index(config: Config) -> list[dict[str, Any]]:
    from medimg_gan.apps.benchmark_index import index_rows

    return index_rows(config.run, config.files)


def _loader(config: Config) -> list[dict[str, Any]]:
    from medimg_gan.apps.benchmark_loader import loader_rows, reading_row

    sizes = config.slice_size, config.slice_batch
    rows = loader_rows(config.run, config.patients, *sizes, config.seconds)
    return [*rows, reading_row(config.run, config.seconds)]


def _memory(config: Config) -> list[dict[str, Any]]:
    from medimg_gan.apps.benchmark_memory import memory_rows

    return memory_rows(config.run, config.patients, config.slice_size)


def _training(config: Config) -> list[dict[str, Any]]:
    """Steps per second of the engine beside those of its bare networks, for every recipe."""
    from medimg_gan.apps.benchmark_training import engine_and_bare_rates
    from medimg_gan.recipes import RECIPES

    rows = []
    for name in RECIPES:
        engine, bare = engine_and_bare_rates(
            name, config.size, config.batch_size, config.seconds, config.run / f"engine-{name}"
        )
        row = {"what": f"{name}: training steps", "figure": engine, "unit": "/s"}
        rows.append({**row, "ratio": engine / bare, "against": "bare kernels"})
    return rows


def _translation(config: Config) -> list[dict[str, Any]]:
    """Steps per second of the translators beside those of a plain CycleGAN in float32."""
    from medimg_gan.apps.benchmark_cyclegan import step_rates

    rows = []
    for name in ("cyclegan", "cyclegan-structure", "disguise"):
        ours, plain = step_rates(name, config.seconds, config.run / f"engine-{name}-128")
        row = {
            "what": f"{name}: steps of 1 image, 128 px, 64 filters",
            "figure": ours,
            "unit": "/s",
        }
        rows.append({**row, "ratio": ours / plain, "against": "plain float32 step"})
    return rows


PARTS: dict[Part, Callable[[Config], list[dict[str, Any]]]] = {
    "index": _index,
    "loader": _loader,
    "training": _training,
    "memory": _memory,
    "translation": _translation,
}

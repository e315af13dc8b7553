"""Look around in the latent space of a trained GAN: grids, walks, likenesses, directions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medimg_gan import runs
from medimg_gan.apps.common import WeightsName, already_finished, default_device
from medimg_gan.apps.options import named_numbers
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.errors import ConfigError, DataError, LabelError, RunError

if TYPE_CHECKING:
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class Config:
    """Look around in the latent space of a trained GAN.

    grid: a row of samples for each class, with equal noise in each column, and their diversity.
    interpolate: from seed to seed, or from class to class, as a strip and an animation.
    project: the sample most like a real slice, and whether it is a likeness at all.
    directions: what the strongest directions (SeFa) change.
    """

    run: Path
    """Folder of a finished train-gan run."""
    out: Path
    """Folder to write to."""
    what: Literal["grid", "interpolate", "project", "directions"] = "grid"
    """What to look at."""
    label: tuple[str, ...] = ()
    """Classes; default: all."""
    through: Literal["seeds", "classes"] = "seeds"
    """What interpolate walks through; the other stays."""
    count: int = 8
    """Columns of a grid, seeds of a walk, or directions."""
    frames: int = 12
    """Steps between two stops of a walk."""
    image: Path | None = None
    """The real scan to project: a NIfTI, a picture, a DICOM file or a folder of one series."""
    slice: int | None = None
    """Which of its slices, counted from 0 upwards; default: the middle one."""
    steps: int = 200
    """Steps of the search for a likeness."""
    at: tuple[str, ...] = ()
    """Numbers that images are to have, as name=value (position=0.5 age=60); others are in the
    middle of their range, and project searches for them."""
    starts: int = 4
    """Noises that the search starts from, in each class."""
    truncation: float = 1.0
    """Below 1, samples of a grid are more typical and less diverse."""
    seed: int = 0
    """Of the noise; grids begin with the slices that synthesize makes of it."""
    weights: WeightsName = "best"
    restart: bool = False
    """Delete what an earlier call left in --out and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what cannot be shown."""
        for name in ("count", "frames", "steps", "starts"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} {getattr(self, name)}: must be at least 1")
        if not 0 <= self.truncation <= 1:
            raise ConfigError(f"--truncation {self.truncation:g}: must be from 0 to 1")
        if self.what == "project" and self.image is None:
            raise ConfigError("--what project needs a real slice", fix="--image FILE")
        if self.what == "interpolate" and self.through == "seeds" and self.count < 2:
            raise ConfigError(f"--count {self.count}: a walk needs two seeds")
        self.numbers()

    def numbers(self) -> dict[str, float]:
        """``--at`` by name.

        Raises:
            ConfigError: If one is not of the form name=value, or stands twice.
        """
        return named_numbers("--at", self.at, "position=0.5 age=60")


def main(config: Config) -> None:
    """Load the run and draw what was asked for."""
    noted = config
    if config.image is not None:  # names of files may name patients
        noted = replace(config, image=Path(_digest(config.image)))
    next_step = f"open {config.out}"
    if already_finished(config.out, "explore", noted, next_step):
        return
    facts = runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.apps.explore_pictures import (
        draw_directions,
        draw_grid,
        draw_interpolate,
        draw_project,
    )
    from medimg_gan.data.number import fixed_numbers
    from medimg_gan.synthesis import Generator, load_run

    generator = load_run(config.run, default_device(), config.weights)
    if not isinstance(generator, Generator):
        raise RunError(
            f"{config.run}: a translator, not a GAN from noise",
            fix=f"python scripts/translate.py --run {config.run} --data DIR --out DIR",
        )
    labels = _labels(config, generator)
    fixed_numbers(generator.numbers, config.numbers())  # one never learnt is refused at once
    target = _target(config, generator, facts) if config.what == "project" else None
    run = runs.open_run(config.out, "explore", as_dict(noted), restart=config.restart)
    if config.what == "grid":
        found = draw_grid(config, generator, labels)
    elif config.what == "interpolate":
        found = draw_interpolate(config, generator, labels)
    elif target is not None:
        found = draw_project(config, generator, labels, target)
    else:
        found = draw_directions(config, generator, labels)
    run.finish(**found)
    say(f"\npictures: {config.out}")


def _labels(config: Config, generator: Generator) -> tuple[str | None, ...]:
    """The classes asked for, all by default.

    Raises:
        LabelError: If one is unknown, or a walk through classes has no two.
    """
    from medimg_gan.latent import classes_of

    for label in config.label:
        generator.class_number(label)
    labels = config.label or classes_of(generator)
    if config.what == "interpolate" and config.through == "classes" and len(labels) < 2:
        raise LabelError(
            f"{config.run}: a walk through classes needs two",
            observed=f"classes to choose from: {', '.join(generator.classes) or 'none'}",
            fix="--through seeds",
        )
    return labels


def _target(config: Config, generator: Generator, facts: dict[str, Any]) -> FloatArray:
    """The real slice (C, size, size) as the training would have seen it.

    Raises:
        DataError: If the file cannot be used, or has no such slice.
    """
    import torch

    from medimg_gan.data.chain import encode
    from medimg_gan.imaging.read import read_files
    from medimg_gan.modalities.nyul import StandardScale

    assert config.image is not None
    if not config.image.exists():
        raise DataError(f"{config.image}: not found", fix="--image FILE")
    spec = generator.recipe.spec
    volume = read_files([config.image], generator.modality)
    encoded = encode(
        volume.array, volume.spacing, modality=generator.modality, unit=volume.unit,
        chain=generator.chain, size=spec.size,
    )  # fmt: skip
    count = len(encoded.pictures)
    number = count // 2 if config.slice is None else config.slice
    if not 0 <= number < count:
        raise DataError(f"--slice {number}: {config.image} has slices 0 to {count - 1}")
    picture = torch.from_numpy(encoded.pictures[number])[None, None]
    standard = StandardScale.told_by(facts)
    if standard is not None:
        picture = standard.apply(picture, torch.from_numpy(encoded.landmarks)[None])
    return picture[0].expand(spec.channels, -1, -1).numpy()


def _digest(place: Path) -> str:
    """What tells one input from another without its name."""
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else []
    digest = hashlib.sha256()
    for path in files or [place]:
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()

"""Write synthetic slices of a trained GAN as files that other tools read."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medimg_gan import runs
from medimg_gan.apps.common import (
    ENDING,
    WeightsName,
    already_finished,
    default_device,
    write_volume,
)
from medimg_gan.apps.options import named_numbers
from medimg_gan.apps.synthetic_layouts import (
    NOTES,
    PNG_BITS,
    FormatName,
    LayoutName,
    describe,
    format_for,
    place,
    refuse_classes,
)
from medimg_gan.config import as_dict
from medimg_gan.console import progress, say
from medimg_gan.errors import ConfigError, RunError
from medimg_gan.files import clear_unfinished, written_aside

if TYPE_CHECKING:
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import FloatArray

FARTHEST = 10.0
"""Standard deviations beyond which no move makes sense."""


@dataclass(frozen=True)
class Config:
    """Write synthetic slices of a trained GAN."""

    run: Path
    """Folder of a finished train-gan run."""
    out: Path
    """Folder to write to."""
    count: int = 100
    """How many slices."""
    label: str = ""
    """Class to make; default: classes as frequent as in training."""
    truncation: float = 1.0
    """psi: 1 for plain samples; below, more typical and less diverse; 0 for one image a class."""
    move: tuple[str, ...] = ()
    """NUMBER=AMOUNT, for example 1=2: go along a direction that explore shows, in standard
    deviations."""
    at: tuple[str, ...] = ()
    """Numbers that all slices are to have, as name=value (position=0.5 age=60); those that the
    GAN knows and that are not named are drawn as in training."""
    layout: LayoutName = "plain"
    """plain: files beside each other; imagefolder: a folder of PNGs for each class; monai: with a
    datalist.json; nnunet: named as nnU-Net names images (without masks). All come with labels.csv
    and manifest.json."""
    format: FormatName | None = None
    """nifti (default) and dicom keep the modality's units; png is 16-bit over the GAN's range, and
    8-bit in imagefolder, whose readers know no other."""
    seed: int = 0
    """Equal seeds give equal slices."""
    weights: WeightsName = "best"
    restart: bool = False
    """Delete what an earlier call left in --out and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what cannot be written."""
        if self.count < 1:
            raise ConfigError(f"--count {self.count}: must be at least 1")
        if not 0 <= self.truncation <= 1:
            raise ConfigError(f"--truncation {self.truncation:g}: must be from 0 to 1")
        format_for(self.layout, self.format)
        self.moves()
        self.fixed()

    def moves(self) -> tuple[tuple[int, float], ...]:
        """``move`` as numbers.

        Raises:
            ConfigError: If one is not NUMBER=AMOUNT, stands twice, or goes beyond any sample.
        """
        moves = []
        for number, amount in named_numbers("--move", self.move, "1=2").items():
            if not number.isdecimal():
                raise ConfigError(f"--move {number}: expected NUMBER=AMOUNT", fix="--move 1=2")
            if abs(amount) > FARTHEST:
                raise ConfigError(
                    f"--move {number}={amount:g}: at most {FARTHEST:g} standard deviations",
                    cause="samples lie within about 3",
                )
            moves.append((int(number), amount))
        return tuple(moves)

    def fixed(self) -> dict[str, float]:
        """``--at`` as name -> value.

        Raises:
            ConfigError: If one is not of the form name=value, or stands twice.
        """
        return named_numbers("--at", self.at, "position=0.5 age=60")


def main(config: Config) -> None:
    """Sample, write one file a slice, and a table that ``index`` and others read."""
    config = replace(config, format=format_for(config.layout, config.format))
    next_step = f"python scripts/index.py --data {config.out}"
    if already_finished(config.out, "synthesize", config, next_step):
        return
    runs.read_json(config.run / runs.MANIFEST)  # a misspelt --run is answered at once
    from medimg_gan.data.number import draw_numbers
    from medimg_gan.recipes.knobs import Knobs
    from medimg_gan.synthesis import Generator, load_run

    generator = load_run(config.run, default_device(), config.weights)
    if not isinstance(generator, Generator):
        raise RunError(
            f"{config.run}: a translator, not a GAN from noise",
            fix=f"python scripts/translate.py --run {config.run} --data DIR --out DIR",
        )
    knobs = Knobs(config.truncation, config.moves())
    # Drawn before the folder is made, so that an unknown class leaves nothing behind.
    drawn = generator.draw_labels(config.count, config.label or None, config.seed)
    values = draw_numbers(generator.numbers, drawn, config.seed, config.fixed())
    images = generator.sample(
        config.count, config.label or None, config.seed, config.fixed(), knobs
    )
    classes = generator.classes if generator.recipe.conditional else ()
    refuse_classes(config.layout, classes)
    labels = [classes[number] if classes else "" for number in drawn]
    run = runs.open_run(config.out, "synthesize", as_dict(config), restart=config.restart)
    places = _write_all(generator, config, images, labels, values)
    describe(config.layout, config.out, places, labels, classes, generator.modality)
    run.finish(
        synthetic=True,
        made_by=generator.recipe.__class__.__name__,
        modality=generator.modality,
        unit=generator.unit,
        truncation=config.truncation,
        moves=dict(config.moves()),
        png_range=[generator.scale.low, generator.scale.high],
        counts={name: labels.count(name) for name in sorted(set(labels))},
    )
    say(f"\n{config.count} slices: {config.out}   table: {config.out}/labels.csv")
    if config.layout in NOTES:
        say(NOTES[config.layout].format(folder=config.out))
    say(f"next: {next_step}")


def _write_all(
    generator: Generator,
    config: Config,
    images: FloatArray,
    labels: list[str],
    values: FloatArray,
) -> list[str]:
    """Write what is not there yet, and the table; returns the slices' places in the folder."""
    file_format = format_for(config.layout, config.format)
    bits = PNG_BITS.get(config.layout, 16)
    places = [
        place(config.layout, number, label, ENDING[file_format])
        for number, label in enumerate(labels)
    ]
    clear_unfinished(*{(config.out / where).parent for where in places})
    names = [number.name for number in generator.numbers]
    rows = [("path", "label", "modality", "synthetic", *names)]
    with progress("writing slices", config.count, "slices") as ticker:
        for image, label, told, where in zip(images, labels, values, places, strict=True):
            path = config.out / where
            if not path.exists():  # files appear complete: an interrupted call goes on here
                volume = generator.as_volume(image)
                about = "synthetic slice"
                write_volume(volume, path, file_format, generator.scale, about, bits=bits)
            rows.append((where, label, generator.modality, "yes", *(f"{v:.4g}" for v in told)))
            ticker.advance()
    with (
        written_aside(config.out / "labels.csv") as aside,
        aside.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(rows)
    return places

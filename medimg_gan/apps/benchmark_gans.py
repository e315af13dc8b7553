"""Train several GANs for the same time on the same data, and write down which is better."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medimg_gan import runs
from medimg_gan.apps.benchmark_queue import Job, end, is_finished, work
from medimg_gan.apps.common import RUNS, plain_name, with_embedded_data
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError

DataType = Literal["tumor-type", "brain-tumor", "phantom"]
MASKS = {"brain-tumor": "{patient}/{visit}_Mask.nii.gz"}
"""How the masks of a data set are found."""
BOUND = ("minutes", "size", "batch_size", "seconds")
"""Settings that every run of one folder shares; the others may grow from call to call."""


@dataclass(frozen=True)
class Contender:
    """A recipe with settings, written ``recipe`` or ``recipe: name=value name=value``."""

    title: str

    @property
    def recipe(self) -> str:
        """Key of ``RECIPES``."""
        return self.title.partition(":")[0].strip()

    @property
    def options(self) -> tuple[str, ...]:
        """As for ``--set``."""
        return tuple(self.title.partition(":")[2].split())

    @property
    def name(self) -> str:
        """Of its files."""
        return plain_name(self.title)


@dataclass(frozen=True)
class Config:
    """Train GANs for equal times on the same data, measure them, and write one Markdown page.

    Speeds are measured first; then every run gets the steps that it would do in --minutes on one
    undisturbed core. Called again, it goes on where it stopped, and takes in more contenders,
    seeds and data.
    """

    data_types: tuple[DataType, ...] = ("phantom",)
    """Which data: tumor-type and brain-tumor need their folders, the phantom is made."""
    tumor_type: Path | None = None
    """Folder of the 903 axial slices of Cheng et al. (figshare 1512427), in folders by class."""
    brain_tumor: Path | None = None
    """Folder of Brain-Tumor-Progression (TCIA) as NIfTI, with masks."""
    contenders: tuple[str, ...] = ("cgan", "dcgan", "wgan-gp")
    """recipe, or 'recipe: name=value ...'. The first is held against all dcgan and wgan-gp."""
    minutes: float = 20.0
    """Training time of each run on one undisturbed core."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One run for each: of the split, the weights and every draw."""
    size: int = 64
    """Side of the pictures in pixels: 32, 64, 128, 256 or 512."""
    batch_size: int = 16
    """Images per step."""
    parallel: int = 2
    """Runs at the same time, one thread each."""
    samples: int = 1000
    """Slices of each run among which duplicates are looked for."""
    seconds: float = 10.0
    """How long a contender's speed is measured in each of three rounds."""
    run: Path = RUNS / "benchmark-gans"
    """Folder of the speeds and the runs."""
    out: Path = Path("docs/gan-benchmark.md")
    """Page to write; sample grids go to the folder of the same name beside it."""
    restart: bool = False
    """Delete what an earlier call left in --run and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what cannot be compared."""
        for name in ("minutes", "parallel", "samples", "seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"--{name} {getattr(self, name):g}: must be positive")
        if self.size not in (32, 64, 128, 256, 512) or self.batch_size < 1:
            raise ConfigError(
                f"--size {self.size}, --batch-size {self.batch_size}",
                observed="sizes are 32, 64, 128, 256 and 512; a batch holds an image at least",
            )
        for name in ("contenders", "seeds", "data_types"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise ConfigError(f"--{name.replace('_', '-')}: name one, or several different")
        for kind in self.data_types:
            _ = self.source(kind)  # refuses a folder that is not there

    def source(self, kind: DataType) -> DataConfig:
        """The data flags of one data set; the phantom has no folder."""
        if kind == "phantom":
            return DataConfig()
        folder = getattr(self, kind.replace("-", "_"))
        if folder is None:
            raise ConfigError(
                f"--data-types {kind}: its folder is not given",
                fix=f"--{kind} DIR, or leave it out",
            )
        return DataConfig(data=folder, mask=MASKS.get(kind, ""))

    def command(self) -> str:
        """The words that repeat it; where the data lie is nobody's business."""
        words = ["python", "scripts/benchmark_gans.py", "--data-types", *self.data_types]
        for kind in self.data_types:
            words += [] if kind == "phantom" else [f"--{kind}", "DIR"]
        words += ["--minutes", f"{self.minutes:g}", "--seeds", *map(str, self.seeds)]
        words += ["--size", str(self.size), "--batch-size", str(self.batch_size)]
        return shlex.join([*words, "--contenders", *self.contenders])


@dataclass(frozen=True)
class Trial:
    """One contender on one data set with one seed.

    Attributes:
        folder: Of the training's run; ``evaluation`` lies in it.
        steps: Of the training.
    """

    kind: DataType
    contender: Contender
    seed: int
    folder: Path
    steps: int

    def job(self, config: Config) -> Job | None:
        """What is left to do, or None."""
        evaluation = self.folder / "evaluation"
        source = config.source(self.kind)
        data = ["--data", str(source.data)] if source.data else []
        mask = ["--mask", source.mask] if source.mask else []
        chosen = self.contender.options
        train = ["train-gan", "--recipe", self.contender.recipe, *data, *mask]
        train += ["--steps", self.steps, "--seed", self.seed, "--run", self.folder]
        train += ["--size", config.size, "--batch-size", config.batch_size]
        train += ["--set", *chosen] if chosen else []
        evaluate = ["evaluate", "--run", self.folder, "--copies", config.samples]
        left = []
        if not is_finished(self.folder, steps=self.steps, seed=self.seed):
            left = [train, evaluate]
        elif not is_finished(evaluation, copies=config.samples):
            left = [evaluate]
        commands = tuple(tuple(map(str, words)) for words in left)
        title = f"{self.kind}, {self.contender.title}, seed {self.seed}"
        return Job(title, commands, self.folder.with_suffix(".log")) if left else None


def main(config: Config) -> None:
    """Measure speeds, train and evaluate what is not there yet, write the page."""
    contenders = [Contender(title) for title in config.contenders]
    _check(contenders, config.batch_size)
    shared = {key: value for key, value in as_dict(config).items() if key in BOUND}
    run = runs.open_run(config.run, "benchmark-gans", shared, restart=config.restart)
    _prepare(config)
    from medimg_gan.apps.benchmark_speed import Timed, steps_within

    timed = [
        Timed(one.title, one.recipe, one.options, config.size, config.batch_size)
        for one in contenders
    ]
    steps = steps_within(config.run, timed, config.minutes, config.seconds)
    trials = [
        Trial(kind, contender, seed, _folder(config.run, kind, contender, seed), steps[one])
        for seed in config.seeds
        for kind in config.data_types
        for one, contender in enumerate(contenders)
    ]
    failed = work([trial.job(config) for trial in trials], config.minutes, config.parallel)
    from medimg_gan.apps.benchmark_gans_page import write_page

    write_page(config, trials, runs.environment())
    end(run, config.out, failed)


def _folder(run: Path, kind: DataType, contender: Contender, seed: int) -> Path:
    return run / kind / contender.name / f"seed-{seed}"


def _check(contenders: Sequence[Contender], batch_size: int) -> None:
    """Refuse unknown recipes and settings before any work."""
    from medimg_gan.apps import train_gan
    from medimg_gan.apps.training import check_options

    known = get_args(train_gan.RecipeName)
    for contender in contenders:
        if contender.recipe not in known:
            raise ConfigError(
                f"--contenders {contender.title!r}: no such recipe",
                observed=f"known: {', '.join(known)}",
                fix="--contenders cgan 'dcgan: augment=0'",
            )
        check_options(contender.recipe, contender.options, batch_size)
    if len({contender.name for contender in contenders}) < len(contenders):
        raise ConfigError("--contenders: two of them are the same")


def _prepare(config: Config) -> None:
    """Read all data once: mistakes show before hours of training, and runs find a warm cache."""
    from medimg_gan.data.prepare import prepare

    for kind in config.data_types:
        say(f"{kind}:")
        source = with_embedded_data(config.source(kind), "classification")
        with tempfile.TemporaryDirectory() as folder:
            prepare(source, (), size=config.size, seed=config.seeds[0], folder=Path(folder))

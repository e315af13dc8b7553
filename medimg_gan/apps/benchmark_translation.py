"""Train translators for the same time on the same patients, and write down which is better."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from medimg_gan import runs
from medimg_gan.apps.benchmark_queue import Job, end, is_finished, work
from medimg_gan.apps.common import RUNS, plain_name
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.errors import ConfigError, DataError

Part = Literal["phantom", "tumours-in-source", "tumours-in-target", "pairs"]
FLAGS = ("adjacent", "balance-prior")
"""Settings of a contender that are flags of ``train_cyclegan``, not of the recipe."""
PERIOD = 2
"""Steps timed together: no translator does anything but every step."""
UNSURE = "2"
"""Patients of each run on whom the uncertainty is held against the error."""
BOUND = ("minutes", "size", "batch_size", "seconds", "patients")
"""Settings that every run of one folder shares; the others may grow from call to call."""


@dataclass(frozen=True)
class Contender:
    """A recipe with settings: ``recipe`` or ``recipe: adjacent=3 balance-prior=none name=value``.

    Pictures have no neighbours, so ``adjacent`` goes for volumes only, and is 1 unless named.
    """

    title: str

    @property
    def recipe(self) -> str:
        """Key of ``RECIPES``."""
        return self.title.partition(":")[0].strip()

    @cached_property
    def _settings(self) -> tuple[str, ...]:
        return tuple(self.title.partition(":")[2].split())

    @property
    def options(self) -> tuple[str, ...]:
        """As for ``--set``."""
        return tuple(one for one in self._settings if one.partition("=")[0] not in FLAGS)

    def flags(self, part: Part) -> dict[str, str]:
        """Flags of the training's own."""
        pairs = (one.partition("=") for one in self._settings)
        found = {name: value for name, _, value in pairs if name in FLAGS}
        return found | {"adjacent": "1" if part == "pairs" else found.get("adjacent", "1")}

    def channels(self, part: Part) -> int:
        """Slices in an image."""
        return int(self.flags(part)["adjacent"])

    @property
    def name(self) -> str:
        """Of its files."""
        return plain_name(self.title)


@dataclass(frozen=True)
class Config:
    """Train translators from MRI to CT for equal times, score them, and write one Markdown page.

    Speeds are measured first; then every run gets the steps that it would do in --minutes on one
    undisturbed core. Called again, it goes on where it stopped, and takes in more recipes, seeds
    and splits.
    """

    parts: tuple[Part, ...] = ("phantom",)
    """phantom: volumes of generated heads in HU; tumours-in-source and -target: the same, all
    heads of that side and none of the other with a tumour; pairs: pictures of real heads."""
    pairs: Path | None = None
    """Folder of the pairs: mri/PATIENT/NAME.png and ct/PATIENT/NAME.png."""
    recipes: tuple[str, ...] = (
        "disguise",
        "cyclegan-structure",
        "cyclegan: balance-prior=none",
        "cut",
        "reggan",
        "pix2pix",
        "regression",
    )
    """recipe, or 'recipe: adjacent=3 balance-prior=none name=value ...'. The first is held
    against cyclegan and the paired regression."""
    minutes: float = 30.0
    """Training time of each run on one undisturbed core."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Volumes: one run for each, of the split, the weights and every draw."""
    splits: int = 5
    """pairs: how many choices of two test patients; each patient is chosen as often as others."""
    size: int = 128
    """Side of the pictures in pixels: 32, 64, 128, 256 or 512."""
    batch_size: int = 1
    """Images per step."""
    patients: int = 40
    """Heads of the phantom; half of them have MRI, the other half CT."""
    parallel: int = 2
    """Runs at the same time, one thread each."""
    seconds: float = 10.0
    """How long a recipe's speed is measured in each of three rounds."""
    run: Path = RUNS / "benchmark-translation"
    """Folder of the phantom, the speeds and the runs."""
    out: Path = Path("docs/translation-benchmark.md")
    """Page to write; pictures of generated heads go to the folder of the same name beside it,
    those of --pairs stay in --run."""
    restart: bool = False
    """Delete what an earlier call left in --run and begin again."""

    def __post_init__(self) -> None:
        """Refuse at once what cannot be compared."""
        for name in ("minutes", "splits", "batch_size", "parallel", "seconds"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"--{name.replace('_', '-')}: must be positive")
        if self.size not in (32, 64, 128, 256, 512):
            raise ConfigError(f"--size {self.size}", observed="sizes are 32, 64, 128, 256 and 512")
        for name in ("recipes", "seeds", "parts"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise ConfigError(f"--{name}: name one, or several different")
        if "pairs" in self.parts and self.pairs is None:
            raise ConfigError("--parts pairs: their folder is not given", fix="--pairs DIR")
        if self.pairs is not None and not self.pairs.is_dir():
            raise DataError(f"--pairs {self.pairs}: no such folder", fix="check its spelling")

    def command(self) -> str:
        """The words that repeat it; where the data lie is nobody's business."""
        words = ["python", "scripts/benchmark_translation.py", "--parts", *self.parts]
        if "pairs" in self.parts:
            words += ["--pairs", "DIR", "--splits", str(self.splits)]
        words += ["--minutes", f"{self.minutes:g}", "--seeds", *map(str, self.seeds)]
        words += ["--size", str(self.size), "--batch-size", str(self.batch_size)]
        words += ["--patients", str(self.patients)] if {*self.parts} - {"pairs"} else []
        return shlex.join([*words, "--recipes", *self.recipes])


@dataclass(frozen=True)
class Material:
    """Data of one repeat of one part.

    Attributes:
        name: Of its runs' folder: seed-0, split-0 ...
        seed: Of the trainings.
        data: Folder.
        truth: Folder of the true targets, where they do not lie in ``data``.
        table: Which patients are of which split; None: dealt by the seed.
    """

    name: str
    seed: int
    data: Path
    truth: Path | None = None
    table: Path | None = None


@dataclass(frozen=True)
class Trial:
    """One contender on one repeat of one part.

    Attributes:
        paired: Whether its recipe learns from pairs, and so may see the truth of its training
            patients.
        folder: Of the training's run; ``evaluation`` lies in it.
        steps: Of the training.
    """

    part: Part
    contender: Contender
    material: Material
    paired: bool
    folder: Path
    steps: int

    def job(self, config: Config) -> Job | None:
        """What is left to do, or None."""
        one, given = self.contender, self.material
        truth = ["--truth", given.truth] if given.truth else []
        train = ["train-cyclegan", "--recipe", one.recipe, "--src", "mri", "--tgt", "ct"]
        train += ["--data", given.data, *(truth if self.paired else [])]
        # Both know the patients from the table: folder names need not tell them.
        table = ["--labels", given.table] if given.table else []
        train += table
        train += ["--steps", self.steps, "--seed", given.seed, "--run", self.folder]
        train += ["--size", config.size, "--batch-size", config.batch_size]
        for name, value in one.flags(self.part).items():
            train += [f"--{name}", value]
        train += ["--set", *one.options] if one.options else []
        evaluate = ["evaluate", "--run", self.folder, "--data", given.data, *table, *truth]
        evaluate += ["--uncertainty", UNSURE]
        left = []
        if not is_finished(self.folder, given.data, steps=self.steps, seed=given.seed):
            left = [train, [*evaluate, "--restart"]]
        elif not is_finished(self.folder / "evaluation"):
            left = [evaluate]
        commands = tuple(tuple(map(str, words)) for words in left)
        title = f"{self.part}, {one.title}, {given.name}"
        return Job(title, commands, self.folder.with_suffix(".log")) if left else None


def main(config: Config) -> None:
    """Make data and speeds, train and evaluate what is not there yet, write the page."""
    contenders = [Contender(title) for title in config.recipes]
    paired = _check(contenders)
    shared = {key: value for key, value in as_dict(config).items() if key in BOUND}
    run = runs.open_run(config.run, "benchmark-translation", shared, restart=config.restart)
    from medimg_gan.apps.benchmark_translation_data import materials
    from medimg_gan.apps.benchmark_translation_page import write_page

    trials = []
    for part in config.parts:
        steps = _steps(config, contenders, part)
        for given in materials(config, part):
            for one, count in zip(contenders, steps, strict=True):
                folder = config.run / part / one.name / given.name
                trials.append(Trial(part, one, given, paired[one.recipe], folder, count))
    jobs = [trial.job(config) for trial in trials]
    failed = work(jobs, config.minutes, config.parallel)
    write_page(config, trials, runs.environment())
    end(run, config.out, failed)


def _steps(config: Config, contenders: Sequence[Contender], part: Part) -> list[int]:
    from medimg_gan.apps.benchmark_speed import Timed, steps_within

    say(f"\n{part}:")
    timed = []
    for one in contenders:
        channels = one.channels(part)
        words = " ".join((one.recipe, *one.options, *([f"x {channels}"] if channels > 1 else [])))
        timed.append(
            Timed(words, one.recipe, one.options, config.size, config.batch_size, channels, PERIOD)
        )
    return steps_within(config.run, timed, config.minutes, config.seconds)


def _check(contenders: Sequence[Contender]) -> dict[str, bool]:
    """Refuse unknown recipes and settings before any work; say which recipes learn from pairs."""
    from medimg_gan.apps.training import check_options
    from medimg_gan.apps.translation_batches import Balance
    from medimg_gan.recipes import RECIPES, TranslationRecipe

    known = {name: one for name, one in RECIPES.items() if issubclass(one, TranslationRecipe)}
    for one in contenders:
        if one.recipe not in known:
            raise ConfigError(
                f"--recipes {one.title!r}: no such translator",
                observed=f"known: {', '.join(known)}",
                fix="--recipes cyclegan 'cyclegan: balance-prior=none'",
            )
        flags = one.flags("phantom")
        if not (flags["adjacent"].isdecimal() and int(flags["adjacent"]) % 2):
            raise ConfigError(f"--recipes {one.title!r}: adjacent is an odd number")
        if flags.get("balance-prior", "auto") not in get_args(Balance):
            raise ConfigError(
                f"--recipes {one.title!r}: no such balance-prior",
                observed=f"known: {', '.join(get_args(Balance))}",
            )
        check_options(one.recipe, one.options)
    if len({one.name for one in contenders}) < len(contenders):
        raise ConfigError("--recipes: two of them are the same")
    return {name: recipe.paired for name, recipe in known.items()}

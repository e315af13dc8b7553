"""What a study will take, said before it starts, and how a budget in minutes is shared out."""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medimg_gan import runs
from medimg_gan.apps.augment_data import gan_folders, without_pictures
from medimg_gan.apps.common import minutes_left
from medimg_gan.apps.processes import told_by_first
from medimg_gan.apps.training import network_for, stream_for
from medimg_gan.console import say
from medimg_gan.data.cores import usable_cores
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.settings import Plan
from medimg_gan.errors import ConfigError
from medimg_gan.study import Trainers
from medimg_gan.study.cost import in_words, steps_of_looks
from medimg_gan.study.fits import planned_in_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning_fabric import Fabric

    from medimg_gan.apps.augment import Config
    from medimg_gan.data.prepare import Prepared
    from medimg_gan.study import StudyConfig, StudyData

BUDGET = "budget.json"
"""What was chosen once; a resumed study keeps to it."""

GAN_SHARE = 0.6
"""Of a budget in minutes; the classifiers get the rest."""

SECONDS_TO_REPORT = 60.0
"""What intervals, pictures, features and the report take."""

FEWEST_STEPS, MOST_STEPS = 50, 2000
"""Classifier steps that a budget in minutes may lead to."""

FEWEST_GAN_STEPS = 100
"""A GAN that could train for less in its share of the minutes is refused."""

TIMED_STEPS = 8
"""Of the GAN, after as many to warm up: twice the period of its lazy penalty."""

WORTH_TIMING = 200
"""GAN steps below which a study starts without measuring."""


@dataclass(frozen=True)
class Work:
    """What is to be done, and how fast it goes.

    Attributes:
        gans: GANs to train.
        gan_step: Seconds of one step of a GAN.
        classifiers: Classifiers to train.
        step: Seconds of one step of a classifier.
        looks: Steps that take as long as a classifier's looks at validation and test.
        beside: Classifiers trained at a time.
    """

    gans: int
    gan_step: float
    classifiers: int
    step: float
    looks: float
    beside: int

    def classifier_seconds(self, steps: float) -> float:
        """All classifiers, of so many steps each."""
        return self.classifiers * (steps + self.looks) * self.step / self.beside

    def classifier_steps(self, seconds: float) -> float:
        """Steps of each in so many seconds for all; may be below 0."""
        return seconds * self.beside / (self.classifiers * self.step) - self.looks

    def least_minutes(self) -> float:
        """The smallest budget that leaves the fewest steps to each."""
        of_gans = self.gans * FEWEST_GAN_STEPS * self.gan_step / GAN_SHARE
        share = 1 - GAN_SHARE if self.gans else 1.0
        of_classifiers = (self.classifier_seconds(FEWEST_STEPS) + SECONDS_TO_REPORT) / share
        return max(of_gans, of_classifiers) / 60


def plan_gans(
    fabric: Fabric,
    config: Config,
    prepared: Sequence[Prepared],
    settings: StudyConfig,
    folder: Path,
) -> float | None:
    """Say what the study will take; the minutes of each GAN, or None where steps bound them.

    Raises:
        ConfigError: If the plan compares nothing, or the minutes are too few for it.
        SplitError: If a split of a fold lacks the minority or the rest.
    """
    folds = [without_pictures(config, one) for one in prepared]
    classifiers = sum(map(len, planned_in_all(folds, settings)))
    places = gan_folders(folder, len(folds))
    gans = told_by_first(fabric, lambda: sum(not _finished(place) for place in places))
    if not gans:
        return None
    if config.minutes is None and (config.steps or 0) < WORTH_TIMING:
        return None
    gan_step = seconds_per_gan_step(fabric, config, prepared[0])

    def plan() -> float | None:
        beside = max(fabric.world_size, min(config.source.workers, usable_cores()))
        work = _work(folds, settings, gans, classifiers, gan_step, beside, Trainers())
        if config.minutes is None:
            _say_steps(config, work)
            return None
        kept = _read(folder)
        if "gan_minutes" not in kept:
            kept["gan_minutes"] = _share_out(config, work)
            runs.write_json(folder / BUDGET, kept)
        else:
            say(f"cost: {_gans(work)} to finish, {kept['gan_minutes']:.1f} min each as planned")
        return kept["gan_minutes"]

    return told_by_first(fabric, plan)


def choose_classifier_steps(
    config: Config,
    folds: Sequence[StudyData],
    settings: StudyConfig,
    folder: Path,
    trainers: Trainers,
    processes: int,
) -> int:
    """Steps of every classifier: as asked for, or what the budget has left; fixed once chosen.

    Raises:
        ConfigError: If the minutes are too few, and no GAN was trained in them (--gan).
    """
    if config.minutes is None:
        return config.classifier_steps
    kept = _read(folder)
    if "classifier_steps" not in kept:
        left = 60 * (minutes_left(config).minutes or 0) - SECONDS_TO_REPORT
        trainers.begin(left)
        beside = max(processes, trainers.side_by_side)
        classifiers = sum(map(len, planned_in_all(folds, settings)))
        work = _work(folds, settings, 0, classifiers, 0.0, beside, trainers)
        affordable = work.classifier_steps(left)
        if config.gan is not None and affordable < FEWEST_STEPS:
            raise _too_short(config, work, affordable)
        kept["classifier_steps"] = int(min(max(affordable, FEWEST_STEPS), MOST_STEPS))
        runs.write_json(folder / BUDGET, kept)
    return kept["classifier_steps"]


def seconds_per_gan_step(fabric: Fabric, config: Config, prepared: Prepared) -> float:
    """Measured on the training slices; every process takes part, nothing is left behind."""
    net = network_for(config, prepared, "cgan", config.set)
    stream = stream_for(config, prepared, "cgan")
    plan = Plan(1_000_000, None, config.seed, config.batch_size)
    with tempfile.TemporaryDirectory() as place:
        engine = Engine(fabric, net, stream, plan, Path(place), config.engine)
        for _ in range(TIMED_STEPS):
            engine.run_step()
        begun = _clock(fabric)
        for _ in range(TIMED_STEPS):
            engine.run_step()
        ended = _clock(fabric)
        engine.batches.close()
    return (ended - begun) / TIMED_STEPS


def _work(
    folds: Sequence[StudyData],
    settings: StudyConfig,
    gans: int,
    classifiers: int,
    gan_step: float,
    beside: int,
    trainers: Trainers,
) -> Work:
    first = folds[0]
    step = trainers.seconds_per_step(settings.classifier, first.size, len(first.classes))
    looks = steps_of_looks(first, settings.classifier)
    return Work(gans, gan_step, classifiers, step, looks, min(beside, classifiers))


def _say_steps(config: Config, work: Work) -> None:
    of_gans = work.gans * (config.steps or 0) * work.gan_step
    of_classifiers = work.classifier_seconds(config.classifier_steps)
    say(
        f"cost: {_gans(work)} of {config.steps} steps ({work.gan_step:.3f} s each, "
        f"{in_words(of_gans)}), then {work.classifiers} classifiers of {config.classifier_steps} "
        f"steps ({work.step:.3f} s each{_beside(work)}, {in_words(of_classifiers)}): about "
        f"{in_words(of_gans + of_classifiers + SECONDS_TO_REPORT)} in all"
    )


def _share_out(config: Config, work: Work) -> float:
    """Minutes of each GAN, after saying what is left for whom."""
    left = minutes_left(config).minutes or 0.0
    minutes = GAN_SHARE * left / work.gans
    gan_steps = 60 * minutes / work.gan_step
    steps = work.classifier_steps(60 * (1 - GAN_SHARE) * left - SECONDS_TO_REPORT)
    if gan_steps < FEWEST_GAN_STEPS or steps < FEWEST_STEPS:
        raise _too_short(config, work, steps, gan_steps)
    say(
        f"cost: of {config.minutes:g} min, {left:.1f} are left: {minutes:.1f} for "
        f"{'the GAN' if work.gans == 1 else f'each of {work.gans} GANs'} (about {gan_steps:.0f} "
        f"steps of {work.gan_step:.3f} s), then about {min(steps, MOST_STEPS):.0f} steps "
        f"({work.step:.3f} s each{_beside(work)}) for each of {work.classifiers} classifiers"
    )
    return minutes


def _too_short(
    config: Config, work: Work, steps: float, gan_steps: float | None = None
) -> ConfigError:
    of_gans = "" if gan_steps is None else f"{_gans(work)} of {max(gan_steps, 0):.0f} steps and "
    used = (config.minutes or 0) - (minutes_left(config).minutes or 0)
    return ConfigError(
        f"--minutes {config.minutes:g}: too short for this study",
        observed=f"it leaves {of_gans}{work.classifiers} classifiers of {max(steps, 0):.0f} steps; "
        f"the least are {FEWEST_GAN_STEPS} and {FEWEST_STEPS}",
        fix=f"--minutes {math.ceil(used + 1.1 * work.least_minutes())}, or fewer --folds, --arms, "
        "--ratios or --seeds",
    )


def _gans(work: Work) -> str:
    return f"{work.gans} GAN{'s' * (work.gans != 1)}"


def _beside(work: Work) -> str:
    return f", {work.beside} at a time" if work.beside > 1 else ""


def _finished(gan: Path) -> bool:
    path = gan / runs.MANIFEST
    return path.exists() and bool(runs.read_json(path).get("finished"))


def _read(folder: Path) -> dict[str, Any]:
    path = folder / BUDGET
    return runs.read_json(path) if path.exists() else {}


def _clock(fabric: Fabric) -> float:
    """The wall clock, once the device has done what it was told."""
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)
    return time.perf_counter()

"""What a study will take, said before it starts, and how a budget in minutes is shared out."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medimg_gan import runs
from medimg_gan.apps.augment_data import gan_folders
from medimg_gan.apps.augment_work import (
    FEWEST_GAN_STEPS,
    FEWEST_STEPS,
    GAN_SHARE,
    MOST_STEPS,
    Work,
)
from medimg_gan.apps.common import minutes_left
from medimg_gan.apps.processes import told_by_first
from medimg_gan.apps.training import network_for, stream_for
from medimg_gan.console import say
from medimg_gan.data.cores import usable_cores
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.settings import Plan
from medimg_gan.errors import ConfigError
from medimg_gan.study import Trainers
from medimg_gan.study.cost import (
    asks_classifier,
    seconds_per_slice,
    slices_described,
    steps_of_looks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning_fabric import Fabric

    from medimg_gan.apps.augment import Config
    from medimg_gan.data.prepare import Prepared
    from medimg_gan.study import StudyConfig, StudyData

BUDGET = "budget.json"
"""What was chosen once; a resumed study keeps to it."""

TIMED_STEPS = 8
"""Of the GAN, after as many to warm up: twice the period of its lazy penalty."""

WORTH_TIMING = 200
"""GAN steps below which a study starts without measuring."""


def plan_gans(
    fabric: Fabric,
    config: Config,
    prepared: Sequence[Prepared],
    folds: Sequence[StudyData],
    settings: StudyConfig,
    classifiers: int,
    folder: Path,
) -> float | None:
    """Say what the study will take; the minutes of each GAN, or None where steps bound them.

    Args:
        fabric: Launched.
        config: Flags.
        prepared: The folds, to time a GAN's step on.
        folds: Their real slices.
        settings: Of the study.
        classifiers: How many are planned, in all folds.
        folder: Of the study.

    Raises:
        ConfigError: If the minutes are too few.
    """
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
            say(work.say_steps(config.steps or 0, config.classifier_steps))
            return None
        kept = _read(folder)
        if "gan_minutes" not in kept:
            kept["gan_minutes"] = _share_out(config, work)
            runs.write_json(folder / BUDGET, kept)
        else:
            each = kept["gan_minutes"]
            say(f"cost: {work.gans_in_words} to finish, {each:.1f} min each as planned")
        return kept["gan_minutes"]

    return told_by_first(fabric, plan)


def choose_classifier_steps(
    config: Config,
    folds: Sequence[StudyData],
    settings: StudyConfig,
    classifiers: int,
    folder: Path,
    trainers: Trainers,
    processes: int,
) -> int:
    """Steps of every classifier: as asked for, or what the budget has left; fixed once chosen.

    Arms that filters leave out later are counted, since one of the filters trains for so many
    steps itself: a study without them ends sooner.

    Raises:
        ConfigError: If the minutes are too few, and no GAN was trained in them (--gan).
    """
    if config.minutes is None:
        return config.classifier_steps
    kept = _read(folder)
    if "classifier_steps" not in kept:
        left = 60 * (minutes_left(config).minutes or 0)
        trainers.begin(left)
        beside = max(processes, trainers.side_by_side)
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
    return Work(
        gans,
        gan_step,
        classifiers,
        step,
        steps_of_looks(first, settings.classifier),
        min(beside, classifiers),
        alone=len(folds) * asks_classifier(settings),
        described=sum(slices_described(data, settings) for data in folds),
        description=seconds_per_slice(first, settings),
    )


def _share_out(config: Config, work: Work) -> float:
    """Minutes of each GAN, after saying what is left for whom."""
    asked, left = config.minutes or 0.0, minutes_left(config).minutes or 0.0
    minutes = GAN_SHARE * left / work.gans
    gan_steps = 60 * minutes / work.gan_step
    steps = work.classifier_steps(60 * (1 - GAN_SHARE) * left)
    if gan_steps < FEWEST_GAN_STEPS or steps < FEWEST_STEPS:
        raise _too_short(config, work, steps, gan_steps)
    say(work.say_minutes(asked, left, minutes, steps))
    return minutes


def _too_short(
    config: Config, work: Work, steps: float, gan_steps: float | None = None
) -> ConfigError:
    of_gans = (
        "" if gan_steps is None else f"{work.gans_in_words} of {max(gan_steps, 0):.0f} steps and "
    )
    used = (config.minutes or 0) - (minutes_left(config).minutes or 0)
    return ConfigError(
        f"--minutes {config.minutes:g}: too short for this study",
        observed=f"it leaves {of_gans}{work.classifiers} classifiers of {max(steps, 0):.0f} steps "
        f"beside {work.rest_in_words}; the least are {FEWEST_GAN_STEPS} and {FEWEST_STEPS}",
        fix=f"--minutes {math.ceil(used + 1.1 * work.least_minutes())}, or fewer --folds, --arms, "
        "--ratios or --seeds",
    )


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

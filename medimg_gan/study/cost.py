"""What a study will take, from a moment's measurement, said before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medimg_gan.console import say
from medimg_gan.study.jobs import slices_asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.classify import ClassifierConfig
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.trainers import Trainers

FORWARD_SHARE = 1 / 3
"""Of a training step's time, that looking at the same slices takes: a backward pass costs two."""

WORTH_TIMING = 500
"""Steps of all classifiers below which a study starts without measuring."""


def seconds_of_fit(data: StudyData, config: ClassifierConfig, per_step: float) -> float:
    """One training with all its looks at validation and test."""
    return per_step * (config.steps + steps_of_looks(data, config))


def steps_of_looks(data: StudyData, config: ClassifierConfig) -> float:
    """Steps that take as long as one training's looks."""
    return FORWARD_SHARE * slices_asked(data, config) / config.batch_size


def announce(
    folds: Sequence[StudyData], config: StudyConfig, *, missing: int, trainers: Trainers
) -> None:
    """Say what is going to be trained and what it will cost; start processes if they pay."""
    places = f" in each of {len(folds)} folds" if len(folds) > 1 else ""
    say(
        f"study: {missing} classifiers to train ({', '.join(dict.fromkeys(config.arms))}; seeds: "
        f"{config.seeds}{places}), {config.classifier.steps} steps each"
    )
    if missing * config.classifier.steps < WORTH_TIMING:
        return
    shape, classes = folds[0].size, len(folds[0].classes)
    per_step = trainers.seconds_per_step(config.classifier, shape, classes)
    trainers.begin(missing * seconds_of_fit(folds[0], config.classifier, per_step))
    if trainers.side_by_side > 1:
        per_step = trainers.seconds_per_step(config.classifier, shape, classes)
    each = seconds_of_fit(folds[0], config.classifier, per_step)
    count = trainers.side_by_side
    beside = f", {count} at a time" if count > 1 else ""
    say(
        f"study: {per_step:.3f} s a step, {in_words(each)} a classifier{beside}: about "
        f"{in_words(missing * each / count)} in all"
    )


def in_words(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

"""What a study will take, from a moment's measurement, said before it starts."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from medimg_gan.console import say
from medimg_gan.data.ratio import count_to_add
from medimg_gan.study.features import extractor_of
from medimg_gan.study.fidelity import slices_compared
from medimg_gan.study.filter_stages import K_CENTRE, STAGES
from medimg_gan.study.filters import BATCH, CHOICE, filtered_arms
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

PASSING = 0.5
"""Share of the synthetic slices that pass the filters, as long as nobody has asked them."""

TIMED_SLICES = 16


def seconds_of_fit(data: StudyData, config: ClassifierConfig, per_step: float) -> float:
    """One training with all its looks at validation and test."""
    return per_step * (config.steps + steps_of_looks(data, config))


def steps_of_looks(data: StudyData, config: ClassifierConfig) -> float:
    """Steps that take as long as one training's looks."""
    return FORWARD_SHARE * slices_asked(data, config) / config.batch_size


def asks_classifier(config: StudyConfig) -> bool:
    """Whether a filter trains a classifier of its own, in every fold."""
    return any("agreement" in stages for stages in filtered_arms(config).values())


def slices_described(data: StudyData, config: StudyConfig) -> int:
    """Slices of a fold of which features are taken: by fidelity and by the filters.

    How many a filter sees is known only when it is asked: half are taken to pass.
    """
    described = slices_compared(data)
    chains = filtered_arms(config).values()
    by_features = [chain for chain in chains if any(STAGES[stage].by_features for stage in chain)]
    if by_features:
        most = count_to_add(data.train.labels, data.minority, max(config.ratios))
        wanted = most * max(CHOICE if K_CENTRE in chain else 1 for chain in by_features)
        each_seed = math.ceil(wanted / PASSING / BATCH) * BATCH
        described += len(data.train.of_class(data.minority)) + config.seeds * each_seed
    return described


def seconds_per_slice(data: StudyData, config: StudyConfig) -> float:
    """Of taking its features, measured for a moment."""
    extractor, some = extractor_of(data, config), data.train.images[:TIMED_SLICES]
    extractor(some)
    begun = time.perf_counter()
    extractor(some)
    return (time.perf_counter() - begun) / len(some)


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
    described = sum(slices_described(data, config) for data in folds)
    features = described * seconds_per_slice(folds[0], config)
    say(
        f"study: {per_step:.3f} s a step, {in_words(each)} a classifier{beside}; features of about "
        f"{described} slices, {in_words(features)}: about "
        f"{in_words(missing * each / count + features)} in all"
    )


def in_words(seconds: float) -> str:
    """A duration for people."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"

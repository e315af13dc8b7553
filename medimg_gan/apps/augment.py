"""Do synthetic slices of the minority class help a classifier on these data? It is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medimg_gan.apps.common import (
    TrainingConfig,
    already_finished,
    minutes_left,
    plain_name,
    run_folder,
    say_if_embedded,
)
from medimg_gan.apps.options import condition_for
from medimg_gan.console import say
from medimg_gan.data.settings import AUTO, Vary, refuse_variation
from medimg_gan.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Say whether synthetic slices of a rare class help a classifier on these data."""

    minority_class: str
    """The rare class, as the labels name it."""
    ratios: tuple[float, ...] = (0.25, 0.5, 1.0)
    """Minority slices after mixing, over those of the largest other class: 1 is balance. Several
    are compared on validation; those that the real slices already reach are left out."""
    seeds: int = 5
    """Classifiers trained for each arm and ratio."""
    folds: int = 1
    """Times that the patients are split anew, each with a GAN of its own; every patient is tested
    once at the most, and from 5 folds on exactly once."""
    arms: tuple[str, ...] = (
        "real", "weighted", "class-balanced", "classical", "duplicate", "interpolated",
        "duplicate-classical", "synthetic", "synthetic-classical",
    )  # fmt: skip
    """What is compared; an unknown name lists them all."""
    classifier: str = "resnet10"
    """resnet10 (small, fast), resnet18, efficientnet-b0, densenet121, efficientnet-lite0 (begins
    with ImageNet weights), or my_module:build, a function (classes) of your own."""
    keep_minority: float = 1.0
    """Make the class rarer on purpose: share of the training patients with it who keep these
    slices. Validation and test stay as they are."""
    filters: tuple[str, ...] = ("copies", "agreement", "density")
    """Stages of the arms filtered and filtered-classical, in this order; also critic, k-centre.
    The arm filtered:copies+k-centre has stages of its own."""
    gan: Path | None = None
    """A finished train-gan run to use; default: train one on the training patients."""
    vary: Vary = AUTO
    """Vary the real slices that the GAN learns; as for train-gan."""
    set: tuple[str, ...] = ()
    """Settings of the GAN's recipe (cgan) as name=value."""
    classifier_steps: int = 600
    """Optimiser steps of every classifier; with --minutes, what the budget allows."""
    specificity: float = 0.9
    """Specificity at which the minority's sensitivity is read, set on validation."""
    condition: tuple[str, ...] = ("auto",)
    """What the GAN knows of slices besides their class; as for train-gan."""
    features: Literal["efficientnet-lite0", "self-supervised", "random"] = "efficientnet-lite0"
    """In which features filters and fidelity are measured."""
    only: str = ""
    """The modality to use where the folder holds several."""

    def __post_init__(self) -> None:
        """Refuse at once what no study could do."""
        super().__post_init__()
        refuse_variation(self.vary)
        for name in ("seeds", "folds", "classifier_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1")
        if not 0 < self.specificity < 1:
            raise ConfigError(f"--specificity {self.specificity:g}: between 0 and 1, such as 0.9")
        if not self.ratios or not all(0 < ratio < math.inf for ratio in self.ratios):
            raise ConfigError("--ratios takes positive numbers, such as 0.5 1 2")
        if not 0 < self.keep_minority <= 1:
            raise ConfigError(
                f"--keep-minority {self.keep_minority:g}: a share above 0 and up to 1",
                fix="--keep-minority 0.1 leaves the class to a tenth of its training patients",
            )
        if self.gan is not None and self.folds > 1:
            raise ConfigError(
                f"--gan {self.gan}: one GAN cannot serve {self.folds} folds",
                cause="it was trained on patients that other folds test",
                fix="leave --gan away (each fold trains its own), or --folds 1",
            )


def main(config: Config) -> None:
    """Split by patient, train the GANs, train all classifiers, score the test patients, report."""
    folder = run_folder(config, f"augment-{plain_name(config.minority_class)}")
    next_step = f"open {folder}/report.html"
    if already_finished(folder, "augment", config, next_step):
        return
    minutes_left(config)  # refuses a study without an end, before anything heavy loads
    say_if_embedded(config.source)
    from medimg_gan.apps import augment_cost, augment_study
    from medimg_gan.apps.augment_data import real_data
    from medimg_gan.apps.training import check_options, open_training
    from medimg_gan.classify import check_network, find_network
    from medimg_gan.study.arms import stages_of
    from medimg_gan.study.fits import planned_in_all

    fabric, run = open_training(config, "augment", folder)
    check_options("cgan", config.set, config.batch_size)
    condition = condition_for(config.condition, "cgan", conditional=True)
    for arm in ("filtered", *config.arms):
        stages_of(arm, config.filters)  # an unknown one is refused before the GAN is trained
    find_network(config.classifier)
    prepared = augment_study.prepared_folds(fabric, config, folder, condition)
    check_network(config.classifier, len(prepared[0].classes), config.size)
    settings = augment_study.settings_of(config, str(fabric.device))
    folds = [real_data(config, one) for one in prepared]
    gans = [config.gan] if config.gan else []
    if gans:
        folds = augment_study.with_gans(fabric, config, prepared, folds, gans)
    classifiers = sum(map(len, planned_in_all(folds, settings)))
    checked = augment_study.look_at_real(fabric, folds, settings)
    if not gans:
        minutes = augment_cost.plan_gans(
            fabric, config, prepared, folds, settings, classifiers, folder
        )
        gans = augment_study.train_gans(fabric, config, prepared, folder, minutes)
        folds = augment_study.with_gans(fabric, config, prepared, folds, gans)
    report = augment_study.judge(
        fabric, config, folds, gans, settings, classifiers, checked, folder
    )
    if report is None:
        return  # the first process alone writes
    counts = [one.counts() for one in prepared]
    run.finish(
        counts=counts[0] if len(counts) == 1 else counts, patients_known=prepared[0].patients_known
    )
    say(f"\n{report['verdict']}")
    for reason in report["reasons"]:
        say(f"  reason: {reason}")
    for caveat in report["caveats"]:
        say(f"  note: {caveat}")
    say(f"\nreport: {folder}/report.html   figures: {folder}/report.json, {folder}/table.csv")
    say(f"next:   {next_step}")

"""Do synthetic slices of the minority class help a classifier on these data? It is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medimg_gan.apps.common import (
    TrainingConfig,
    already_finished,
    condition_for,
    minutes_left,
    plain_name,
    run_folder,
    say_if_embedded,
)
from medimg_gan.console import say
from medimg_gan.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Say whether synthetic slices of a rare class help a classifier on these data."""

    minority_class: str
    """The rare class, as the labels name it."""
    ratio: tuple[float, ...] = (1.0,)
    """Minority slices after mixing, over those of the largest other class; several are compared
    on validation."""
    seeds: int = 3
    """Classifiers trained for each arm and ratio."""
    folds: int = 1
    """Times that the patients are split anew, each with a GAN of its own; every patient is tested
    once at the most, and from 5 folds on exactly once."""
    arms: tuple[str, ...] = ("real", "weighted", "classical", "duplicate", "synthetic")
    """What is compared; an unknown name lists them all."""
    gan: Path | None = None
    """A finished train-gan run to use; default: train one on the training patients."""
    set: tuple[str, ...] = ()
    """Settings of the GAN's recipe (cgan) as name=value."""
    classifier_steps: int = 600
    """Optimiser steps of every classifier; with --minutes, what the budget allows."""
    specificity: float = 0.9
    """Specificity at which the minority's sensitivity is read, set on validation."""
    condition: tuple[str, ...] = ("auto",)
    """What the GAN knows of slices besides their class; as for train-gan."""
    only: str = ""
    """The modality to use where the folder holds several."""

    def __post_init__(self) -> None:
        """Refuse at once what no study could do."""
        super().__post_init__()
        for name in ("seeds", "folds", "classifier_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1")
        if not 0 < self.specificity < 1:
            raise ConfigError(f"--specificity {self.specificity:g}: between 0 and 1, such as 0.9")
        if not self.ratio or min(self.ratio) <= 0:
            raise ConfigError("--ratio takes positive numbers, such as 0.5 1 2")
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
    from medimg_gan.apps.training import check_options, open_training
    from medimg_gan.study.arms import find_arm

    fabric, run = open_training(config, "augment", folder)
    check_options("cgan", config.set, config.batch_size)
    condition = condition_for(config.condition, "cgan", conditional=True)
    for arm in config.arms:
        find_arm(arm)  # an unknown one is refused now, not after the GAN is trained
    prepared = augment_study.prepared_folds(fabric, config, folder, condition)
    settings = augment_study.settings_of(config, str(fabric.device))
    gans = [config.gan] if config.gan else []
    if not gans:
        minutes = augment_cost.plan_gans(fabric, config, prepared, settings, folder)
        gans = augment_study.train_gans(fabric, config, prepared, folder, minutes)
    report = augment_study.judge(fabric, config, prepared, gans, settings, folder)
    if report is None:
        return  # the first process alone writes
    counts = [one.counts() for one in prepared]
    run.finish(
        counts=counts[0] if len(counts) == 1 else counts, patients_known=prepared[0].patients_known
    )
    say(f"\n{report['verdict']}")
    for caveat in report["caveats"]:
        say(f"  note: {caveat}")
    say(f"\nreport: {folder}/report.html   figures: {folder}/report.json, {folder}/table.csv")
    say(f"next:   {next_step}")

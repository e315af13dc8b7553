"""Do synthetic slices of the minority class help a classifier on these data? It is measured."""

from __future__ import annotations

import hashlib
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medimg_gan.apps.common import (
    Budget,
    TrainingConfig,
    alarms_of,
    already_finished,
    condition_for,
    minutes_left,
    plain_name,
    run_folder,
    say_if_embedded,
)
from medimg_gan.console import say
from medimg_gan.errors import ConfigError, LabelError, RunError, SplitError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from medimg_gan.data.prepare import Prepared
    from medimg_gan.study import StudyConfig, StudyData
    from medimg_gan.synthesis import Generator

GAN_SHARE = 0.6
"""Of a budget in minutes; the classifiers get the rest."""

SECONDS_TO_REPORT = 30.0
"""What intervals, pictures and the report take."""

FEWEST_STEPS, MOST_STEPS = 50, 2000
"""Classifier steps that a budget in minutes may lead to."""


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
    arms: tuple[str, ...] = ("real", "weighted", "classical", "duplicate", "synthetic")
    """What is compared; an unknown name lists them all."""
    filters: tuple[str, ...] = ("copies", "agreement", "density")
    """Stages of the arms filtered and filtered-classical, in this order; also critic, k-centre.
    The arm filtered:copies+k-centre has stages of its own."""
    features: str = "efficientnet-lite0"
    """What filters measure likeness in; as for evaluate."""
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
        for name in ("seeds", "classifier_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1")
        if not 0 < self.specificity < 1:
            raise ConfigError(f"--specificity {self.specificity:g}: between 0 and 1, such as 0.9")
        if not self.ratio or min(self.ratio) <= 0:
            raise ConfigError("--ratio takes positive numbers, such as 0.5 1 2")


def main(config: Config) -> None:
    """Split by patient, train the GAN, train all classifiers, score the test patients, report."""
    folder = run_folder(config, f"augment-{plain_name(config.minority_class)}")
    next_step = f"open {folder}/report.html"
    if already_finished(folder, "augment", config, next_step):
        return
    minutes_left(config)  # refuses a study without an end, before anything heavy loads
    say_if_embedded(config.source)
    from medimg_gan.apps.training import check_options, open_training, prepare_once
    from medimg_gan.study.arms import stages_of

    fabric, run = open_training(config, "augment", folder)
    check_options("cgan", config.set, config.batch_size)
    condition = condition_for(config.condition, "cgan", conditional=True)
    for arm in config.arms:
        stages_of(arm, config.filters)  # an unknown one is refused before the GAN is trained
    modalities = (config.only,) if config.only else ()
    prepared = prepare_once(
        fabric,
        config,
        modalities,
        folder,
        purpose="classification",
        must_have=config.minority_class,
        condition=condition if config.gan is None else (),
    )
    gan = config.gan or _train_gan(fabric, prepared, config, folder / "gan")
    if not fabric.is_global_zero:
        return  # the classifiers are small: one process trains them
    _run_study(config, prepared, gan, folder, str(fabric.device))
    run.finish(counts=prepared.counts(), patients_known=prepared.patients_known)
    say(f"\nreport: {folder}/report.html   figures: {folder}/report.json, {folder}/table.csv")
    say(f"next:   {next_step}")


def _train_gan(fabric: Fabric, prepared: Prepared, config: Config, folder: Path) -> Path:
    """A class-conditional GAN of the training patients, in a run of its own."""
    from medimg_gan.apps.training import fit_gan, open_run_once
    from medimg_gan.data.prepare import SPLIT_FILE, save_split

    run = open_run_once(fabric, config, "train-gan", folder, restart=False)
    if not run.finished:
        if fabric.is_global_zero:
            save_split(prepared.cache.rows, folder / SPLIT_FILE)
        whole = minutes_left(config)
        minutes = None if whole.minutes is None else GAN_SHARE * whole.minutes
        budget = Budget(whole.steps, minutes)
        fit_gan(fabric, run, config, prepared, recipe="cgan", options=config.set, budget=budget)
    return folder


def _run_study(config: Config, prepared: Prepared, gan: Path, folder: Path, device: str) -> None:
    from medimg_gan.classify import ClassifierConfig
    from medimg_gan.report import write_report
    from medimg_gan.study import StudyConfig, run_study
    from medimg_gan.synthesis import load_run

    generator = load_run(gan, device)
    data = _study_data(config, prepared, _fitting(generator, gan, config, prepared), gan)
    settings = StudyConfig(
        arms=config.arms,
        ratios=config.ratio,
        seeds=config.seeds,
        seed=config.seed,
        specificity=config.specificity,
        filters=config.filters,
        features=config.features,
        classifier=ClassifierConfig(
            steps=config.classifier_steps, precision=config.engine.precision, device=device
        ),
    )
    steps = _classifier_steps(config, data, settings, folder)
    settings = replace(settings, classifier=replace(settings.classifier, steps=steps))
    result = run_study(data, settings, folder)
    result.report["caveats"] += alarms_of(gan)
    command = shlex.join(["python", *sys.argv])
    write_report(folder, {**result.report, "command": command}, result.pictures)
    say(f"\n{result.report['verdict']}")
    for caveat in result.report["caveats"]:
        say(f"  note: {caveat}")


def _study_data(config: Config, prepared: Prepared, generator: Generator, gan: Path) -> StudyData:
    from medimg_gan.modalities import MODALITIES
    from medimg_gan.recipes.base import device_of
    from medimg_gan.study import Split, StudyData
    from medimg_gan.study.arms import stages_of
    from medimg_gan.synthesis import load_critic, weights_file

    def split(name: str) -> Split:
        dataset = prepared.dataset(name)
        return Split(dataset.images(), dataset.labels, dataset.patients)

    asks_critic = any("critic" in stages_of(arm, config.filters) for arm in config.arms)
    weights = hashlib.sha256(weights_file(gan, "best").read_bytes()).hexdigest()[:12]
    return StudyData(
        train=split("train"),
        val=split("val"),
        test=split("test"),
        classes=prepared.classes,
        minority=prepared.classes.index(config.minority_class),
        synthesise=lambda count, label, seed: generator.sample_encoded(
            count, prepared.classes[label], seed
        ),
        mirror=MODALITIES[generator.modality].mirror and config.transform.mirrors,
        patients_known=prepared.patients_known,
        critique=load_critic(gan, str(device_of(generator.recipe))) if asks_critic else None,
        source=f"{type(generator.recipe).__name__} in {gan}, weights {weights}",
    )


def _fitting(loaded: object, gan: Path, config: Config, prepared: Prepared) -> Generator:
    """The run's generator, if it makes what the study needs and never saw its test patients."""
    from medimg_gan.data.prepare import SPLIT_FILE, read_split
    from medimg_gan.synthesis import Generator

    if not isinstance(loaded, Generator):
        raise RunError(f"{gan}: a translator, not a GAN from noise", fix="give a train-gan run")
    if not loaded.recipe.conditional or config.minority_class not in loaded.classes:
        raise LabelError(
            f"{gan}: cannot make class {config.minority_class!r}",
            observed=f"it makes: {', '.join(loaded.classes) or 'one kind of slice'}",
            fix="train with --recipe cgan on the same labels, or leave --gan away",
        )
    modality = str(prepared.dataset("train").table["modality"].iloc[0])
    if loaded.modality != modality:
        raise ConfigError(f"{gan}: makes {loaded.modality} slices, the study has {modality}")
    if loaded.recipe.spec.size != config.size:
        raise ConfigError(
            f"{gan}: makes slices of {loaded.recipe.spec.size} pixels, the study has {config.size}",
            fix=f"--size {loaded.recipe.spec.size}",
        )
    if loaded.chain != config.transform:
        raise ConfigError(
            f"{gan}: its pictures were made by another transform than the study's",
            observed=f"{loaded.chain} against {config.transform}",
            fix="give the same --transform flags, or leave --gan away",
        )
    split = read_split(gan / SPLIT_FILE)
    seen = {patient for patient, part in split.items() if part == "train"}
    chose = {patient for patient, part in split.items() if part == "val"}  # its best weights
    foreign = seen - set(prepared.dataset("train").patients)
    tested = chose & set(prepared.dataset("test").patients)
    if foreign or tested:
        raise SplitError(
            f"{gan}: knows patients that this study holds out",
            observed=f"{len(foreign)} of its {len(seen)} training patients are no training "
            f"patients here, {len(tested)} of its {len(chose)} validation patients are test "
            "patients here",
            cause="another seed, other data or another project key gave another split",
            fix="use the seed, --data and --cache of that run, or leave --gan away",
        )
    return loaded


def _classifier_steps(config: Config, data: StudyData, settings: StudyConfig, folder: Path) -> int:
    """Steps of every classifier: as asked for, or what the budget has left; fixed once chosen."""
    from medimg_gan.classify import seconds_per_step
    from medimg_gan.runs import read_json, write_json
    from medimg_gan.study import planned_fits

    if config.minutes is None:
        return config.classifier_steps
    path = folder / "classifier_steps.json"
    if path.exists():
        return int(read_json(path)["steps"])
    left = 60 * (minutes_left(config).minutes or 0) - SECONDS_TO_REPORT
    per_step = seconds_per_step(settings.classifier, data.size, len(data.classes))
    affordable = left / (len(planned_fits(data, settings)) * per_step)
    steps = int(min(max(affordable, FEWEST_STEPS), MOST_STEPS))
    write_json(path, {"steps": steps})
    return steps

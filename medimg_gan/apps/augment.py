"""Do synthetic slices of the minority class help a classifier on these data? It is measured."""

from __future__ import annotations

import hashlib
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
from medimg_gan.data.settings import AUTO, Vary, refuse_variation
from medimg_gan.errors import ConfigError, LabelError, RunError, SplitError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from medimg_gan.data.prepare import Prepared
    from medimg_gan.study import StudyConfig, StudyData
    from medimg_gan.synthesis import Generator

GAN_SHARE = 0.6
"""Of a budget in minutes; the classifiers get the rest."""

SECONDS_TO_REPORT = 60.0
"""What intervals, pictures, features and the report take."""

FEWEST_STEPS, MOST_STEPS = 50, 2000
"""Classifier steps that a budget in minutes may lead to."""


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
    arms: tuple[str, ...] = (
        "real", "weighted", "class-balanced", "classical", "duplicate", "interpolated",
        "synthetic", "synthetic-classical",
    )  # fmt: skip
    """What is compared; an unknown name lists them all."""
    classifier: str = "resnet10"
    """resnet10 (small, fast), resnet18, efficientnet-b0, densenet121, efficientnet-lite0 (begins
    with ImageNet weights), or my_module:build, a function (classes) of your own."""
    keep_minority: float = 1.0
    """Make the class rarer on purpose: share of the training patients with it who keep these
    slices. Validation and test stay as they are."""
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
    """In which features fidelity is measured."""
    only: str = ""
    """The modality to use where the folder holds several."""

    def __post_init__(self) -> None:
        """Refuse at once what no study could do."""
        super().__post_init__()
        refuse_variation(self.vary)
        for name in ("seeds", "classifier_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name.replace('_', '-')} must be at least 1")
        if not 0 < self.specificity < 1:
            raise ConfigError(f"--specificity {self.specificity:g}: between 0 and 1, such as 0.9")
        if not self.ratios or min(self.ratios) <= 0:
            raise ConfigError("--ratios takes positive numbers, such as 0.5 1 2")
        if not 0 < self.keep_minority <= 1:
            raise ConfigError(
                f"--keep-minority {self.keep_minority:g}: a share above 0 and up to 1",
                fix="--keep-minority 0.1 leaves the class to a tenth of its training patients",
            )


def main(config: Config) -> None:
    """Split by patient, train the GAN, train all classifiers, score the test patients, report."""
    folder = run_folder(config, f"augment-{plain_name(config.minority_class)}")
    next_step = f"open {folder}/report.html"
    if already_finished(folder, "augment", config, next_step):
        return
    minutes_left(config)  # refuses a study without an end, before anything heavy loads
    say_if_embedded(config.source)
    from medimg_gan.apps.training import check_options, open_training, prepare_once
    from medimg_gan.classify import check_network, find_network
    from medimg_gan.study.arms import find_arm

    fabric, run = open_training(config, "augment", folder)
    check_options("cgan", config.set, config.batch_size)
    condition = condition_for(config.condition, "cgan", conditional=True)
    for arm in config.arms:
        find_arm(arm)  # an unknown one is refused now, not after the GAN is trained
    find_network(config.classifier)
    modalities = (config.only,) if config.only else ()
    prepared = prepare_once(
        fabric,
        config,
        modalities,
        folder,
        purpose="classification",
        must_have=config.minority_class,
        condition=condition if config.gan is None else (),
        keep=config.keep_minority,
    )
    check_network(config.classifier, len(prepared.classes), config.size)
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
        fit_gan(
            fabric,
            run,
            config,
            prepared,
            recipe="cgan",
            options=config.set,
            budget=budget,
            vary=config.vary,
        )
    return folder


def _run_study(config: Config, prepared: Prepared, gan: Path, folder: Path, device: str) -> None:
    from medimg_gan.classify import ClassifierConfig
    from medimg_gan.report import write_report
    from medimg_gan.report.board import write_board
    from medimg_gan.study import StudyConfig, run_study
    from medimg_gan.synthesis import load_run

    generator = load_run(gan, device)
    data = _study_data(config, prepared, _fitting(generator, gan, config, prepared), gan)
    settings = StudyConfig(
        arms=config.arms,
        ratios=config.ratios,
        seeds=config.seeds,
        seed=config.seed,
        specificity=config.specificity,
        features=config.features,
        classifier=ClassifierConfig(
            config.classifier,
            steps=config.classifier_steps,
            precision=config.engine.precision,
            device=device,
        ),
    )
    steps = _classifier_steps(config, data, settings, folder)
    settings = replace(settings, classifier=replace(settings.classifier, steps=steps))
    result = run_study(data, settings, folder)
    result.report["caveats"] += alarms_of(gan)
    command = shlex.join(["python", *sys.argv])
    report = {**result.report, "command": command, "splits": _splits(folder)}
    write_report(folder, report, result.pictures)
    write_board(folder, report, result.pictures)
    say(f"\n{result.report['verdict']}")
    for caveat in result.report["caveats"]:
        say(f"  note: {caveat}")


def _splits(folder: Path) -> list[dict[str, str]]:
    """The run's split files with their hashes: a repetition can tell whether it had the same."""
    return [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(folder.glob("split*.csv"))
    ]


def _study_data(config: Config, prepared: Prepared, generator: Generator, gan: Path) -> StudyData:
    from medimg_gan.modalities import MODALITIES
    from medimg_gan.study import Split, StudyData
    from medimg_gan.synthesis import weights_file

    def split(name: str) -> Split:
        dataset = prepared.dataset(name)
        return Split(dataset.images(), dataset.labels, dataset.patients)

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
        thinned=prepared.thinned,
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
    known = loaded.class_counts[loaded.classes.index(config.minority_class)]
    kept = prepared.counts()["train"][config.minority_class]
    if prepared.thinned and known > kept:
        raise SplitError(
            f"{gan}: knows {config.minority_class} slices that --keep-minority takes away",
            observed=f"it learnt from {known}, the study keeps {kept}",
            fix="leave --gan away, or give the gan folder of a study with the same share and seed",
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

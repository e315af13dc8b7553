"""The heavy half of ``augment``: folds, GANs, arrays, classifiers, report."""

from __future__ import annotations

import hashlib
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan.apps.augment_cost import choose_classifier_steps
from medimg_gan.apps.augment_data import gan_folders, with_gan
from medimg_gan.apps.common import Budget, alarms_of, with_embedded_data
from medimg_gan.apps.processes import told_by_first
from medimg_gan.apps.training import fit_gan, once, open_run_once
from medimg_gan.classify import ClassifierConfig
from medimg_gan.console import say
from medimg_gan.data.cores import usable_cores
from medimg_gan.data.folds import prepare_folds
from medimg_gan.data.prepare import Prepared, prepare
from medimg_gan.data.split_file import SPLIT_FILE, save_split
from medimg_gan.report import write_report
from medimg_gan.report.board import write_board
from medimg_gan.study import StudyConfig, StudyData, Trainers, run_study
from medimg_gan.study.filter_report import sift
from medimg_gan.study.filters import check_needs
from medimg_gan.study.fits import missing_fits, train_share
from medimg_gan.study.leakage import RealLeakage, check_real, in_words, pooled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning_fabric import Fabric

    from medimg_gan.apps.augment import Config


def prepared_folds(
    fabric: Fabric, config: Config, folder: Path, condition: tuple[str, ...]
) -> list[Prepared]:
    """The data, split by patient: once, or for each fold."""
    modalities = (config.only,) if config.only else ()

    def ready() -> list[Prepared]:
        settings: dict[str, Any] = {
            "size": config.size,
            "seed": config.seed,
            "folder": folder,
            "must_have": config.minority_class,
            "chain": config.transform,
            "condition": condition if config.gan is None else (),
            "keep": config.keep_minority,
        }
        source = with_embedded_data(config.source, "classification")
        if config.folds == 1:
            return [prepare(source, modalities, **settings)]
        return prepare_folds(source, modalities, folds=config.folds, **settings)

    return once(fabric, ready)


def settings_of(config: Config, device: str) -> StudyConfig:
    """The flags as the study takes them."""
    return StudyConfig(
        arms=config.arms,
        ratios=config.ratios,
        seeds=config.seeds,
        seed=config.seed,
        specificity=config.specificity,
        filters=config.filters,
        features=config.features,
        classifier=ClassifierConfig(
            config.classifier,
            steps=config.classifier_steps,
            precision=config.engine.precision,
            device=device,
        ),
    )


def train_gans(
    fabric: Fabric,
    config: Config,
    prepared: Sequence[Prepared],
    folder: Path,
    minutes: float | None,
) -> list[Path]:
    """A class-conditional GAN of each fold's training patients, in a run of its own.

    Args:
        fabric: Launched.
        config: Flags.
        prepared: The folds.
        folder: Of the study.
        minutes: Budget of each; None where steps bound them.
    """
    places = gan_folders(folder, len(prepared))
    for fold, (place, data) in enumerate(zip(places, prepared, strict=True), start=1):
        run = open_run_once(fabric, config, "train-gan", place, restart=False)
        if not run.finished:
            if len(places) > 1:
                say(f"fold {fold} of {len(places)}: its GAN")
            if fabric.is_global_zero:
                save_split(data.cache.rows, place / SPLIT_FILE)
            budget = Budget(config.steps if minutes is None else None, minutes)
            fit_gan(
                fabric,
                run,
                config,
                data,
                recipe="cgan",
                options=config.set,
                budget=budget,
                vary=config.vary,
            )
    return places


def look_at_real(
    fabric: Fabric, folds: Sequence[StudyData], settings: StudyConfig
) -> list[RealLeakage]:
    """What the real slices of each fold tell: asked once, before hours go into a GAN.

    Raises:
        SplitError: If anything held out is in what is learnt from.
        DataError: If a filter could not be fitted.
    """

    def look() -> list[RealLeakage]:
        for data in folds:
            check_needs(data, settings)
        return [check_real(data, settings) for data in folds]

    checked = told_by_first(fabric, look)
    table = pooled([*one.exact, *one.alike] for one in checked)
    for warning in in_words(table):
        say(f"  note: {warning}")
    return checked


def with_gans(
    fabric: Fabric,
    config: Config,
    prepared: Sequence[Prepared],
    folds: Sequence[StudyData],
    gans: Sequence[Path],
) -> list[StudyData]:
    """The folds, each with its GAN."""
    return [
        with_gan(data, config, one, gan, str(fabric.device))
        for data, one, gan in zip(folds, prepared, gans, strict=True)
    ]


def judge(
    fabric: Fabric,
    config: Config,
    folds: Sequence[StudyData],
    gans: Sequence[Path],
    settings: StudyConfig,
    classifiers: int,
    checked: Sequence[RealLeakage],
    folder: Path,
) -> dict[str, Any] | None:
    """Train the classifiers, compare, write the report; None in all processes but the first.

    Several processes (torchrun) share the classifiers out; each keeps its own in files, from
    which the first gathers them. What filters leave out, the first finds for all.
    """
    alone = fabric.world_size == 1
    with Trainers(min(config.source.workers, usable_cores()) if alone else 1) as trainers:
        steps = told_by_first(
            fabric,
            lambda: choose_classifier_steps(
                config, folds, settings, classifiers, folder, trainers, fabric.world_size
            ),
        )
        settings = replace(settings, classifier=replace(settings.classifier, steps=steps))
        filters = told_by_first(fabric, lambda: sift(folds, settings))
        if not alone:
            running = filters.of_running(settings)
            missing = told_by_first(fabric, lambda: missing_fits(folds, running, folder))
            share = missing[fabric.global_rank :: fabric.world_size]
            train_share(folds, running, folder, share)
            fabric.barrier()
            if not fabric.is_global_zero:
                return None
        result = run_study(folds, settings, folder, trainers, checked=checked, filters=filters)
    for fold, gan in enumerate(gans, start=1):
        where = f"fold {fold}: " if len(gans) > 1 else ""
        result.report["caveats"] += [where + alarm for alarm in alarms_of(gan)]
    command = shlex.join(["python", *sys.argv])
    report = {**result.report, "command": command, "splits": _splits(folder)}
    write_report(folder, report, result.pictures)
    write_board(folder, report, result.pictures)
    return report


def _splits(folder: Path) -> list[dict[str, str]]:
    """The run's split files with their hashes: a repetition can tell whether it had the same."""
    found = sorted([*folder.glob("split*.csv"), *folder.glob("folds.csv")])
    return [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in found
    ]

"""What ``augment`` gives the study: the arrays of each fold, and a GAN that saw no other."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from medimg_gan.data.prepare import Prepared
from medimg_gan.data.split_file import SPLIT_FILE, read_split
from medimg_gan.errors import ConfigError, LabelError, RunError, SplitError
from medimg_gan.modalities import MODALITIES
from medimg_gan.study import Split, StudyData, fold_folder
from medimg_gan.study.arms import stages_of
from medimg_gan.synthesis import Generator, load_critic, load_run, weights_file

if TYPE_CHECKING:
    from medimg_gan.apps.augment import Config
    from medimg_gan.types import FloatArray


def gan_folders(folder: Path, folds: int) -> list[Path]:
    """Where the GAN of each fold trains."""
    return [fold_folder(folder, fold, folds) / "gan" for fold in range(folds)]


def real_data(config: Config, prepared: Prepared) -> StudyData:
    """The real slices of one fold: all that is looked at before there is a GAN."""
    splits = {}
    for name in ("train", "val", "test"):
        dataset = prepared.dataset(name)
        splits[name] = Split(dataset.images(), dataset.labels, dataset.patients)
    modality = str(prepared.dataset("train").table["modality"].iloc[0])
    return StudyData(
        **splits,
        classes=prepared.classes,
        minority=prepared.classes.index(config.minority_class),
        synthesise=_nothing,
        mirror=MODALITIES[modality].mirror and config.transform.mirrors,
        patients_known=prepared.patients_known,
        thinned=prepared.thinned,
    )


def with_gan(
    data: StudyData, config: Config, prepared: Prepared, gan: Path, device: str
) -> StudyData:
    """The same fold with its GAN."""
    generator = _fitting(load_run(gan, device), gan, config, prepared)
    asks_critic = any("critic" in stages_of(arm, config.filters) for arm in config.arms)
    weights = hashlib.sha256(weights_file(gan, "best").read_bytes()).hexdigest()[:12]
    return data.with_generator(
        lambda count, label, seed: generator.sample_encoded(count, prepared.classes[label], seed),
        source=f"{type(generator.recipe).__name__} in {gan}, weights {weights}",
        generator_split=read_split(gan / SPLIT_FILE),
        critique=load_critic(gan, device) if asks_critic else None,
    )


def _nothing(count: int, label: int, seed: int) -> FloatArray:
    raise AssertionError("there is no GAN yet")


def _fitting(loaded: object, gan: Path, config: Config, prepared: Prepared) -> Generator:
    """The run's generator, if it makes what the study needs."""
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
    return loaded

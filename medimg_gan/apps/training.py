"""The heavy half of the training verbs (imported after the flags are parsed)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric

from medimg_gan import runs
from medimg_gan.apps.common import Budget, TrainingConfig, typical_scale, with_embedded_data
from medimg_gan.apps.options import parse_options
from medimg_gan.apps.processes import told_by_first
from medimg_gan.apps.watching import watch_for
from medimg_gan.config import as_dict
from medimg_gan.data.dataset import SliceDataset, Stream
from medimg_gan.data.prepare import Prepared, prepare
from medimg_gan.data.settings import AUTO, Vary
from medimg_gan.data.variation import VariedStream, variation_for
from medimg_gan.engine.alarms import ALARMS
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.rows import read_rows
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import Plan
from medimg_gan.engine.watch import Watch, read_best
from medimg_gan.modalities import MODALITIES
from medimg_gan.recipes import RECIPES, Recipe, Spec
from medimg_gan.recipes.game import GameConfig
from medimg_gan.slices import spread_over

if TYPE_CHECKING:
    from medimg_gan.types import Batch
    from medimg_gan.types import Stream as StreamFunction

PreparedT = TypeVar("PreparedT")
HELD_OUT_IMAGES = 64
PREVIEW_IMAGES = 8


def open_training(config: TrainingConfig, verb: str, folder: Path) -> tuple[Fabric, runs.Run]:
    """Launch the processes, then begin or find the run (the first process alone writes)."""
    fabric = make_fabric(config.engine)
    return fabric, open_run_once(fabric, config, verb, folder, restart=config.restart)


def open_run_once(
    fabric: Fabric, config: TrainingConfig, verb: str, folder: Path, *, restart: bool
) -> runs.Run:
    """Begin or find a run: the first process does, the others are told."""

    def begin() -> bool:
        return runs.open_run(folder, verb, as_dict(config), restart=restart).finished

    return runs.Run(folder, finished=told_by_first(fabric, begin))


def fit_gan(
    fabric: Fabric,
    run: runs.Run,
    config: TrainingConfig,
    prepared: Prepared,
    *,
    recipe: str,
    options: tuple[str, ...],
    budget: Budget,
    vary: Vary = AUTO,
    patience: int = 0,
) -> None:
    """Train a noise recipe on the training patients and note what it takes to sample from it."""
    end = told_by_first(fabric, lambda: budget)  # processes began to count at different moments
    train, val = prepared.dataset("train"), prepared.dataset("val")
    rows = train.table
    modality = str(rows["modality"].iloc[0])
    unit = unit_of(modality, rows)
    net = network_for(config, prepared, recipe, options)
    held_out = _some(val, HELD_OUT_IMAGES)
    watch = watch_for(fabric, config, train, val, end, patience)
    known = len(set(train.patients)) if prepared.patients_known else None
    variation = variation_for(vary, known, mirror=net.spec.mirror, tones=not net.spec.calibrated)
    note(
        fabric,
        run,
        net,
        recipe,
        variation=asdict(variation),
        modality=modality,
        unit=unit,
        scale=typical_scale(rows),
        class_counts=np.bincount(train.labels, minlength=max(1, len(prepared.classes))).tolist(),
        numbers=[asdict(number) for number in prepared.numbers],
        counts=prepared.counts(),
        patients_known=prepared.patients_known,
        **chain_facts(config, prepared),
    )
    drawn = stream_for(config, prepared, recipe)
    stream = VariedStream(drawn, variation, config.seed) if variation.strength else drawn
    preview = _some(train, PREVIEW_IMAGES)
    fit(fabric, run, config, net, stream, end, held_out, preview, watch)


def network_for(
    config: TrainingConfig, prepared: Prepared, recipe: str, options: tuple[str, ...]
) -> Recipe:
    """A noise recipe with its starting weights, that makes slices like the training patients'."""
    rows = prepared.dataset("train").table
    modality = str(rows["modality"].iloc[0])
    names = tuple(number.name for number in prepared.numbers)
    spec = spec_of(config, modality, unit_of(modality, rows), prepared.classes)
    return build(recipe, options, replace(spec, numbers=names), config.seed)


def stream_for(config: TrainingConfig, prepared: Prepared, recipe: str) -> Stream:
    """The training slices.

    Every class gets its share of a conditional GAN's attention; an unconditional one learns the mix
    that the data have.
    """
    balanced = len(prepared.classes) > 1 and RECIPES[recipe].conditional
    train = prepared.dataset("train")
    return Stream(train, config.batch_size, config.seed, balanced=balanced)


def spec_of(config: TrainingConfig, modality: str, unit: str, classes: tuple[str, ...]) -> Spec:
    """What a noise recipe must know of slices of one modality, given in ``unit``."""
    kind = MODALITIES[modality]
    return Spec(
        size=config.size,
        classes=classes,
        mirror=kind.mirror and config.transform.mirrors,
        # A picture's grey levels went through somebody's window: they are in no unit, CT or not.
        calibrated=kind.calibrated and unit != "display",
    )


def build(recipe: str, options: tuple[str, ...], spec: Spec, seed: int) -> Recipe:
    """A recipe with its starting weights, drawn from the run's seed alone."""
    entry = RECIPES[recipe]
    torch.manual_seed(seed)
    return entry(parse_options(entry.Config, options, recipe), spec)


def check_options(recipe: str, options: tuple[str, ...], batch_size: int | None = None) -> None:
    """Refuse a wrong ``--set``, or one that the batch size does not fit, before data are read."""
    settings = parse_options(RECIPES[recipe].Config, options, recipe)
    if batch_size is not None and isinstance(settings, GameConfig):
        settings.refuse_batches_of(batch_size)


def unit_of(modality: str, rows: Any) -> str:
    """Unit of decoded values: display pictures keep their grey levels."""
    if (rows["unit"] == "display").all():
        return "display"
    return "HU" if modality == "ct" else "signal"


def prepare_once(
    fabric: Fabric,
    config: TrainingConfig,
    modalities: tuple[str, ...],
    folder: Path,
    *,
    purpose: str,
    labelled: bool = True,
    must_have: str = "",
    condition: tuple[str, ...] = (),
    keep: float = 1.0,
) -> Prepared:
    """Prepare the data in the first process, then open the ready cache in the others.

    Args:
        fabric: Launched.
        config: Flags of the verb.
        modalities: As for :func:`medimg_gan.data.prepare.prepare`.
        folder: The run's.
        purpose: Which phantom to use where the user named no data.
        labelled: As for ``prepare``.
        must_have: As for ``prepare``.
        condition: As for ``prepare``.
        keep: As for ``prepare``.
    """

    def ready() -> Prepared:
        return prepare(
            with_embedded_data(config.source, purpose),
            modalities,
            size=config.size,
            seed=config.seed,
            folder=folder,
            labelled=labelled,
            must_have=must_have,
            chain=config.transform,
            condition=condition,
            keep=keep,
        )

    return once(fabric, ready)


def once(fabric: Fabric, ready: Callable[[], PreparedT]) -> PreparedT:
    """What ``ready`` makes in the first process, then, with its work done, in the others."""
    first: list[PreparedT] = []
    told_by_first(fabric, lambda: first.append(ready()))
    return first[0] if first else ready()


def chain_facts(config: TrainingConfig, prepared: Prepared) -> dict[str, Any]:
    """What later verbs need so that they treat scans as this training did."""
    standard = prepared.standard
    return {
        "transform": asdict(config.transform),
        "standard": list(standard.landmarks) if standard else None,
    }


def note(fabric: Fabric, run: runs.Run, net: Recipe, recipe: str, **facts: Any) -> None:
    """Write into the manifest what later verbs need to build and use the networks."""
    if fabric.is_global_zero:
        run.note(recipe=recipe, options=asdict(net.config), spec=asdict(net.spec), **facts)
    fabric.barrier()


def fit(
    fabric: Fabric,
    run: runs.Run,
    config: TrainingConfig,
    net: Recipe,
    stream: StreamFunction,
    budget: Budget,
    held_out: Batch | None,
    preview: Batch | None,
    watch: Watch | None = None,
) -> None:
    """Train to the end of the budget, and finish the run."""
    plan = Plan(budget.steps, budget.minutes, config.seed, config.batch_size)
    engine = Engine(
        fabric, net, stream, plan, run.folder, config.engine,
        held_out=held_out, preview=preview, watch=watch,
    )  # fmt: skip
    try:
        engine.fit()
    finally:
        if fabric.is_global_zero:  # also of a training that was stopped, or that diverged
            run.note(alarms=read_rows(run.folder / ALARMS), best=read_best(run.folder))
    if fabric.is_global_zero:
        run.finish(steps=engine.step)
    fabric.barrier()


def _some(dataset: SliceDataset, count: int) -> Batch | None:
    """Up to ``count`` items spread evenly over a dataset; None when it is empty."""
    if not len(dataset):
        return None
    return dataset.gather(spread_over(len(dataset), count))

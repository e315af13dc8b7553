"""The heavy half of ``train-cyclegan``: data of two domains, and a translation recipe trained."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lightning_fabric import Fabric

from medimg_gan import runs
from medimg_gan.apps.common import Budget, TrainingConfig, typical_scale, with_embedded_data
from medimg_gan.apps.processes import told_by_first
from medimg_gan.apps.training import (
    HELD_OUT_IMAGES,
    build,
    chain_facts,
    fit,
    note,
    once,
    unit_of,
)
from medimg_gan.apps.translation_batches import (
    Balance,
    both_sides,
    held_out_batch,
    only_volumes,
    translation_stream,
)
from medimg_gan.data.domains import Domain
from medimg_gan.data.translation import PreparedTranslation, prepare_translation
from medimg_gan.modalities import MODALITIES
from medimg_gan.modalities.ct import WINDOWS, window_of
from medimg_gan.recipes import RECIPES, Spec, TranslationRecipe


def prepare_translation_once(
    fabric: Fabric,
    config: TrainingConfig,
    domains: tuple[Domain, Domain],
    folder: Path,
    *,
    paired: bool,
    truth: Path | None,
    labelled: bool,
) -> PreparedTranslation:
    """As :func:`prepare_once`, for :func:`medimg_gan.data.translation.prepare_translation`."""
    sequences = any(domain.sequences for domain in domains)
    source = with_embedded_data(config.source, "sequences" if sequences else "translation")

    def ready() -> PreparedTranslation:
        return prepare_translation(
            source,
            domains,
            size=config.size,
            seed=config.seed,
            folder=folder,
            paired=paired,
            truth=truth,
            labelled=labelled,
            chain=config.transform,
        )

    return once(fabric, ready)


def fit_translator(
    fabric: Fabric,
    run: runs.Run,
    config: TrainingConfig,
    prepared: PreparedTranslation,
    *,
    recipe: str,
    options: tuple[str, ...],
    budget: Budget,
    adjacent: int | Literal["auto"] = "auto",
    balance: Balance = "auto",
) -> None:
    """Train a translation recipe on slices of the training patients.

    Args:
        fabric: Launched.
        run: To train in.
        config: Flags of the verb.
        prepared: In pairs where the recipe is ``paired``.
        recipe: Name of a translation recipe.
        options: Its settings, as name=value.
        budget: How long.
        adjacent: Neighbouring slices in an image, an odd number; auto: as the recipe would have
            them, where all scans are volumes.
        balance: What the sampling of unpaired slices is balanced by.

    Raises:
        DataError, LabelError: See :mod:`medimg_gan.apps.translation_batches`.
    """
    source, target = prepared.domains
    kind = translation_recipe(recipe)
    if adjacent == "auto":
        adjacent = kind.adjacent if only_volumes(prepared) else 1
    train, val = (both_sides(prepared, part, adjacent) for part in ("train", "val"))
    stream, balanced = translation_stream(
        train, config.batch_size, config.seed, kind.paired, balance
    )
    modalities = (source.modality, target.modality)
    rows = train[1].table
    unit = unit_of(target.modality, rows)
    in_window = unit == "HU" and window_of(config.transform.window) == WINDOWS["wide"]
    mirror = all(MODALITIES[name].mirror for name in modalities) and config.transform.mirrors
    spec = Spec(
        channels=adjacent,
        size=config.size,
        mirror=mirror,
        source_channels=adjacent * len(source.channels),
        dark_bone=source.modality == "mri" and in_window,
    )
    net = build(recipe, options, spec, config.seed)
    note(
        fabric,
        run,
        net,
        recipe,
        source=source.name,
        target=target.name,
        sources=list(source.channels),
        source_modality=source.modality,
        target_modality=target.modality,
        adjacent=adjacent,
        paired=kind.paired,
        balance_prior=balanced,
        unit=unit,
        scale=typical_scale(rows),
        counts=prepared.counts(),
        patients_known=prepared.patients_known,
        **chain_facts(config, prepared),
    )
    held_out = held_out_batch(*val, HELD_OUT_IMAGES // 4)
    end = told_by_first(fabric, lambda: budget)  # processes began to count at different moments
    fit(fabric, run, config, net, stream, end, held_out, held_out)


def translation_recipe(name: str) -> type[TranslationRecipe]:
    """A recipe of :data:`RECIPES` that translates."""
    entry = RECIPES[name]
    assert issubclass(entry, TranslationRecipe), "flags offer no other"
    return entry

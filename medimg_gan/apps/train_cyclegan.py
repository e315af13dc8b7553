"""Train a translator between two modalities or sequences, on the training patients of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from medimg_gan.apps.common import (
    TrainingConfig,
    already_finished,
    minutes_left,
    run_folder,
    say_if_embedded,
)
from medimg_gan.apps.options import check_settings
from medimg_gan.console import say
from medimg_gan.data.domains import Domain, parse_domains
from medimg_gan.errors import ConfigError, DataError

RecipeName = Literal[
    "cut", "cyclegan", "cyclegan-structure", "disguise", "pix2pix", "reggan", "regression"
]
EMBEDDED = ("ct", "mri", "t1", "t2")
"""What the embedded phantom holds."""


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Train a translator between two modalities or MR sequences."""

    src: str
    """What to translate from: mri, ct, xray or picture, an MR sequence (t1, t2, flair ...: column
    'sequence' of the index), or several sequences as channels: t1+t2."""
    tgt: str
    """What to translate to: a modality or one sequence."""
    recipe: RecipeName = "disguise"
    """disguise, cyclegan-structure, cyclegan and cut learn from unpaired scans; pix2pix, reggan
    and regression from pairs. cyclegan is as in its paper; disguise had the lowest error of
    the unpaired ones from MRI to CT (docs/translation-benchmark-tumours.md)."""
    adjacent: int | Literal["auto"] = "auto"
    """Neighbouring slices in an image (2.5D), an odd number; 1: each slice by itself. auto: 3 for
    volumes with disguise and cyclegan-structure, else 1."""
    balance_prior: Literal["auto", "none", "position", "label"] = "auto"
    """How unpaired slices are drawn, so that no critic learns what the sets differ in by chance:
    targets at about the source's height (position; a patient's pictures count as stacked by
    their names), both with one mix of classes (label), or as they come (none). auto: position
    for volumes, none for single pictures."""
    truth: Path | None = None
    """Folder of the true targets, named like the sources; only for recipes that learn from pairs,
    which otherwise take them from --data."""
    set: tuple[str, ...] = ()
    """Recipe settings as name=value; an unknown name lists them all."""

    def __post_init__(self) -> None:
        """Refuse at once what no training could do."""
        super().__post_init__()
        if self.adjacent != "auto" and (self.adjacent < 1 or self.adjacent % 2 == 0):
            raise ConfigError(
                f"--adjacent {self.adjacent}: an odd number of slices has a middle",
                fix="--adjacent 3",
            )
        if self.truth is not None and not self.truth.is_dir():
            raise DataError(f"--truth {self.truth}: no such folder", fix="check its spelling")


def main(config: Config) -> None:
    """Index, cache, split, fit; the run's folder holds weights, checkpoints and TensorBoard."""
    domains = parse_domains(config.src, config.tgt)
    _refuse_what_is_not_embedded(config, domains)
    source, target = domains
    folder = run_folder(config, f"train-{config.recipe}-{source.name}-{target.name}")
    check = partial(check_settings, config.recipe, config.set)
    if already_finished(folder, "train-cyclegan", config, _next(folder), check=check):
        return
    minutes_left(config)  # refuses a training without an end, before anything heavy loads
    say_if_embedded(config.source)
    from medimg_gan.apps.training import check_options, open_training
    from medimg_gan.apps.training_translator import (
        fit_translator,
        prepare_translation_once,
        translation_recipe,
    )

    paired = translation_recipe(config.recipe).paired
    _refuse_what_does_nothing(config, paired=paired)
    check_options(config.recipe, config.set)
    fabric, run = open_training(config, "train-cyclegan", folder)
    prepared = prepare_translation_once(
        fabric,
        config,
        domains,
        folder,
        paired=paired,
        truth=config.truth,
        labelled=config.balance_prior == "label",
    )
    fit_translator(
        fabric,
        run,
        config,
        prepared,
        recipe=config.recipe,
        options=config.set,
        budget=minutes_left(config),
        adjacent=config.adjacent,
        balance=config.balance_prior,
    )
    say(f"\npictures: {folder}/samples   curves: tensorboard --logdir {folder.parent}")
    say(f"next:     {_next(folder)}")


def _refuse_what_is_not_embedded(config: Config, domains: tuple[Domain, Domain]) -> None:
    """Name what the phantom holds, before anything heavy is loaded."""
    for flag, domain in zip(("--src", "--tgt"), domains, strict=True):
        absent = [name for name in domain.channels if name not in EMBEDDED]
        if config.source.data is None and absent:
            raise ConfigError(
                f"{flag} {absent[0]!r}: the embedded phantom has none",
                observed=f"it holds: {', '.join(EMBEDDED)}",
                fix="name one of these, or --data DIR",
            )


def _refuse_what_does_nothing(config: Config, *, paired: bool) -> None:
    if config.truth is not None and not paired:
        raise ConfigError(
            f"--truth: recipe {config.recipe} learns without pairs, and must not see the answers",
            fix="leave it away; translate.py and evaluate.py take --truth to score",
        )
    if paired and config.balance_prior not in ("auto", "none"):
        raise ConfigError(
            f"--balance-prior {config.balance_prior}: recipe {config.recipe} learns from pairs, "
            "whose two sides are balanced already",
            fix="leave it away",
        )


def _next(folder: Path) -> str:
    return f"python scripts/translate.py --run {folder} --data DIR --out translated"

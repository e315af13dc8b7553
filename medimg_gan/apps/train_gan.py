"""Train a GAN that makes slices from noise, on the training patients of a folder."""

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
from medimg_gan.apps.options import check_settings, condition_for
from medimg_gan.console import say
from medimg_gan.data.settings import AUTO, Vary, refuse_variation
from medimg_gan.errors import ConfigError

RecipeName = Literal[
    "cgan", "dcgan", "fastgan", "progressive", "stylegan3", "vae", "vae-gan", "wgan-gp"
]


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Train a GAN that makes slices from noise."""

    recipe: RecipeName = "cgan"
    """cgan makes slices of an asked class and is the best on small data."""
    condition: tuple[str, ...] = ("auto",)
    """What slices are conditioned on besides the class: columns of the table (age) or position,
    pixel_mm, slice_mm, area. auto: the position, where slices come from volumes. none: nothing."""
    only: str = ""
    """The modality to use where the folder holds several."""
    vary: Vary = AUTO
    """Vary real slices as patients differ (proportions, lean, soft tissue, tones), for the GAN to
    make such heads too: 1 as usual, 0 not at all; auto: 1 where training patients are fewer than
    20 and known."""
    set: tuple[str, ...] = ()
    """Recipe settings as name=value; an unknown name lists them all."""
    tune_gamma: bool = False
    """Share the budget among five short trainings, at 1/4 to 4 times the recipe's weight of the
    gradient penalty, and say which to take."""
    patience: int = 0
    """Stop early after so many looks (--engine.watch-every) in which the kernel distance to
    held-out patients did not fall by more than its standard error; 0 never does."""

    def __post_init__(self) -> None:
        """Refuse at once what no training could do."""
        super().__post_init__()
        refuse_variation(self.vary)
        if self.patience < 0:
            raise ConfigError(f"--patience {self.patience}: must not be negative")
        if self.patience and self.tune_gamma:
            raise ConfigError(
                f"--patience {self.patience}: a sweep compares trainings of equal length",
                fix="leave it away from --tune-gamma, and give it to the training after",
            )


def main(config: Config) -> None:
    """Index, cache, split, fit; the run's folder holds weights, checkpoints and TensorBoard."""
    if config.tune_gamma:
        from medimg_gan.apps import tune_gamma

        tune_gamma.main(config)
        return
    folder = run_folder(config, f"train-gan-{config.recipe}")
    check = partial(check_settings, config.recipe, config.set)
    if already_finished(folder, "train-gan", config, _next(folder), check=check):
        return
    minutes_left(config)  # refuses a training without an end, before anything heavy loads
    say_if_embedded(config.source)
    from medimg_gan.apps.training import check_options, fit_gan, open_training, prepare_once
    from medimg_gan.recipes import RECIPES

    check_options(config.recipe, config.set, config.batch_size)
    conditional = RECIPES[config.recipe].conditional
    condition = condition_for(config.condition, config.recipe, conditional=conditional)
    fabric, run = open_training(config, "train-gan", folder)
    modalities = (config.only,) if config.only else ()
    prepared = prepare_once(
        fabric,
        config,
        modalities,
        folder,
        purpose="classification",
        labelled=conditional,
        condition=condition,
    )
    fit_gan(
        fabric,
        run,
        config,
        prepared,
        recipe=config.recipe,
        options=config.set,
        budget=minutes_left(config),
        vary=config.vary,
        patience=config.patience,
    )
    say(f"\nsamples: {folder}/samples   curves: tensorboard --logdir {folder.parent}")
    say(f"next:    {_next(folder)}")


def _next(folder: Path) -> str:
    return f"python scripts/synthesize.py --run {folder} --count 500 --out synthetic --format nifti"

"""Train an unpaired translator between two modalities, on the training patients of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medimg_gan.apps.common import (
    TrainingConfig,
    already_finished,
    minutes_left,
    run_folder,
    say_if_embedded,
)
from medimg_gan.console import say
from medimg_gan.errors import ConfigError

KNOWN = ("ct", "mri", "picture", "xray")


@dataclass(frozen=True, kw_only=True)
class Config(TrainingConfig):
    """Train an unpaired translator between two modalities (CycleGAN)."""

    src: str
    """Modality to translate from: mri, ct, xray or picture."""
    tgt: str
    """Modality to translate to."""
    set: tuple[str, ...] = ()
    """Recipe settings as name=value; an unknown name lists them all."""


def main(config: Config) -> None:
    """Index, cache, split, fit; the run's folder holds weights, checkpoints and TensorBoard."""
    _check(config)
    folder = run_folder(config, f"train-cyclegan-{config.src}-{config.tgt}")
    if already_finished(folder, "train-cyclegan", config, _next(folder)):
        return
    minutes_left(config)  # refuses a training without an end, before anything heavy loads
    say_if_embedded(config.source)
    from medimg_gan.apps.training import (
        check_options,
        fit_translator,
        open_training,
        prepare_once,
    )

    fabric, run = open_training(config, "train-cyclegan", folder)
    check_options("cyclegan", config.set)
    modalities = (config.src, config.tgt)
    prepared = prepare_once(
        fabric, config, modalities, folder, purpose="translation", labelled=False
    )
    fit_translator(
        fabric,
        run,
        config,
        prepared,
        source=config.src,
        target=config.tgt,
        recipe="cyclegan",
        options=config.set,
        budget=minutes_left(config),
    )
    say(f"\npictures: {folder}/samples   curves: tensorboard --logdir {folder.parent}")
    say(f"next:     {_next(folder)}")


def _check(config: Config) -> None:
    """Refuse what is no translation, before anything heavy is loaded."""
    for flag, value in (("--src", config.src), ("--tgt", config.tgt)):
        if value not in KNOWN:
            raise ConfigError(f"{flag} {value!r}", observed=f"known: {', '.join(KNOWN)}")
    if config.src == config.tgt:
        raise ConfigError(
            f"--src and --tgt are both {config.src!r}",
            fix="name two modalities: --src mri --tgt ct",
        )


def _next(folder: Path) -> str:
    return f"python scripts/translate.py --run {folder} --data DIR --out translated"

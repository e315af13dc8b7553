"""``train_gan.py --tune-gamma``: short trainings at several weights of the gradient penalty.

Gamma has no value that is right for all data: too small and the critic learns the training images
by heart, too large and it teaches nothing. So try the recipe's own times 1/4 to 4 and look at what
comes out: distance to held-out images first, collapse and the critic's certainty beside it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from medimg_gan.apps.common import RUNS, Budget, already_finished, minutes_left, say_if_embedded
from medimg_gan.apps.options import condition_for, parse_options
from medimg_gan.config import flags_of, load
from medimg_gan.console import say
from medimg_gan.errors import ConfigError, DivergenceError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from medimg_gan.apps.train_gan import Config
    from medimg_gan.data.prepare import Prepared

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Trial:
    """One short training and what came of it.

    Attributes:
        gamma: Its penalty weight.
        kid: Kernel distance to held-out images; None if it diverged or there were too few.
        error: Its standard error.
        similarity: MS-SSIM within a class: 1 when all samples are one image.
        real_similarity: The held-out images' own.
        accuracy, held_out_accuracy: Share of pairs that the critic ranks right, with training and
            with held-out images: far apart, it knows the training images by heart.
    """

    gamma: float
    kid: float | None = None
    error: float | None = None
    similarity: float | None = None
    real_similarity: float | None = None
    accuracy: float | None = None
    held_out_accuracy: float | None = None

    @property
    def fault(self) -> str:
        """Why it cannot be chosen; empty if it can.

        Collapsed is what lies nearer to one single image than to the variety of real ones.
        """
        if self.kid is None:
            return "no figure"
        if self.similarity is not None and self.real_similarity is not None:
            return "collapsed" if self.similarity > (1 + self.real_similarity) / 2 else ""
        return ""


def choose(trials: Sequence[Trial]) -> tuple[Trial | None, str]:
    """The trial to take, and why.

    The lowest distance wins; among those within its standard error the largest gamma does, for it
    is the safer one in a longer training.
    """
    sound = [trial for trial in trials if not trial.fault]
    if not sound:
        return None, "every training diverged or collapsed: train longer, or look at the data"
    best = min(sound, key=lambda trial: trial.kid or 0.0)
    bound = (best.kid or 0.0) + (best.error or 0.0)
    taken = max((t for t in sound if (t.kid or 0.0) <= bound), key=lambda t: t.gamma)
    if taken is best:
        return taken, "the lowest kernel distance to held-out images"
    return taken, (
        f"within one standard error of the lowest distance (at gamma {best.gamma:g}), "
        "and a larger gamma is safer in a longer training"
    )


def folder_of(folder: Path, gamma: float) -> Path:
    """Where the training at one gamma lives."""
    return folder / f"gamma-{gamma:g}"


def main(config: Config) -> None:
    """Train, score, recommend; the same command again goes on from where it stopped."""
    folder = config.run or RUNS / f"tune-gamma-{config.recipe}"
    if already_finished(folder, "tune-gamma", config, f"look at {folder}/samples.png"):
        return
    minutes_left(config)  # refuses a training without an end, before anything heavy loads
    middle = _middle(config)
    say_if_embedded(config.source)
    from medimg_gan.apps.processes import told_by_first
    from medimg_gan.apps.training import open_training, prepare_once
    from medimg_gan.recipes import RECIPES

    conditional = RECIPES[config.recipe].conditional
    condition = condition_for(config.condition, config.recipe, conditional=conditional)
    fabric, run = open_training(config, "tune-gamma", folder)
    prepared = prepare_once(
        fabric,
        config,
        (config.only,) if config.only else (),
        folder,
        purpose="classification",
        labelled=conditional,
        condition=condition,
    )
    budget = _share(minutes_left(config))
    gammas = [float(f"{middle * factor:.4g}") for factor in FACTORS]
    survived = [
        gamma for gamma in gammas if _trained(fabric, config, prepared, folder, gamma, budget)
    ]

    def conclude() -> None:
        from medimg_gan.apps.gamma_scores import score_trials

        folders = {gamma: folder_of(folder, gamma) for gamma in survived}
        trials = score_trials(folders, prepared, folder / "samples.png", config.seed)
        trials += [Trial(gamma) for gamma in gammas if gamma not in survived]
        _report(config, folder, sorted(trials, key=lambda trial: trial.gamma))
        run.finish()

    told_by_first(fabric, conclude)


def _middle(config: Config) -> float:
    """The gamma to try values around: the recipe's own, or what ``--set`` says."""
    from medimg_gan.recipes import RECIPES

    settings = RECIPES[config.recipe].Config
    if "gamma" not in {one.name for one in fields(settings)}:
        having = [n for n, r in RECIPES.items() if "gamma" in {f.name for f in fields(r.Config)}]
        raise ConfigError(
            f"--tune-gamma: recipe {config.recipe} has no gamma",
            observed=f"recipes with one: {', '.join(having)}",
            fix="train it without --tune-gamma, or choose another --recipe",
        )
    return parse_options(settings, config.set, config.recipe).gamma


def _share(budget: Budget) -> Budget:
    """One training's part; a tenth of the minutes is left for the scores."""
    if budget.minutes is not None:
        return Budget(None, 0.9 * budget.minutes / len(FACTORS))
    assert budget.steps is not None
    return Budget(max(1, budget.steps // len(FACTORS)), None)


def _trained(
    fabric: Fabric,
    config: Config,
    prepared: Prepared,
    folder: Path,
    gamma: float,
    budget: Budget,
) -> bool:
    """Train at one gamma, in a folder of its own; whether it stayed finite."""
    from medimg_gan.apps.training import fit_gan, open_run_once

    options = _settings(config, gamma)
    place = folder_of(folder, gamma)
    own = replace(config, run=place, set=options, tune_gamma=False, restart=False)
    run = open_run_once(fabric, own, "train-gan", place, restart=False)
    if run.finished:
        return True
    say(f"\ngamma {gamma:g}")
    recipe = config.recipe
    try:
        fit_gan(
            fabric,
            run,
            own,
            prepared,
            recipe=recipe,
            options=options,
            budget=budget,
            vary=config.vary,
        )
    except DivergenceError as error:
        say(error.one_line())
        return False
    return True


def _report(config: Config, folder: Path, trials: list[Trial]) -> None:
    """Table, recommendation, ``gamma.json``."""
    from medimg_gan.runs import write_json

    taken, why = choose(trials)
    rows = [asdict(trial) | {"fault": trial.fault} for trial in trials]
    best = {"gamma": taken.gamma if taken else None, "why": why}
    write_json(folder / "gamma.json", {"recipe": config.recipe, **best, "trials": rows})
    say("\n  gamma   kernel distance    MS-SSIM (real)   critic right: train, held out")
    for trial in trials:
        say(_line(trial) + ("   <- take" if trial is taken else ""))
    say(f"\nwhy: {why}")
    say(f"look at {folder}/samples.png: real slices on top, then a row for each gamma, rising:")
    say("  too small: rows repeat themselves, the critic is right far more often in training")
    say("  than held out; too large: blurred or unlike the real ones, the critic guesses (0.5)")
    if taken:
        say(f"next: python scripts/train_gan.py {shlex.join(_flags(config, taken.gamma))}")


def _flags(config: Config, gamma: float) -> list[str]:
    """The words with which ``train-gan`` trains as the sweep did, at one gamma."""
    one = replace(config, run=None, set=_settings(config, gamma), tune_gamma=False, restart=False)
    usual = load(type(config), [], prog="train-gan", default_yaml="train-gan.yaml")
    return flags_of(one, usual)


def _settings(config: Config, gamma: float) -> tuple[str, ...]:
    """``--set`` with this gamma in place of any other."""
    return (*(one for one in config.set if not one.startswith("gamma=")), f"gamma={gamma:g}")


def _line(trial: Trial) -> str:
    def shown(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    return (
        f"{trial.gamma:7.4g}   {shown(trial.kid, '.4f'):>7} ± {shown(trial.error, '.4f'):<7}"
        f"   {shown(trial.similarity, '.2f'):>5} ({shown(trial.real_similarity, '.2f')})      "
        f"   {shown(trial.accuracy, '.2f'):>5}, {shown(trial.held_out_accuracy, '.2f'):<5}"
        f"   {trial.fault}"
    ).rstrip()

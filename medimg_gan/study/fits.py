"""Trainings of a study: which there are, and how those that are not yet kept are done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medimg_gan.console import progress, say
from medimg_gan.data.ratio import count_to_add, ratio_of
from medimg_gan.errors import ConfigError
from medimg_gan.study.arms import find_arm, stages_of
from medimg_gan.study.cost import announce
from medimg_gan.study.jobs import job_for
from medimg_gan.study.kept import Kept, keepers
from medimg_gan.study.trainers import Trainers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.jobs import FitResult, Job


@dataclass(frozen=True)
class Fit:
    """One training: an arm, its ratio after mixing, the slices it adds, and the seed."""

    arm: str
    ratio: float
    added: int
    seed: int

    @property
    def name(self) -> str:
        """Name of its file, without the ending."""
        return f"{self.arm.replace(':', '-')}-{self.ratio:g}-seed{self.seed}"


def planned_fits(data: StudyData, config: StudyConfig) -> list[Fit]:
    """Every training of a study.

    Arms without added slices stand at the ratio the real data have. Ratios that the real minority
    already reaches are left out.

    Raises:
        ConfigError: If an arm is unknown, no baseline or no synthetic arm is asked for, or no
            ratio adds a slice.
    """
    roles = {find_arm(name).role for name in config.arms}
    for name in config.arms:
        stages_of(name, config.filters)  # refused now, not after hours
    for needed in ("baseline", "synthetic"):
        if needed not in roles:
            raise ConfigError(
                f"study: none of the arms is of the kind '{needed}'",
                observed=f"arms: {', '.join(config.arms) or 'none'}",
                cause="a verdict compares an arm with synthetic slices to one without",
                fix="add 'real' and 'synthetic' to the arms",
            )
    if config.seeds < 1:
        raise ConfigError("study: at least one seed is needed", observed=f"seeds: {config.seeds}")
    if not 0 < config.specificity < 1:
        raise ConfigError(
            "study: the specificity must lie between 0 and 1", observed=str(config.specificity)
        )
    ratios = useful_ratios(data, config)
    fits = []
    for name in dict.fromkeys(config.arms):
        settings = ratios if find_arm(name).swept else {_natural_ratio(data): 0}
        for ratio, added in settings.items():
            seeds = range(config.seed, config.seed + config.seeds)
            fits += [Fit(name, ratio, added, seed) for seed in seeds]
    return fits


def useful_ratios(data: StudyData, config: StudyConfig) -> dict[float, int]:
    """The ratios that add slices, each with how many.

    Raises:
        ConfigError: If none does.
    """
    labels = data.train.labels
    counts = {ratio: count_to_add(labels, data.minority, ratio) for ratio in config.ratios}
    useful = {ratio: count for ratio, count in counts.items() if count > 0}
    if not useful:
        raise ConfigError(
            "study: no ratio adds a synthetic slice",
            observed=f"{data.minority_name} already stands at {_natural_ratio(data):g} of the "
            f"largest other class; ratios asked for: {', '.join(map(str, config.ratios))}",
            fix="give a larger ratio, or a class that is rarer",
        )
    return useful


def idle_ratios(folds: Sequence[StudyData], config: StudyConfig) -> str:
    """The ratios that are left out, in words; empty where all add slices."""
    useful = common_ratios(folds, config)
    idle = [f"{ratio:g}" for ratio in config.ratios if ratio not in useful]
    if not idle:
        return ""
    return f"Left out, as the real slices already reach them: ratio {', '.join(idle)}."


def common_ratios(folds: Sequence[StudyData], config: StudyConfig) -> tuple[float, ...]:
    """The ratios that add slices in every fold, so that all folds have the same rows.

    Raises:
        ConfigError: If none does in one of them.
    """
    useful = [useful_ratios(data, config) for data in folds]
    return tuple(ratio for ratio in useful[0] if all(ratio in ratios for ratios in useful))


def planned_in_all(folds: Sequence[StudyData], config: StudyConfig) -> list[list[Fit]]:
    """Every training of every fold; all folds have the same arms and ratios, in one order.

    Raises:
        ConfigError: As :func:`planned_fits`.
    """
    for data in folds:
        planned_fits(data, config)  # says what is wrong before ratios are compared
    config = replace(config, ratios=common_ratios(folds, config))
    return [planned_fits(data, config) for data in folds]


def run_fits(
    folds: Sequence[StudyData],
    config: StudyConfig,
    folder: Path,
    trainers: Trainers | None = None,
) -> list[dict[Fit, FitResult]]:
    """Train what is not yet kept below ``folder``, and return the results of all, as planned.

    Args:
        folds: One or more.
        config: Arms, ratios, seeds, classifier.
        folder: Of the study.
        trainers: Who trains; this process alone if not given.
    """
    kept, plans = keepers(folds, config, folder), planned_in_all(folds, config)
    results: list[dict[Fit, FitResult]] = [{} for _ in folds]
    missing = []
    for fold, fits in enumerate(plans):
        for fit in fits:
            found = kept[fold].read(fit)
            if found:
                results[fold][fit] = found
            else:
                missing.append((fold, fit))
    for (fold, fit), result in train_fits(folds, config, kept, missing, trainers or Trainers()):
        results[fold][fit] = result
    return [{fit: found[fit] for fit in fits} for found, fits in zip(results, plans, strict=True)]


def missing_fits(
    folds: Sequence[StudyData], config: StudyConfig, folder: Path
) -> list[tuple[int, Fit]]:
    """Which trainings of which folds are not yet kept: what several machines may share out."""
    kept = keepers(folds, config, folder)
    return [
        (fold, fit)
        for fold, fits in enumerate(planned_in_all(folds, config))
        for fit in fits
        if kept[fold].read(fit) is None
    ]


def train_share(
    folds: Sequence[StudyData],
    config: StudyConfig,
    folder: Path,
    share: Sequence[tuple[int, Fit]],
) -> None:
    """Train and keep one process's share of what is missing; another process gathers it."""
    kept = keepers(folds, config, folder)
    for _ in train_fits(folds, config, kept, share, Trainers()):
        pass  # kept as it comes


def train_fits(
    folds: Sequence[StudyData],
    config: StudyConfig,
    kept: Sequence[Kept],
    missing: Sequence[tuple[int, Fit]],
    trainers: Trainers,
) -> Iterator[tuple[tuple[int, Fit], FitResult]]:
    """Train, keep, and hand on one after another, in whatever order they end."""
    announce(folds, config, missing=len(missing), trainers=trainers)
    if idle_ratios(folds, config):
        say(f"study: {idle_ratios(folds, config)}")

    def jobs() -> Iterator[tuple[tuple[int, Fit], Job]]:
        for fold, fit in missing:
            ticker.note(fit.name if len(folds) == 1 else f"fold {fold + 1}: {fit.name}")
            yield (fold, fit), job_for(folds[fold], config, fit)

    with progress("study", len(missing) * config.classifier.steps) as ticker:
        for (fold, fit), result in trainers.train(jobs(), ticker.advance):
            kept[fold].write(fit, result)
            yield (fold, fit), result


def _natural_ratio(data: StudyData) -> float:
    return round(ratio_of(data.train.labels, data.minority), 3)

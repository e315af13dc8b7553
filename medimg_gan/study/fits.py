"""One training of one arm, kept in a file, so that a repeated command goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.classify import fit_classifier, predict, seconds_per_step
from medimg_gan.console import progress, say
from medimg_gan.errors import ConfigError
from medimg_gan.files import written_aside
from medimg_gan.study.arms import build, count_to_add, find_arm, ratio_of, stages_of, synthetic_test
from medimg_gan.study.filters import filtered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.types import FloatArray

FOLDER = "fits"
ASKED_ABOUT_SYNTHETIC = "real"
"""The arm whose classifiers are tested on synthetic slices as well (train on real)."""


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


@dataclass(frozen=True)
class FitResult:
    """Class probabilities of the real validation (M, K) and test (N, K) slices.

    The arm of real slices alone is also asked about synthetic ones (as many of each class as the
    test split has, in the order of the classes), for ``exchange``.
    """

    validation: FloatArray
    test: FloatArray
    step: int
    synthetic: FloatArray | None = None


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


def run_fits(data: StudyData, config: StudyConfig, folder: Path) -> dict[Fit, FitResult]:
    """Train what is not yet in ``folder``/fits, and return the results of all, as planned."""
    fits, digest = planned_fits(data, config), data.digest()
    results: dict[Fit, FitResult] = {}
    for fit in fits:
        found = _read(_path(folder, fit), _fingerprint(fit, config, digest))
        if found:
            results[fit] = found
    steps = config.classifier.steps
    _announce(data, config, trained=len(results), planned=len(fits))
    with progress("study", len(fits) * steps) as ticker:
        ticker.start_at(len(results) * steps)
        for fit in fits:
            if fit not in results:
                ticker.note(fit.name)
                results[fit] = run_fit(data, config, fit, ticker.advance)
                _write(_path(folder, fit), results[fit], _fingerprint(fit, config, digest))
    return {fit: results[fit] for fit in fits}


def run_fit(
    data: StudyData, config: StudyConfig, fit: Fit, advance: Callable[[], None]
) -> FitResult:
    """Train one classifier and ask it about the real validation and test slices."""
    classifier = fit_classifier(
        build(find_arm(fit.arm), filtered(data, config, fit.arm), fit.ratio, fit.seed),
        data.val.images,
        data.val.labels,
        classes=len(data.classes),
        minority=data.minority,
        config=config.classifier,
        seed=fit.seed,
        advance=advance,
    )
    return FitResult(
        validation=predict(classifier, data.val.images),
        test=predict(classifier, data.test.images),
        step=classifier.step,
        synthetic=predict(classifier, synthetic_test(data, config.seed)[0])
        if fit.arm == ASKED_ABOUT_SYNTHETIC
        else None,
    )


def estimate_seconds(data: StudyData, config: StudyConfig, trainings: int) -> float:
    """The expected cost of so many trainings, measured on a few steps on this machine."""
    per_step = seconds_per_step(config.classifier, data.size, len(data.classes))
    return trainings * config.classifier.steps * per_step


def _announce(data: StudyData, config: StudyConfig, *, trained: int, planned: int) -> None:
    """Say what is going to be done, and what it will cost."""
    say(
        f"study: {planned} classifiers ({', '.join(dict.fromkeys(config.arms))}; seeds: "
        f"{config.seeds}) of {config.classifier.steps} steps each, {trained} already trained"
    )
    if trained < planned:
        seconds = estimate_seconds(data, config, planned - trained)
        told = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        say(f"study: the other {planned - trained} take about {told}")


def _natural_ratio(data: StudyData) -> float:
    return round(ratio_of(data.train.labels, data.minority), 3)


def _path(folder: Path, fit: Fit) -> Path:
    return folder / FOLDER / f"{fit.name}.npz"


def _fingerprint(fit: Fit, config: StudyConfig, digest: str) -> str:
    """Changes with anything that would change the result; the device is not among it."""
    settings = asdict(config.classifier)
    del settings["device"]
    facts: list[Any] = [asdict(fit), settings, digest]
    stages = stages_of(fit.arm, config.filters)
    if stages:  # the filters' classifier is of the study's first seed
        facts += [stages, config.features, config.seed]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _write(path: Path, result: FitResult, fingerprint: str) -> None:
    arrays: dict[str, Any] = {
        "validation": result.validation,
        "test": result.test,
        "step": result.step,
        "fingerprint": fingerprint,
    }
    if result.synthetic is not None:
        arrays["synthetic"] = result.synthetic
    with written_aside(path) as aside:
        np.savez(aside, **arrays)


def _read(path: Path, fingerprint: str) -> FitResult | None:
    """A kept result, or None if it is absent, damaged, or of other settings or data."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["fingerprint"]) != fingerprint:
                return None
            return FitResult(
                kept["validation"],
                kept["test"],
                int(kept["step"]),
                kept.get("synthetic"),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

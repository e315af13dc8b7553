"""What the runs of a benchmark left, summed up over seeds and held against the targets."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import theilslopes

from medimg_gan import runs
from medimg_gan.engine.rows import read_rows
from medimg_gan.engine.tracker import METRICS
from medimg_gan.evaluation.results import FIGURES

TEXTBOOK = ("dcgan", "wgan-gp")
"""Recipes that the first contender is held against."""
AT_MOST, CONSISTENT = 0.5, 0.85
"""Largest part of the textbook GANs' distances; least class-consistency."""
KID = re.compile(r"live/kid_(?!.*_error$)")
"""Name of the held-out kernel distance among the figures of a training, its error apart."""
FEWEST_MOMENTS = 4
"""Moments that a trend needs."""


@dataclass(frozen=True)
class Result:
    """What one finished run left.

    Attributes:
        manifest: Of the training.
        evaluation: The content of ``evaluation.json``.
        kid: (step, held-out kernel distance) over the training; empty where it was not watched.
        picture: The last sample grid.
    """

    manifest: dict[str, Any]
    evaluation: dict[str, Any]
    kid: list[tuple[int, float]]
    picture: Path | None

    def figure(self, metric: str, of: str = "synthetic") -> float | None:
        """One figure of all classes together.

        Args:
            metric: Key of ``IMAGE_METRICS``.
            of: Whose: synthetic, train_vs_held_out or halves_mean.
        """
        for row in self.evaluation["figures"]:
            if row["group"] == "all" and row["metric"] == metric:
                return row[of]
        return None

    @property
    def consistency(self) -> float | None:
        """Balanced accuracy of a classifier of real slices; None without classes."""
        return (self.evaluation.get("class_consistency") or {}).get("synthetic")

    @property
    def duplicates(self) -> float | None:
        """Of the many samples."""
        return (self.evaluation.get("duplicates") or {}).get("duplicates")

    @property
    def too_close(self) -> float | None:
        """Percent of the many samples nearer to training than 95 % of held-out slices are."""
        share = (self.evaluation.get("duplicates") or {}).get("too_close_to_training")
        return None if share is None else 100 * share

    @property
    def alarms(self) -> list[dict[str, Any]] | None:
        """Raised in the training; None where nobody watched."""
        return self.manifest.get("alarms")

    @property
    def alarm_count(self) -> float | None:
        """How many were raised."""
        return None if self.alarms is None else len(self.alarms)


def read_result(folder: Path) -> Result | None:
    """The result in a training's folder; None where training or evaluation is not finished."""
    places = folder / runs.MANIFEST, folder / "evaluation" / runs.MANIFEST
    if not all(place.exists() and runs.read_json(place).get("finished") for place in places):
        return None
    pictures = sorted((folder / "samples").glob("step_*.png"))
    return Result(
        manifest=runs.read_json(places[0]),
        evaluation=runs.read_json(folder / "evaluation" / FIGURES),
        kid=kid_over_time(folder / METRICS),
        picture=pictures[-1] if pictures else None,
    )


def kid_over_time(path: Path) -> list[tuple[int, float]]:
    """(step, held-out kernel distance) from a ``metrics.jsonl``; empty where nobody watched."""
    found = []
    for row in read_rows(path):
        values = [value for name, value in row.items() if KID.match(name) and value is not None]
        found += [(row["step"], values[0])] if values else []
    return found


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over seeds; ``spread`` is None for one seed."""

    mean: float
    spread: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """Of the known values; None where there are none."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        return cls(fmean(known), stdev(known) if len(known) > 1 else None)

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.2g}"
        return f"{self.mean:.3g}{spread}"


def over_seeds(results: Sequence[Result], value: Callable[[Result], float | None]) -> Spread | None:
    """One value of each result, summed up."""
    return Spread.of([value(result) for result in results])


@dataclass(frozen=True)
class Target:
    """One thing to reach.

    Attributes:
        asked: In words.
        found: The figures in words.
        met: None where it was not measured.
    """

    asked: str
    found: str
    met: bool | None


def targets(ours: Sequence[Result], rivals: Mapping[str, Sequence[Result]]) -> list[Target]:
    """Hold the first contender's means against the best textbook GAN's, and against the limits.

    Args:
        ours: Of every seed.
        rivals: The textbook contenders' by title.
    """
    found = [
        _against(ours, rivals, "frechet", "Fréchet distance"),
        _against(ours, rivals, "kid", "kernel distance"),
        _above(ours, rivals, "recall"),
        _above(ours, rivals, "coverage"),
    ]
    consistency = over_seeds(ours, lambda result: result.consistency)
    asked = f"class-consistency at least {CONSISTENT}"
    met = consistency and consistency.mean >= CONSISTENT
    found.append(Target(asked, str(consistency or "not measured"), met))
    counted = (
        ("no duplicates", "not measured", [result.duplicates for result in ours]),
        ("no alarm", "not watched", [result.alarm_count for result in ours]),
    )
    for asked, unknown, counts in counted:
        known = [int(count) for count in counts if count is not None]
        words = ", ".join(map(str, known)) + " by seed" if known else unknown
        found.append(Target(asked, words, not any(known) if known else None))
    return found


def _against(
    ours: Sequence[Result], rivals: Mapping[str, Sequence[Result]], metric: str, title: str
) -> Target:
    asked = f"{title} at most {AT_MOST:g} of the best textbook GAN's"
    mine, best = over_seeds(ours, lambda one: one.figure(metric)), best_rival(rivals, metric, min)
    if mine is None or best is None:
        return Target(asked, "not compared", None)
    words = f"{mine.mean:.3g} against {best[1]:.3g} ({best[0]})"
    words += f": {mine.mean / best[1]:.2f}" if best[1] > 0 else ""
    return Target(asked, words, mine.mean <= AT_MOST * best[1])


def _above(ours: Sequence[Result], rivals: Mapping[str, Sequence[Result]], metric: str) -> Target:
    asked = f"{metric} above every textbook GAN's"
    mine, best = over_seeds(ours, lambda one: one.figure(metric)), best_rival(rivals, metric, max)
    if mine is None or best is None:
        return Target(asked, "not compared", None)
    return Target(asked, f"{mine.mean:.3g} against {best[1]:.3g} ({best[0]})", mine.mean > best[1])


def best_rival(
    rivals: Mapping[str, Sequence[Result]], metric: str, better: Callable[..., Any]
) -> tuple[str, float] | None:
    """Title and mean of the best rival; None where no rival has the figure.

    Args:
        rivals: By title.
        metric: Key of ``IMAGE_METRICS``.
        better: ``min`` or ``max``.
    """
    means = {}
    for title, results in rivals.items():
        spread = over_seeds(results, lambda result: result.figure(metric))
        if spread:
            means[title] = spread.mean
    return better(means.items(), key=lambda item: item[1]) if means else None


def falling(ours: Sequence[Result]) -> Target:
    """Whether the held-out kernel distance falls over every training.

    It does where the whole 95 % interval of Theil and Sen's slope (the median over all pairs of
    moments; Sen 1968) lies below 0.
    """
    asked = "held-out kernel distance falls over the training"
    series = [result.kid for result in ours if len(result.kid) >= FEWEST_MOMENTS]
    if not series:
        return Target(asked, "not watched", None)
    words, down = [], []
    for kid in series:
        steps, values = zip(*kid, strict=True)
        found: Any = theilslopes(values, [step / 1000 for step in steps])
        slope, _, low, high = found
        words.append(
            f"{values[0]:.3g} to {values[-1]:.3g} at {len(values)} moments, slope "
            f"{slope:.2g} [{low:.2g}, {high:.2g}] per 1000 steps"
        )
        down.append(bool(high < 0))
    return Target(asked, "; ".join(words), all(down))

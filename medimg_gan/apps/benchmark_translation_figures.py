"""What the runs of the translators' benchmark left, held against the targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from medimg_gan import runs
from medimg_gan.apps.benchmark_gans_figures import Spread, Target
from medimg_gan.evaluation.results import FIGURES
from medimg_gan.metrics.statistics import Interval, mean_of_patients

LOWER_BY, ROUGHER_BY, KEPT, INVENTED, NEAR = 0.8, 1.1, 0.95, 0.05, 1.15
"""Most of cyclegan's error; most of the paired regression's z-gradient error; least lesions kept;
most scans with invented ones; most of the paired regression's error."""
BETTER = {"mae": min, "psnr": max, "ssim": max, "edges": max}
"""What the pairs are scored by, and which end is better."""


@dataclass(frozen=True)
class Result:
    """What one finished run left.

    Attributes:
        repeat: Name of its seed or split.
        manifest: Of the training.
        evaluation: The content of ``evaluation.json``.
        pictures: One a patient.
    """

    repeat: str
    manifest: dict[str, Any]
    evaluation: dict[str, Any]
    pictures: tuple[Path, ...] = ()

    def figure(self, name: str) -> float | None:
        """The mean over patients; None where it was not measured."""
        found = self.evaluation["figures"].get(name)
        return None if found is None else found["mean"]

    @property
    def patients(self) -> dict[str, dict[str, float | None]]:
        """Pseudonym -> figures."""
        return self.evaluation["patients"]

    def lesions(self, name: str) -> float:
        """A count of lesions or of scans; 0 where none were looked for."""
        return (self.evaluation.get("lesions") or {}).get(name) or 0


def read_result(folder: Path) -> Result | None:
    """The result in a training's folder; None where training or evaluation is not finished."""
    evaluation = folder / "evaluation"
    places = folder / runs.MANIFEST, evaluation / runs.MANIFEST
    if not all(place.exists() and runs.read_json(place).get("finished") for place in places):
        return None
    return Result(
        repeat=folder.name,
        manifest=runs.read_json(places[0]),
        evaluation=runs.read_json(evaluation / FIGURES),
        pictures=tuple(sorted((evaluation / "pictures").glob("*.png"))),
    )


def over_repeats(results: Sequence[Result], name: str) -> Spread | None:
    """A figure's mean and spread over seeds or splits."""
    return Spread.of([result.figure(name) for result in results])


def share(results: Sequence[Result], part: str, whole: str) -> float | None:
    """One count of all repeats over another; None where there is nothing to divide by."""
    total = sum(result.lesions(whole) for result in results)
    return sum(result.lesions(part) for result in results) / total if total else None


def difference(
    ours: Sequence[Result], rivals: Sequence[Result], name: str
) -> tuple[Interval, int] | None:
    """Ours minus the rival's in the same patients, and how many patients these are.

    A patient who is held out in several repeats counts once, with the mean of the differences;
    the interval is of a bootstrap over patients.
    """
    theirs = {result.repeat: result.patients for result in rivals}
    gathered: dict[str, list[float]] = defaultdict(list)
    for result in ours:
        for patient, figures in result.patients.items():
            mine = figures.get(name)
            other = theirs.get(result.repeat, {}).get(patient, {}).get(name)
            if mine is not None and other is not None:
                gathered[patient].append(mine - other)
    if not gathered:
        return None
    return mean_of_patients([fmean(values) for values in gathered.values()]), len(gathered)


def common(
    ours: Sequence[Result], rivals: Sequence[Result], name: str
) -> list[tuple[float, float]]:
    """A figure of ours and the rival's, in the repeats that both have finished."""
    theirs = {result.repeat: result.figure(name) for result in rivals}
    both = [(result.figure(name), theirs.get(result.repeat)) for result in ours]
    return [(mine, other) for mine, other in both if mine is not None and other is not None]


def phantom_targets(
    ours: Sequence[Result], cyclegan: Sequence[Result], regression: Sequence[Result]
) -> list[Target]:
    """The targets on volumes with known truth."""
    return [
        _clearly_lower(ours, cyclegan),
        _at_most(ours, regression, "slope_error", "z-gradient error", ROUGHER_BY),
        *lesion_targets(ours),
    ]


def lesion_targets(ours: Sequence[Result]) -> list[Target]:
    """What may become of lesions; open where the data have none of a kind."""
    kept, invented = f"{KEPT:.0%}", f"{INVENTED:.0%}"
    asked = f"lesions kept at least {kept}", f"scans with invented lesions at most {invented}"
    return [
        _share_of(ours, "kept", "visible", asked[0], lambda found: found >= KEPT),
        _share_of(
            ours, "scans_with_invented", "scans_without", asked[1], lambda found: found <= INVENTED
        ),
    ]


def pairs_targets(
    ours: Sequence[Result], cyclegan: Sequence[Result], regression: Sequence[Result]
) -> list[Target]:
    """The targets on real pairs."""
    titles = {"mae": "MAE", "psnr": "PSNR", "ssim": "SSIM", "edges": "edge agreement"}
    found = [_better(ours, cyclegan, name, title) for name, title in titles.items()]
    return [*found, _at_most(ours, regression, "mae", "MAE", NEAR)]


def _clearly_lower(ours: Sequence[Result], cyclegan: Sequence[Result]) -> Target:
    asked = f"MAE at most {LOWER_BY:g} of cyclegan's, the interval of the difference below 0"
    both, found = common(ours, cyclegan, "mae"), difference(ours, cyclegan, "mae")
    if not both or found is None:
        return Target(asked, "not compared", None)
    (interval, patients), words, ratio = found, *_ratio(both)
    words += (
        f"; by patient {interval.mean:+.3g} [{interval.low:+.3g}, {interval.high:+.3g}], "
        f"{patients} patients"
    )
    return Target(asked, words, ratio <= LOWER_BY and interval.high < 0)


def _at_most(
    ours: Sequence[Result], rivals: Sequence[Result], name: str, title: str, most: float
) -> Target:
    asked = f"{title} at most {most:g} of the paired regression's"
    both = common(ours, rivals, name)
    if not both:
        return Target(asked, "not compared", None)
    words, ratio = _ratio(both)
    return Target(asked, words, ratio <= most)


def _better(ours: Sequence[Result], rivals: Sequence[Result], name: str, title: str) -> Target:
    asked = f"{title} better than cyclegan's"
    both = common(ours, rivals, name)
    if not both:
        return Target(asked, "not compared", None)
    better = BETTER[name]
    won = sum(mine != other and better(mine, other) == mine for mine, other in both)
    mine, other = (fmean(values) for values in zip(*both, strict=True))
    words = f"{mine:.3g} against {other:.3g}, better in {won} of {len(both)} splits"
    return Target(asked, words, mine != other and better(mine, other) == mine)


def _ratio(both: Sequence[tuple[float, float]]) -> tuple[str, float]:
    mine, other = (fmean(values) for values in zip(*both, strict=True))
    ratio = mine / other if other > 0 else float("inf")
    return f"{mine:.3g} against {other:.3g}: {ratio:.2f}", ratio


def _share_of(
    ours: Sequence[Result], part: str, whole: str, asked: str, reached: Callable[[float], bool]
) -> Target:
    found = share(ours, part, whole)
    if found is None:
        return Target(asked, "not measured", None)
    counts = [int(sum(result.lesions(name) for result in ours)) for name in (part, whole)]
    return Target(asked, f"{counts[0]} of {counts[1]}", reached(found))

"""What the filters threw away, and why: figures, pictures, and what to hold against them.

An arm whose filters let next to nothing pass is left out of the study, in all folds, since their
rows are compared: a weak GAN must not cost the user the other arms.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medimg_gan.console import say
from medimg_gan.errors import DataError
from medimg_gan.metrics.neighbours import nearest
from medimg_gan.study.arms import find_arm
from medimg_gan.study.filter_stages import K_CENTRE, STAGES
from medimg_gan.study.filters import filtered_arms, sieve_of
from medimg_gan.study.fits import common_ratios, useful_ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.filters import Passed, Sieve, Tally
    from medimg_gan.types import FloatArray

SHOWN = 10
"""Most slices of a row of pictures."""


@dataclass(frozen=True)
class FilterReport:
    """What a study says of its filters.

    Attributes:
        figures: The report's ``filters``; None without a filtered arm.
        pictures: Title of a row -> (n, 1, H, W) slices.
        caveats: Arm (and fold) -> what weakens it, or why it was left out.
        left_out: Arms that are not run.
    """

    figures: dict[str, Any] | None
    pictures: dict[str, FloatArray]
    caveats: dict[str, str]
    left_out: tuple[str, ...] = ()

    def of_running(self, config: StudyConfig) -> StudyConfig:
        """The settings without the arms that are not run."""
        return replace(config, arms=tuple(arm for arm in config.arms if arm not in self.left_out))


def sift(folds: Sequence[StudyData], config: StudyConfig) -> FilterReport:
    """What the filters do in all folds, and which arms they leave nothing to learn from.

    It is asked before any classifier of an arm is trained. A repetition decides the same.

    Raises:
        ConfigError: If a filter needs a critic and there is none.
        DataError: If no arm with synthetic slices is left, or a filter cannot be fitted.
    """
    if not filtered_arms(config):
        return FilterReport(None, {}, {})
    config = replace(config, ratios=common_ratios(folds, config))
    report = joined([report_filters(data, config) for data in folds])
    if all(find_arm(name).role != "synthetic" for name in report.of_running(config).arms):
        raise DataError(
            f"study: filters leave no arm with synthetic slices of {folds[0].minority_name}",
            observed=" ".join(report.caveats.values()),
            cause="the generator is far from the training slices, or copies them",
            fix="train the GAN for longer, leave the filter that throws most away out of "
            "--filters, or add the arm synthetic",
        )
    return report


def report_filters(data: StudyData, config: StudyConfig) -> FilterReport:
    """The first filtered arm at its largest ratio and first seed, and how many passed in each arm.

    Fits all filters of the study, so that one that cannot be is refused before any arm is trained.

    Raises:
        ConfigError: If a filter needs a critic and there is none.
        DataError: If a filter cannot be fitted.
    """
    arms = filtered_arms(config)
    if not arms:
        return FilterReport(None, {}, {})
    sieve, ratios = sieve_of(data, config), useful_ratios(data, config)
    largest = max(ratios, key=lambda ratio: ratios[ratio])
    rows, caveats, passed, left_out = [], {}, {}, []
    for name, stages in arms.items():
        passed[name] = found = sieve.draw(stages, ratios[largest], config.seed)
        say(f"filters: {name}: {found.different} different slices of {found.drawn} drawn")
        starved = _starved(sieve, name, stages, ratios, config)
        rows.append(
            {"arm": name, "ratio": largest, "drawn": found.drawn, "different": found.different}
            | {"left_out": bool(starved)}
        )
        if starved:
            say(f"filters: {starved}")
            left_out.append(name)
        said = starved or _shortfall(name, largest, found)
        caveats |= {name: said} if said else {}
    first = next(iter(arms))
    figures = {
        "arm": first,
        "stages": [_stage(tally) for tally in passed[first].tallies],
        "made": passed[first].drawn,
        "kept": passed[first].different,
        "arms": rows,
    }
    shown = {tally.stage: tally for found in passed.values() for tally in found.tallies}
    shown |= {tally.stage: tally for tally in passed[first].tallies}
    return FilterReport(figures, _pictures(sieve, shown), caveats, tuple(left_out))


def joined(folds: Sequence[FilterReport]) -> FilterReport:
    """One report of all folds: counts add up, pictures are one fold's.

    An arm is left out of all folds if it is of one; that fold, or else the first, is shown.
    """
    first, figures = folds[0], [fold.figures for fold in folds if fold.figures]
    if len(folds) == 1 or not figures:
        return first
    stages = [
        {**same[0], **{count: sum(stage[count] for stage in same) for count in COUNTS}}
        for same in zip(*(found["stages"] for found in figures), strict=True)
    ]
    rows = [
        {**row, "arm": f"{row['arm']} (fold {fold})"}
        for fold, found in enumerate(figures, start=1)
        for row in found["arms"]
    ]
    sums = {count: sum(found[count] for found in figures) for count in ("made", "kept")}
    left_out = dict.fromkeys(name for report in folds for name in report.left_out)
    caveats = {
        f"{name}, fold {fold}": f"Fold {fold}: {said}"
        for fold, report in enumerate(folds, start=1)
        for name, said in report.caveats.items()
        if name in report.left_out or name not in left_out
    }
    shown = next((report for report in folds if report.left_out), first)
    return FilterReport(
        {**figures[0], **sums, "stages": stages, "arms": rows},
        shown.pictures,
        caveats,
        tuple(left_out),
    )


COUNTS = ("asked", "kept", "dropped")


def _stage(tally: Tally) -> dict[str, Any]:
    stage, dropped = STAGES[tally.stage], len(tally.thrown)
    return {
        "name": tally.stage,
        "title": stage.title,
        "about": stage.about,
        "limit": stage.limit,
        "asked": tally.asked,
        "kept": tally.asked - dropped,
        "dropped": dropped,
    }


def _starved(
    sieve: Sieve,
    name: str,
    stages: tuple[str, ...],
    ratios: dict[float, int],
    config: StudyConfig,
) -> str:
    """Why an arm cannot be run at some ratio and seed, in words; empty if it can at all."""
    for seed in range(config.seed, config.seed + config.seeds):
        for ratio, count in ratios.items():
            if not sieve.lets_through(stages, count, seed):
                found = sieve.draw(stages, count, seed)
                return (
                    f"{find_arm(name).title} ({name}) was left out: of {found.drawn} synthetic "
                    f"slices drawn for ratio {ratio:g}, seed {seed}, {found.different} passed "
                    f"({count} were wanted; {found.losses})."
                )
    return ""


def _shortfall(arm: str, ratio: float, found: Passed) -> str:
    count = len(found.images)
    if found.different == count:
        return ""
    return (
        f"{find_arm(arm).title}, ratio {ratio:g}: only {found.different} of {count} slices passed, "
        f"of {found.drawn} drawn (first seed); they were repeated up to that number, so compare "
        "with the duplicates."
    )


def _pictures(sieve: Sieve, tallies: dict[str, Tally]) -> dict[str, FloatArray]:
    rows: dict[str, FloatArray] = {}
    for name, tally in tallies.items():
        stage, some = STAGES[name], tally.thrown[:SHOWN]
        if not len(some):
            continue
        title = f"Thrown away: {stage.title}"
        taken_for = None if name == K_CENTRE else sieve.fitted(name).taken_for
        if taken_for:
            classes = Counter(taken_for(some)).most_common()
            title += f" ({', '.join(f'{label} {count}' for label, count in classes)})"
        rows[title] = some
        if stage.shows_nearest:
            _, closest = nearest(some, sieve.side.images)
            rows[f"Nearest real training slice to those {stage.title}"] = sieve.side.images[closest]
    return rows

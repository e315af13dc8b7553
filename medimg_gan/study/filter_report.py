"""What the filters threw away, and why: figures, pictures, and what to hold against them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medimg_gan.console import say
from medimg_gan.metrics.neighbours import nearest
from medimg_gan.study.arms import find_arm
from medimg_gan.study.filter_stages import K_CENTRE, STAGES
from medimg_gan.study.filters import filtered_arms, sieve_of
from medimg_gan.study.fits import useful_ratios

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
        caveats: What weakens a filtered arm.
    """

    figures: dict[str, Any] | None
    pictures: dict[str, FloatArray]
    caveats: list[str]


def report_filters(data: StudyData, config: StudyConfig) -> FilterReport:
    """The first filtered arm at its largest ratio and first seed, and how many passed in each arm.

    Fits all filters of the study, so that one that cannot be is refused before any arm is trained.

    Raises:
        ConfigError: If a filter needs a critic and there is none.
        DataError: If no slice passes, or a filter cannot be fitted.
    """
    arms = filtered_arms(config)
    if not arms:
        return FilterReport(None, {}, [])
    sieve, ratios = sieve_of(data, config), useful_ratios(data, config)
    largest = max(ratios, key=lambda ratio: ratios[ratio])
    rows, caveats, passed = [], [], {}
    for name, stages in arms.items():
        passed[name] = found = sieve.draw(stages, ratios[largest], config.seed)
        rows.append(
            {"arm": name, "ratio": largest, "drawn": found.drawn, "different": found.different}
        )
        caveats += _shortfall(name, largest, found)
        say(f"filters: {name}: {found.different} different slices of {found.drawn} drawn")
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
    return FilterReport(figures, _pictures(sieve, shown), caveats)


def joined(folds: Sequence[FilterReport]) -> FilterReport:
    """One report of all folds: counts add up, pictures are the first fold's."""
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
    caveats = [
        f"Fold {fold}: {said}" for fold, report in enumerate(folds, 1) for said in report.caveats
    ]
    return FilterReport(
        {**figures[0], **sums, "stages": stages, "arms": rows}, first.pictures, caveats
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


def _shortfall(arm: str, ratio: float, found: Passed) -> list[str]:
    count = len(found.images)
    if found.different == count:
        return []
    return [
        f"{find_arm(arm).title}, ratio {ratio:g}: only {found.different} of {count} slices passed, "
        f"of {found.drawn} drawn (first seed); they were repeated up to that number, so compare "
        "with the duplicates."
    ]


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

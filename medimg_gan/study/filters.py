"""Synthetic slices that pass a chain of filters, as many as were asked for.

Slices are drawn in batches until enough have passed, or ten times as many as were asked for were
drawn. What passed is then repeated, so that the filter is kept to and counts match the other arms;
the report says how many different slices there were. Where next to none passes, there is nothing
to repeat, and the arm is left out (``filter_report``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import DataError
from medimg_gan.metrics.selection import k_centre
from medimg_gan.study.arms import find_arm, stages_of
from medimg_gan.study.filter_fits import Candidates, TrainingSide
from medimg_gan.study.filter_stages import K_CENTRE, STAGES
from medimg_gan.study.synthetic_additions import synthesise_checked

if TYPE_CHECKING:
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.filter_fits import Fitted
    from medimg_gan.types import FloatArray, IntArray

BATCH = 64
"""Slices drawn at once; arms and ratios of one seed draw the same ones, which are judged once."""
MOST_DRAWN = 10
"""Times as many as were asked for, before giving up."""
CHOICE = 2
"""Times as many as were asked for that pass the other filters, for k-centre to choose from."""
LEAST_SHARE = 0.01
"""Of the slices asked for; an arm of fewer different ones is not run. From here up to all, they are
repeated, and the report says so."""


@dataclass(frozen=True)
class Tally:
    """What one stage did.

    Attributes:
        stage: Key of STAGES.
        asked: Slices that came to it.
        thrown: (n, 1, H, W) those that it threw away, worst first (k-centre: in drawn order).
    """

    stage: str
    asked: int
    thrown: FloatArray


@dataclass(frozen=True)
class Passed:
    """The outcome of filtering.

    Attributes:
        images: (count, 1, H, W) what is used; some repeat where ``different`` is smaller, and
            there are none where it is 0.
        different: How many of them are not repetitions.
        drawn: Slices made to find them.
        tallies: One per stage, in the order of the chain.
    """

    images: FloatArray
    different: int
    drawn: int
    tallies: list[Tally]

    @property
    def losses(self) -> str:
        """Which stage threw how many away, in words."""
        lost = (f"{one.stage}: {len(one.thrown)} of {one.asked}" for one in self.tallies)
        return f"thrown away by {', '.join(lost)}"


@dataclass
class _Sifted:
    """Batches so far, with the rows of each that passed; per stage, what came and what went."""

    asked: dict[str, int]
    thrown: dict[str, list[tuple[float, FloatArray]]]
    kept: list[tuple[Candidates, IntArray]] = field(default_factory=list)

    @property
    def drawn(self) -> int:
        return sum(len(some.images) for some, _ in self.kept)

    @property
    def passed(self) -> int:
        return sum(len(rows) for _, rows in self.kept)


class Sieve:
    """The filters of one class of slices, fitted on training slices when first asked.

    Args:
        data: Its training split, critic and source of synthetic slices; nothing else is read.
        config: Features and classifier.
        label: The class.
    """

    def __init__(self, data: StudyData, config: StudyConfig, label: int) -> None:
        self.data, self.label = data, label
        self.side = TrainingSide(data, config, label)
        self._fitted: dict[str, Fitted] = {}
        self._drawn: dict[tuple[int, int], Candidates] = {}

    def fitted(self, stage: str) -> Fitted:
        """A stage that knows the training slices; fitted once."""
        if stage not in self._fitted:
            fit = STAGES[stage].fit
            assert fit is not None, "k-centre chooses, it learns nothing"
            self._fitted[stage] = fit(self.side)
        return self._fitted[stage]

    def draw(self, stages: tuple[str, ...], count: int, seed: int) -> Passed:
        """``count`` slices that pass ``stages``; the same for equal arguments.

        Raises:
            DataError: If a filter cannot be fitted on these training slices.
        """
        wanted = count * (CHOICE if K_CENTRE in stages else 1)
        sifted = self._sift(stages, wanted, count, seed)
        kept = sifted.kept
        images = np.concatenate([some.images[rows] for some, rows in kept])
        tallies = [
            Tally(stage, asked, self._worst_first(sifted.thrown[stage]))
            for stage, asked in sifted.asked.items()
        ]
        if K_CENTRE in stages:
            chosen = self._most_spread(kept, min(count, len(images)))
            tallies.append(Tally(K_CENTRE, len(images), np.delete(images, chosen, axis=0)))
            images = images[chosen]
        different = min(count, len(images))
        # Each as often as any other, give or take one, as the duplicates of real slices are.
        used = images[np.arange(count) % different] if different else images
        return Passed(used, different, sifted.drawn, tallies)

    def lets_through(self, stages: tuple[str, ...], count: int, seed: int) -> bool:
        """Whether enough of the slices that :meth:`draw` may draw pass; stops where it is sure."""
        least = max(1, math.ceil(LEAST_SHARE * count))
        return self._sift(stages, least, count, seed).passed >= least

    def _sift(self, stages: tuple[str, ...], wanted: int, count: int, seed: int) -> _Sifted:
        """Draw until ``wanted`` have passed all but k-centre, or too many for ``count`` were."""
        checks = [stage for stage in stages if stage != K_CENTRE]
        done = _Sifted(dict.fromkeys(checks, 0), {stage: [] for stage in checks})
        while done.passed < wanted and done.drawn < MOST_DRAWN * count:
            some = self._batch(seed, len(done.kept))
            rows = np.arange(len(some.images))
            for stage in checks:
                done.asked[stage] += len(rows)
                scores, least = self._scores(stage, some, rows), self.fitted(stage).least
                failing = np.flatnonzero(scores < least)
                done.thrown[stage] += [(scores[n], some.images[rows[n]]) for n in failing]
                rows = rows[scores >= least]
            done.kept.append((some, rows))
        return done

    def _batch(self, seed: int, number: int) -> Candidates:
        """Slices of a seed, apart from those that the unfiltered arms learn from."""
        if (seed, number) not in self._drawn:
            word = int(np.random.SeedSequence([seed, 4, number]).generate_state(1)[0])
            images = synthesise_checked(self.data, BATCH, self.label, word)
            self._drawn[seed, number] = Candidates(images)
        return self._drawn[seed, number]

    def _scores(self, stage: str, some: Candidates, rows: IntArray) -> FloatArray:
        known = some.known.setdefault(stage, np.full(len(some.images), np.nan))
        new = rows[np.isnan(known[rows])]
        if len(new):
            known[new] = self.fitted(stage).score(some, new)
        return known[rows]

    def _most_spread(self, kept: list[tuple[Candidates, IntArray]], count: int) -> IntArray:
        """Places among all kept slices, in drawn order."""
        features = [some.features(rows, self.side.encode) for some, rows in kept if len(rows)]
        if not features:
            return np.zeros(0, np.int64)
        return np.sort(k_centre(np.concatenate(features), count))

    def _worst_first(self, thrown: list[tuple[float, FloatArray]]) -> FloatArray:
        ordered = sorted(thrown, key=lambda one: one[0])
        shape = (0, *self.side.images.shape[1:])
        return np.stack([image for _, image in ordered]) if ordered else np.zeros(shape, np.float32)


def sieve_of(data: StudyData, config: StudyConfig) -> Sieve:
    """The one sieve of the minority that all arms of a study share."""
    key = config.features, config.classifier, config.seed
    if key not in data.fitted:
        data.fitted[key] = Sieve(data, config, data.minority)
    return data.fitted[key]


def check_needs(data: StudyData, config: StudyConfig) -> None:
    """Refuse filters that these training slices are too few for; no generator is asked.

    Raises:
        DataError: If a filter of the study could not be fitted.
    """
    for stages in filtered_arms(config).values():
        for stage in stages:
            STAGES[stage].needs(sieve_of(data, config).side)


def filtered(data: StudyData, config: StudyConfig, arm: str) -> StudyData:
    """The data with synthetic slices of the minority as an arm wants them: filtered, or as made.

    ``synthesise`` raises a DataError where none passes: see :func:`filter_report.sift`, which is
    asked first.
    """
    stages = stages_of(arm, config.filters)
    if not stages:
        return data
    sieve, made = sieve_of(data, config), data.synthesise

    def synthesise(count: int, label: int, seed: int) -> FloatArray:
        if label != data.minority:
            return made(count, label, seed)
        passed = sieve.draw(stages, count, seed)
        if not passed.different:
            raise DataError(
                f"study: no synthetic slice of {sieve.side.name} passed the filters",
                observed=f"{passed.drawn} were drawn; {passed.losses}",
            )
        return passed.images

    return replace(data, synthesise=synthesise)


def filtered_arms(config: StudyConfig) -> dict[str, tuple[str, ...]]:
    """The filtered arms of a study -> their stages, in the order of ``arms``."""
    arms = {name: stages_of(name, config.filters) for name in config.arms}
    return {name: stages for name, stages in arms.items() if stages and find_arm(name).swept}

"""Simulated studies: how often is help claimed where there is none, and found where there is?

``python tests/study/simulation.py --studies 2000`` prints the table. A study has patients whose
slices are alike, classifiers whose luck (the seed) holds for validation and test alike, and several
arms at several ratios; the same code as in a real study then chooses on validation, compares on
test and claims or not (``study/decision.py``). Under the null every arm has one distribution:
synthetic slices are as good as duplicates.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.classification import threshold_at_specificity
from medimg_gan.metrics.comparison import outcome_of
from medimg_gan.metrics.statistics import Resamples, draw, interval, over_seeds, replicates
from medimg_gan.study.decision import Decision, decide
from medimg_gan.study.rows import PRIMARY, Row

SPECIFICITY = 0.9


@dataclass(frozen=True)
class Design:
    """One kind of study; the scores are logits with unit spread between slices.

    Attributes:
        minority: Patients with the class of interest, in validation and in test each.
        others: Patients without.
        slices: Per patient.
        seeds: Trainings per arm and ratio.
        baselines: Arms without synthetic slices.
        synthetic: Arms with them.
        ratios: Of every arm with them.
        lift: How far apart the two kinds of slices are.
        patient_spread: Of what all classifiers find alike in a patient.
        seed_spread: Of one training's luck with the minority, on all patients.
        own_spread: Of what one training finds in one patient.
        effect: Added to the minority's lift in the first arm with synthetic slices.
        everywhere: Whether it is added in all of them.
        folds: Parts that the patients are dealt into, each with classifiers and choices of its own.
    """

    minority: int = 20
    others: int = 30
    slices: int = 4
    seeds: int = 5
    baselines: tuple[str, ...] = ("real", "weighted", "classical", "duplicate")
    synthetic: tuple[str, ...] = ("synthetic", "synthetic-classical")
    ratios: tuple[float, ...] = (0.5, 1.0)
    lift: float = 1.5
    patient_spread: float = 1.0
    seed_spread: float = 0.3
    own_spread: float = 0.5
    effect: float = 0.0
    everywhere: bool = False
    folds: int = 1

    @property
    def fold(self) -> Design:
        """What one fold validates on and tests."""
        return replace(
            self, minority=self.minority // self.folds, others=self.others // self.folds, folds=1
        )

    @property
    def positive(self) -> np.ndarray:
        """(N,) 1 for slices of the minority."""
        if self.folds > 1:
            return np.tile(self.fold.positive, self.folds)
        return np.repeat([1, 0], [self.minority * self.slices, self.others * self.slices])

    @property
    def patients(self) -> np.ndarray:
        """(N,) the patient of each slice."""
        if self.folds > 1:
            each = self.fold.minority + self.fold.others
            return np.concatenate([self.fold.patients + each * fold for fold in range(self.folds)])
        return np.repeat(np.arange(self.minority + self.others), self.slices)

    def arms(self) -> list[tuple[str, float, float]]:
        """Every row: arm, ratio, effect."""
        plain = [(name, 0.1, 0.0) for name in self.baselines]
        mixed = [
            (name, ratio, self.effect if self.everywhere or name == self.synthetic[0] else 0.0)
            for name in self.synthetic
            for ratio in self.ratios
        ]
        return plain + mixed


def simulate(design: Design, generator: np.random.Generator) -> list[list[Row]]:
    """The rows of one study, fold by fold."""
    return [_simulate_fold(design.fold, generator) for _ in range(design.folds)]


def _simulate_fold(design: Design, generator: np.random.Generator) -> list[Row]:
    arms, positive, patients = design.arms(), design.positive, design.patients
    effects = np.array([effect for _, _, effect in arms])[:, None]
    shape = (len(arms), design.seeds)
    lift = design.lift + effects + design.seed_spread * generator.normal(size=shape)
    scores = []
    for _ in ("validation", "test"):
        count = design.minority + design.others
        shared = design.patient_spread * generator.normal(size=count)
        own = design.own_spread * generator.normal(size=(*shape, count))
        slices = 0.7 * generator.normal(size=len(positive))
        noise = 0.7 * generator.normal(size=(*shape, len(positive)))
        logit = (shared + own)[..., patients] + slices + noise + lift[..., None] * positive
        scores.append(1 / (1 + np.exp(-logit)))
    rows = []
    for number, (name, ratio, _) in enumerate(arms):
        row = Row(name, ratio, 0, [], [])
        for seed in range(design.seeds):
            validation, test = (part[number, seed] for part in scores)
            threshold = threshold_at_specificity(validation, positive, SPECIFICITY)
            row.validation.append(_outcome(validation, positive, threshold))
            row.test.append(_outcome(test, positive, threshold))
        rows.append(row)
    return rows


def _outcome(score: np.ndarray, positive: np.ndarray, threshold: float) -> Outcome:
    return Outcome(np.stack([1 - score, score], axis=1), positive, 1, threshold)


@dataclass(frozen=True)
class Rates:
    """Shares of the studies, and means over them."""

    helped: float
    hurt: float
    by_percentiles: float
    difference: float
    spread: float
    standard_error: float
    detectable: float


def rates(design: Design, studies: int, resamples: int = 1000, seed: int = 0) -> Rates:
    """Run so many studies and count the claims."""
    generator = np.random.default_rng(seed)
    draws = draw(
        design.patients, design.seeds, resamples=resamples, seed=seed, positive=design.positive
    )
    found, claims, old = [], [], 0
    for _ in range(studies):
        by_fold = simulate(design, generator)
        decision = decide(by_fold, draws)
        claims.append(
            outcome_of(decision.difference, decision.adjusted_p, design.minority, design.seeds)
        )
        old += percentile_claim(decision, by_fold, draws)
        found.append(
            (decision.difference.mean, decision.difference.standard_error, decision.visible)
        )
    means, errors, visible = np.array(found).T
    return Rates(
        claims.count("helped") / studies,
        claims.count("hurt") / studies,
        old / studies,
        float(means.mean()),
        float(means.std()),
        float(np.sqrt((errors**2).mean())),
        float(visible.mean()),
    )


def percentile_claim(decision: Decision, by_fold: list[list[Row]], draws: Resamples) -> bool:
    """What the percentile interval over patients and seeds, uncorrected, would have claimed."""
    score = {PRIMARY: METRICS[PRIMARY].score}
    one, two = (
        over_seeds(replicates(score, choice.test(by_fold), draws)[PRIMARY], draws)
        for choice in (decision.candidate, decision.reference)
    )
    return interval(0.0, one - two).low > 0


ONE_ARM = Design(baselines=("real",), synthetic=("synthetic",), ratios=(1.0,))
SEEDS_DIFFER = {"seed_spread": 0.8, "own_spread": 0.2}
SEVEN = (*Design.baselines, "class-balanced", "focal", "interpolated")
FIVE = (0.25, 0.5, 1.0, 2.0, 4.0)
NULLS = {
    "4 baselines, 2 arms x 2 ratios": Design(),
    "1 baseline, 1 arm": ONE_ARM,
    "1 arm x 5 ratios": replace(ONE_ARM, ratios=FIVE),
    "1 arm x 5 ratios, seeds that differ much": replace(ONE_ARM, ratios=FIVE, **SEEDS_DIFFER),
    "1 arm, 3 seeds that differ much": replace(ONE_ARM, seeds=3, **SEEDS_DIFFER),
    "1 arm, 2 seeds": replace(ONE_ARM, seeds=2),
    "1 arm, 8 patients": replace(ONE_ARM, minority=8, others=12),
    "5 folds, 4 baselines, 2 arms x 2 ratios": Design(folds=5),
    "5 folds, 1 arm x 5 ratios, seeds that differ much": replace(
        ONE_ARM, ratios=FIVE, folds=5, **SEEDS_DIFFER
    ),
    "5 folds of 20, 1 arm x 5 ratios, seeds that differ much": replace(
        ONE_ARM, ratios=FIVE, folds=5, minority=100, others=150, slices=2, **SEEDS_DIFFER
    ),
    "7 baselines, 1 arm, seeds that differ much": replace(ONE_ARM, baselines=SEVEN, **SEEDS_DIFFER),
    "1 arm, only patients' own luck": replace(ONE_ARM, seed_spread=0.0, own_spread=1.0),
}
PLANTED = replace(ONE_ARM, effect=0.97)
"""The effect moves the sensitivity by what such a study can just detect."""
DESIGNS = {
    **NULLS,
    "planted: 1 arm": PLANTED,
    "planted: 1 of 2 arms": replace(
        PLANTED, synthetic=("synthetic", "synthetic-classical"), effect=1.1
    ),
    "planted: 5 folds, 1 arm": replace(PLANTED, folds=5),
    "planted: 1 arm, 40 patients": replace(PLANTED, minority=40, others=40, effect=0.8),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=1000)
    options = parser.parse_args()
    print(
        f"{'design':52}{'helped':>8}{'hurt':>8}{'percentile':>12}{'mean':>8}{'sd':>8}{'se':>8}{'mde':>8}"
    )
    for name, design in DESIGNS.items():
        begin = time.perf_counter()
        found = rates(design, options.studies, options.resamples)
        print(
            f"{name:52}{found.helped:8.3f}{found.hurt:8.3f}{found.by_percentiles:12.3f}"
            f"{found.difference:8.3f}{found.spread:8.3f}{found.standard_error:8.3f}{found.detectable:8.3f}"
            f"  ({1000 * (time.perf_counter() - begin) / options.studies:.0f} ms a study)",
            flush=True,
        )


if __name__ == "__main__":
    main()

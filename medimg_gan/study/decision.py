"""What the verdict rests on: chosen on validation, tested once, corrected by Holm.

With several folds each fold makes its own choice on its own validation patients, and the test
outcomes of these choices are pooled. One choice on the validation patients of all folds together
would be made with the help of patients that other folds test (Varma & Simon 2006, BMC
Bioinformatics 7:91: whatever is tuned must be tuned inside the fold). What is judged is then the
procedure, "choose on validation and use that", as a user would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from medimg_gan.metrics import METRICS
from medimg_gan.metrics.comparison import compare, holm, minimal_detectable
from medimg_gan.metrics.outcome import pool
from medimg_gan.metrics.statistics import replicates, seed_scores
from medimg_gan.study.rows import PRIMARY, Row, pool_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.metrics import Outcome
    from medimg_gan.metrics.comparison import Comparison
    from medimg_gan.metrics.statistics import Resamples

    Key = tuple[str, float]


@dataclass(frozen=True)
class Choice:
    """The rows that the folds chose, each on its own validation patients.

    Attributes:
        of: What was chosen.
        row: The table's row that most folds chose.
        places: Of each fold's choice among its rows.
    """

    of: Literal["reference", "candidate"]
    row: Row
    places: tuple[int, ...]

    @property
    def agreed(self) -> bool:
        """Whether all folds chose one row."""
        return len(set(self.places)) == 1

    @property
    def key(self) -> Key:
        """The row's, or one of its own where folds chose differently."""
        return self.row.key if self.agreed else (f"each fold's {self.of}", 0.0)

    def test(self, by_fold: Sequence[Sequence[Row]]) -> list[Outcome]:
        """One outcome per seed: the test slices of each fold by what that fold chose."""
        chosen = [rows[place].test for rows, place in zip(by_fold, self.places, strict=True)]
        return [pool(seed) for seed in zip(*chosen, strict=True)]


@dataclass(frozen=True)
class Decision:
    """Which arms are compared, and what came out.

    Attributes:
        reference: The best arm without synthetic slices, chosen on validation.
        candidate: The best arm and ratio with them, chosen on validation.
        difference: Candidate minus reference in the primary measure, on test.
        tested: Every synthetic arm and ratio -> p after Holm.
        adjusted_p: The candidate's p, corrected for what it was chosen from; where it is worse than
            the reference, also for what that was chosen from.
        baselines: Arms and ratios that the reference was chosen from.
        visible: Difference that would be claimed 8 times in 10.
    """

    reference: Choice
    candidate: Choice
    difference: Comparison
    tested: dict[Key, float]
    adjusted_p: float
    baselines: int
    visible: float


def decide(by_fold: Sequence[Sequence[Row]], draws: Resamples) -> Decision:
    """Choose on validation, compare on test.

    The claim is made for the arm and ratio that validation preferred, and has to survive Holm's
    correction over all arms and ratios with synthetic slices. Choosing on validation would make
    that needless if only patients were random; but the classifiers scored on test are those that
    were chosen, and bring the luck of their seeds along. The reference brings its own: help is
    then harder to claim, but harm easier, so harm has to survive Bonferroni's correction over the
    arms and ratios that the reference was chosen from as well.

    Where folds chose differently, their choice stands in the place of the row that most of them
    chose. It is one of many more than there are rows, and the luck that folds chose adds up; so
    that row, which is one of them, has to pass too.

    Args:
        by_fold: The rows of each fold; all have the same arms and ratios in one order.
        draws: Of the test patients of all folds, in their order.
    """
    rows = pool_rows(by_fold)
    reference = _choose("reference", by_fold, rows)
    candidate = _choose("candidate", by_fold, rows)
    against = reference.test(by_fold)
    found = {
        row.key: compare_outcomes(row.test, against, draws) for row in rows if row.role == SYNTHETIC
    }
    difference = found[candidate.row.key]
    if not candidate.agreed:
        difference = compare_outcomes(candidate.test(by_fold), against, draws)
    p_values = {key: comparison.p for key, comparison in found.items()}
    tested, key = _holm(p_values), candidate.row.key
    adjusted_p = max(tested[key], _holm({**p_values, key: difference.p})[key])
    baselines = sum(row.role == ROLES["reference"] for row in rows)
    if difference.mean < 0:
        most_chosen = compare_outcomes(candidate.test(by_fold), reference.row.test, draws)
        worst = max(difference.p, most_chosen.p)
        adjusted_p = max(adjusted_p, min(baselines * worst, 1.0))
    return Decision(
        reference,
        candidate,
        difference,
        tested,
        adjusted_p,
        baselines,
        minimal_detectable(difference.standard_error, difference.degrees, len(found)),
    )


SYNTHETIC = "synthetic"
ROLES = {"reference": "baseline", "candidate": SYNTHETIC}
"""What is chosen -> the role of the rows it is chosen from."""


def _choose(
    of: Literal["reference", "candidate"], by_fold: Sequence[Sequence[Row]], rows: Sequence[Row]
) -> Choice:
    allowed = [place for place, row in enumerate(rows) if row.role == ROLES[of]]
    places = [
        max(allowed, key=lambda place, fold=fold: fold[place].chosen_by()) for fold in by_fold
    ]
    return Choice(of, rows[max(places, key=places.count)], tuple(places))


def _holm(p_values: dict[Key, float]) -> dict[Key, float]:
    return dict(zip(p_values, holm(list(p_values.values())), strict=True))


def compare_outcomes(
    first: Sequence[Outcome], second: Sequence[Outcome], draws: Resamples, measure: str = PRIMARY
) -> Comparison:
    """First minus second on test in one measure; one outcome per seed each."""
    score = METRICS[measure].score
    by_seed = seed_scores(score, first) - seed_scores(score, second)
    drawn = [replicates({measure: score}, test, draws)[measure] for test in (first, second)]
    return compare(by_seed, drawn[0] - drawn[1], draws.fewest_patients)

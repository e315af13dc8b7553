"""The comparison that the verdict rests on: chosen on validation, tested once, corrected by Holm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medimg_gan.metrics import METRICS
from medimg_gan.metrics.comparison import compare, holm, minimal_detectable
from medimg_gan.metrics.statistics import replicates, seed_scores
from medimg_gan.study.rows import PRIMARY, Row

if TYPE_CHECKING:
    from medimg_gan.metrics.comparison import Comparison
    from medimg_gan.metrics.statistics import Resamples

    Key = tuple[str, float]


@dataclass(frozen=True)
class Decision:
    """Which arms are compared, and what came out.

    Attributes:
        reference: The best arm without synthetic slices, chosen on validation.
        candidate: The best arm and ratio with them, chosen on validation.
        difference: Candidate minus reference in the primary measure, on test.
        tested: Each synthetic arm, at its best ratio on validation -> p after Holm.
        visible: Difference that would be claimed 8 times in 10.
    """

    reference: Row
    candidate: Row
    difference: Comparison
    tested: dict[Key, float]
    visible: float

    @property
    def adjusted_p(self) -> float:
        """The candidate's p after Holm."""
        return self.tested[self.candidate.key]


def decide(rows: list[Row], draws: Resamples) -> Decision:
    """Choose on validation, compare on test.

    Every synthetic arm stands for a hypothesis, at the ratio that validation preferred; the claim
    is made for the arm that validation preferred, and has to survive Holm's correction over all.
    """
    reference = max((row for row in rows if row.role == "baseline"), key=Row.chosen_by)
    best: dict[str, Row] = {}
    for row in rows:
        if row.role == "synthetic":
            best[row.arm] = max(best.get(row.arm, row), row, key=Row.chosen_by)
    candidate = max(best.values(), key=Row.chosen_by)
    found = {row.key: compare_rows(row, reference, draws) for row in best.values()}
    adjusted = holm([comparison.p for comparison in found.values()])
    difference = found[candidate.key]
    visible = minimal_detectable(difference.standard_error, difference.degrees, len(found))
    return Decision(
        reference, candidate, difference, dict(zip(found, adjusted, strict=True)), visible
    )


def compare_rows(first: Row, second: Row, draws: Resamples, measure: str = PRIMARY) -> Comparison:
    """First minus second on test in one measure."""
    score = METRICS[measure].score
    by_seed = seed_scores(score, first.test) - seed_scores(score, second.test)
    drawn = [replicates({measure: score}, row.test, draws)[measure] for row in (first, second)]
    return compare(by_seed, drawn[0] - drawn[1], draws.smallest_stratum)

"""What the verdict rests on: chosen on validation, tested once, corrected by Holm."""

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
        tested: Every synthetic arm and ratio -> p after Holm.
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

    The claim is made for the arm and ratio that validation preferred, and has to survive Holm's
    correction over all arms and ratios with synthetic slices. Choosing on validation would make
    that needless if only patients were random; but the classifiers scored on test are those that
    were chosen, and bring the luck of their seeds along.
    """
    reference = max((row for row in rows if row.role == "baseline"), key=Row.chosen_by)
    synthetic = [row for row in rows if row.role == "synthetic"]
    candidate = max(synthetic, key=Row.chosen_by)
    found = {row.key: compare_rows(row, reference, draws) for row in synthetic}
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

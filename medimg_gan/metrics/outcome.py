"""What classifiers said of slices; several folds as one, though each has its own classifier.

Calls (sensitivity, specificity, F1) and errors of probabilities are counted over the pooled slices,
each called at its own classifier's threshold: for F1 that is the estimate without bias (Forman &
Scholz 2010, SIGKDD Explorations 12:49). Ranks are another matter: scores of different classifiers
are on different scales, and ranking them against each other biases the AUROC downwards (Parker,
Gunter & Bedo 2007; Airola et al. 2011, Comput. Stat. Data Anal. 55:1828). So AUROC and AUPRC rank
within a fold only: AUROC is the share of all within-fold pairs that are ranked right (a mean over
folds weighted by their pairs), AUPRC the mean over all minority slices of their precision within
their fold. A plain mean over folds would be undefined whenever a bootstrap draw leaves one fold
without a minority patient; the weights leave such a fold out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.types import FloatArray, IntArray


@dataclass(frozen=True)
class Outcome:
    """What one classifier said of N slices, and what was true.

    Attributes:
        probabilities: (N, K), rows sum to 1.
        labels: (N,) true classes in 0..K-1.
        minority: The class of interest; its probability is the score of the binary measures.
        threshold: A slice is called minority if its minority probability is above this; one
            number, or one of each slice (N,) where classifiers with thresholds of their own spoke.
        fold: (N,) which classifier spoke of each slice; None where one spoke of all.
    """

    probabilities: FloatArray
    labels: IntArray
    minority: int
    threshold: float | FloatArray
    fold: IntArray | None = None

    @property
    def score(self) -> FloatArray:
        """(N,) probability of the minority class."""
        return self.probabilities[:, self.minority]

    @property
    def positive(self) -> FloatArray:
        """(N,) 1.0 where the slice truly is of the minority class, else 0.0."""
        return (self.labels == self.minority).astype(np.float64)

    @property
    def called(self) -> FloatArray:
        """(N,) 1.0 where the classifier calls the slice minority, else 0.0."""
        return (self.score > self.threshold).astype(np.float64)

    @property
    def by_fold(self) -> list[IntArray]:
        """Places of the slices that one classifier spoke of, classifier by classifier."""
        if self.fold is None:
            return [np.arange(len(self.labels))]
        return [np.flatnonzero(self.fold == fold) for fold in np.unique(self.fold)]


def once(outcome: Outcome) -> FloatArray:
    """Weights (1, N) under which every slice counts once."""
    return np.ones((1, len(outcome.labels)))


def pool(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of all folds' slices, fold by fold; that of a single fold as it is.

    Args:
        outcomes: One of each fold, of the same classes; none is pooled already.
    """
    if len(outcomes) == 1:
        return outcomes[0]
    sizes = [len(outcome.labels) for outcome in outcomes]
    return Outcome(
        np.concatenate([outcome.probabilities for outcome in outcomes]),
        np.concatenate([outcome.labels for outcome in outcomes]),
        outcomes[0].minority,
        np.concatenate(
            [
                np.broadcast_to(outcome.threshold, size)
                for outcome, size in zip(outcomes, sizes, strict=True)
            ]
        ),
        np.repeat(np.arange(len(outcomes)), sizes),
    )

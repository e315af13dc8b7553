"""How an arm's classifiers decide: ROC and precision-recall with bands, and confusion matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.metrics.operating import precision_at, sensitivity_at
from medimg_gan.metrics.outcome import once
from medimg_gan.metrics.statistics import LEVEL, draw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from medimg_gan.metrics import Outcome
    from medimg_gan.metrics.statistics import Resamples
    from medimg_gan.study.data import StudyConfig
    from medimg_gan.study.decision import Decision
    from medimg_gan.study.rows import Row
    from medimg_gan.types import FloatArray

    Curve = Callable[[Outcome, FloatArray, FloatArray], FloatArray]

POINTS = np.linspace(0, 1, 41)
DRAWS = 300
"""Of patients and seeds for a band: it is for the eye, no claim rests on it."""
ALWAYS_DRAWN = "real"
"""The arm that is drawn beside those of the verdict."""
CURVES: dict[str, Curve] = {"roc": sensitivity_at, "pr": precision_at}


def decisions(
    row: Row, decision: Decision, patients: np.ndarray[Any, Any], config: StudyConfig
) -> dict[str, Any]:
    """What an arm's entry in the report says of its classifiers' decisions on test.

    Args:
        row: The arm at one ratio.
        decision: Its reference and candidate have curves (where folds chose differently, the rows
            that most of them chose), as the real slices alone have.
        patients: (N,) of the test slices.
        config: For the draws.

    Returns:
        ``confusion``: (K, K) slices of each true class (rows) given each class (columns), mean
        over seeds; ``confusion_at_threshold``: the same for rest and minority at the operating
        point; and, of some arms, ``roc`` and ``pr``: ``x``, ``mean``, ``low``, ``high``.
    """
    found: dict[str, Any] = confusion(row.test)
    chosen = decision.reference.row.key, decision.candidate.row.key
    if row.arm == ALWAYS_DRAWN or row.key in chosen:
        draws = draw(
            patients,
            len(row.test),
            resamples=min(config.resamples, DRAWS),
            seed=config.seed,
            positive=row.test[0].positive,
        )
        found |= {name: band(curve, row.test, draws) for name, curve in CURVES.items()}
    return found


def band(curve: Curve, outcomes: Sequence[Outcome], draws: Resamples) -> dict[str, list[float]]:
    """A curve averaged over seeds at each place (vertically: Fawcett 2006, sec. 9.1).

    The band is pointwise: 95 % percentile intervals over draws of patients and seeds.
    """
    mean = np.mean([curve(one, once(one), POINTS)[0] for one in outcomes], axis=0)
    weights = draws.patient_counts[:, draws.patient_of_slice]
    drawn = np.stack([curve(one, weights, POINTS) for one in outcomes], axis=1)
    shares = draws.seed_counts / draws.seed_counts.sum(axis=1, keepdims=True)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.einsum("bsg,bs->bg", drawn, shares), [tail, 1 - tail], axis=0)
    lines = {"x": POINTS, "mean": mean, "low": low, "high": high}
    return {name: np.round(line, 5).tolist() for name, line in lines.items()}


def confusion(outcomes: Sequence[Outcome]) -> dict[str, list[list[float]]]:
    """Counts of slices by true class (rows) and given class (columns), mean over seeds."""
    classes = outcomes[0].probabilities.shape[1]
    by_class = [_counts(one.labels, one.probabilities.argmax(axis=1), classes) for one in outcomes]
    called = [_counts(one.positive.astype(int), one.called.astype(int), 2) for one in outcomes]
    return {
        "confusion": np.mean(by_class, axis=0).tolist(),
        "confusion_at_threshold": np.mean(called, axis=0).tolist(),
    }


def _counts(
    true: np.ndarray[Any, Any], given: np.ndarray[Any, Any], classes: int
) -> np.ndarray[Any, Any]:
    counts = np.zeros((classes, classes))
    np.add.at(counts, (true, given), 1)
    return counts

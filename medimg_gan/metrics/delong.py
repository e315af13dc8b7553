"""Difference of two areas under the ROC curve without resampling, slices clustered in patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from medimg_gan.metrics.comparison import ALPHA, Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.metrics.outcome import Outcome
    from medimg_gan.types import FloatArray, IntArray


def placements(score: FloatArray, positive: FloatArray) -> FloatArray:
    """Each slice's share of the other side that it is ranked right against: (N,) in [0, 1].

    Both sides average to the AUROC. By midranks (Sun & Xu 2014, IEEE Signal Process. Lett.
    21:1389), so in ``N log N``; the structural components of DeLong et al. 1988.
    """
    inside = np.asarray(positive).astype(bool)
    found, rest = score[inside], score[~inside]
    ranks = stats.rankdata(score)
    share = np.empty(len(score))
    share[inside] = (ranks[inside] - stats.rankdata(found)) / len(rest)
    share[~inside] = 1 - (ranks[~inside] - stats.rankdata(rest)) / len(found)
    return share


def clustered_variance(
    share: FloatArray, positive: FloatArray, clusters: np.ndarray[Any, Any]
) -> float:
    """Variance of the mean placement of both sides (Obuchowski 1997, Biometrics 53:567).

    With every slice a cluster of its own, it is DeLong's.

    Args:
        share: (N,) placements, or the difference of the placements of two arms.
        positive: (N,) 1 for the class of interest.
        clusters: (N,) patients.
    """
    _, which = np.unique(clusters, return_inverse=True)
    count = int(which.max()) + 1
    residuals, terms = [], 0.0
    for side in (np.asarray(positive) == 1, np.asarray(positive) == 0):
        centred = np.where(side, share - share[side].mean(), 0.0)
        sums = np.bincount(which, centred, minlength=count)
        inside = len(np.unique(which[side]))
        terms += inside / max(inside - 1, 1) * float((sums**2).sum()) / side.sum() ** 2
        residuals.append(sums / side.sum())
    both = count / max(count - 1, 1) * float((residuals[0] * residuals[1]).sum())
    return max(terms + 2 * both, 0.0)


def compare_auroc(
    first: Sequence[Outcome], second: Sequence[Outcome], patients: np.ndarray[Any, Any]
) -> Comparison:
    """Difference of two arms' AUROC (mean over their seeds) on the same slices.

    The seeds are held fixed: it speaks of these trainings and other patients. Normal intervals.
    Where folds had classifiers of their own, slices are placed within their fold, folds weigh by
    their pairs (as in ``classification.auroc``), and variances add, as no patient is in two.

    Args:
        first: One outcome per seed.
        second: The same slices, by the other arm.
        patients: (N,) the patient of each slice.
    """
    positive = first[0].positive
    folds = [members for members in first[0].by_fold if 0 < positive[members].sum() < len(members)]
    pairs = np.array([positive[members].sum() * (1 - positive[members]).sum() for members in folds])
    mean = variance = 0.0
    for members, weight in zip(folds, pairs / pairs.sum(), strict=True):
        share = _mean_placements(first, members) - _mean_placements(second, members)
        inside = positive[members]
        mean += weight * float(share[inside == 1].mean())
        variance += weight**2 * clustered_variance(share, inside, patients[members])
    error = float(np.sqrt(variance))
    reach = float(stats.norm.ppf(1 - ALPHA / 2)) * error
    p = float(2 * stats.norm.sf(abs(mean) / error)) if error > 0 else float(mean == 0)
    return Comparison.within(mean, reach, error, float("inf"), p)


def _mean_placements(outcomes: Sequence[Outcome], members: IntArray) -> FloatArray:
    """Placements of some slices among each other, a mean over the seeds."""
    return np.mean(
        [placements(one.score[members], one.positive[members]) for one in outcomes], axis=0
    )

"""Curves of a classifier over all thresholds, on any re-weighting of the same slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.metrics.classification import weight_by_score

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.metrics.outcome import Outcome
    from medimg_gan.types import FloatArray, IntArray


def sensitivity_at(
    outcome: Outcome, weights: FloatArray, false_positives: FloatArray
) -> FloatArray:
    """The ROC curve: sensitivity where so large a share of the others is called minority.

    Straight between neighbouring thresholds (Fawcett 2006, sec. 5), so the area under it is the
    AUROC with ties counted half; where the curve rises steeply, its upper end is given.

    Args:
        outcome: Of N slices.
        weights: (B, N) how often each slice counts.
        false_positives: (G,) in [0, 1].

    Returns:
        (B, G); NaN in rows without minority slices or without others.
    """

    def of_fold(found: FloatArray, called: FloatArray) -> FloatArray:
        rows = zip(_shares(called), _shares(found), strict=True)
        return np.stack([np.interp(false_positives, across, up) for across, up in rows])

    return _over_folds(of_fold, lambda minority, others: minority * others, outcome, weights)


def precision_at(outcome: Outcome, weights: FloatArray, sensitivities: FloatArray) -> FloatArray:
    """The precision-recall curve: precision at the highest threshold of such a sensitivity.

    Steps, not straight lines, which would be too hopeful (Davis & Goadrich 2006): the mean over
    all sensitivities is the average precision.

    Args:
        outcome: Of N slices.
        weights: (B, N) how often each slice counts.
        sensitivities: (G,) in [0, 1]; at 0 stands the precision of the first slices found.

    Returns:
        (B, G); NaN in rows without minority slices or without others.
    """
    wanted = np.maximum(sensitivities, 1e-9) - 1e-12

    def of_fold(found: FloatArray, called: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore"):
            precision = found / (found + called)
        reached = _shares(found)
        curves = np.full((len(weights), len(sensitivities)), np.nan)
        for row in np.flatnonzero(found[:, -1] > 0):
            curves[row] = precision[row, np.searchsorted(reached[row], wanted)]
        return curves

    return _over_folds(of_fold, lambda minority, others: minority * (others > 0), outcome, weights)


def _over_folds(
    of_fold: Callable[[FloatArray, FloatArray], FloatArray],
    share_of: Callable[[FloatArray, FloatArray], FloatArray],
    outcome: Outcome,
    weights: FloatArray,
) -> FloatArray:
    """The mean curve of the outcome's classifiers, weighted by ``share_of`` (minority, others).

    ROC counts the pairs that each classifier ranks, precision its minority slices, so that areas
    under mean curves are the AUROC and AUPRC of :mod:`medimg_gan.metrics.outcome`.
    """
    curves, shares = [], []
    for members in outcome.by_fold:
        found, called = _cumulative(outcome, weights, members)
        curves.append(of_fold(found, called))
        shares.append(share_of(found[:, -1], called[:, -1]))
    share = np.stack(shares)[..., None]
    with np.errstate(invalid="ignore"):
        weighted = np.where(share > 0, np.stack(curves) * share, 0.0)
        return weighted.sum(axis=0) / share.sum(axis=0)


def _cumulative(
    outcome: Outcome, weights: FloatArray, members: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Weight of minority slices and of others above each threshold, from none to all: (B, T)."""
    nothing = np.zeros((len(weights), 1))
    positive, negative = (
        np.concatenate([nothing, np.cumsum(part[:, ::-1], axis=1)], axis=1)
        for part in weight_by_score(outcome, weights, members)
    )
    return positive, negative


def _shares(cumulative: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return cumulative / cumulative[:, -1:]

"""Curves of a classifier over all thresholds, on any re-weighting of the same slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.metrics.classification import weight_by_score

if TYPE_CHECKING:
    from medimg_gan.metrics.classification import Outcome
    from medimg_gan.types import FloatArray


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
    found, called = _cumulative(outcome, weights)
    true, false = _shares(found), _shares(called)
    rows = zip(false, true, strict=True)
    return np.stack([np.interp(false_positives, across, up) for across, up in rows])


def precision_at(outcome: Outcome, weights: FloatArray, sensitivities: FloatArray) -> FloatArray:
    """The precision-recall curve: precision at the highest threshold of such a sensitivity.

    Steps, not straight lines, which would be too hopeful (Davis & Goadrich 2006): the mean over
    all sensitivities is the average precision.

    Args:
        outcome: Of N slices.
        weights: (B, N) how often each slice counts.
        sensitivities: (G,) in [0, 1]; at 0 stands the precision of the first slices found.

    Returns:
        (B, G); NaN in rows without minority slices.
    """
    found, called = _cumulative(outcome, weights)
    with np.errstate(invalid="ignore"):
        precision = found / (found + called)
    reached = _shares(found)
    wanted = np.maximum(sensitivities, 1e-9) - 1e-12
    curves = np.full((len(weights), len(sensitivities)), np.nan)
    for row in np.flatnonzero(found[:, -1] > 0):
        curves[row] = precision[row, np.searchsorted(reached[row], wanted)]
    return curves


def _cumulative(outcome: Outcome, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight of minority slices and of others above each threshold, from none to all: (B, T)."""
    nothing = np.zeros((len(weights), 1))
    positive, negative = (
        np.concatenate([nothing, np.cumsum(part[:, ::-1], axis=1)], axis=1)
        for part in weight_by_score(outcome, weights)
    )
    return positive, negative


def _shares(cumulative: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return cumulative / cumulative[:, -1:]

"""Folds with classifiers of their own, pooled: calls by own thresholds, ranks within a fold."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.delong import compare_auroc
from medimg_gan.metrics.outcome import once, pool


def outcome(scores: list[float], positive: list[int], threshold: float) -> Outcome:
    score = np.array(scores)
    return Outcome(np.stack([1 - score, score], 1), np.array(positive), 1, threshold)


LOW = outcome([0.1, 0.2, 0.3], [0, 1, 0], threshold=0.15)
"""A timid classifier: 1 of 2 pairs is right; the minority slice stands behind one false alarm."""
HIGH = outcome([0.7, 0.8, 0.9, 0.95], [0, 0, 1, 1], threshold=0.85)
"""A bold one: 4 of 4 pairs are right."""


def score(name: str, found: Outcome, weights: np.ndarray | None = None) -> float:
    return float(METRICS[name].score(found, once(found) if weights is None else weights)[0])


def test_ranks_count_within_a_fold_only():
    """By hand: AUROC 5 of 6 pairs, AUPRC (1/2 + 1 + 1) / 3; ranked together it would be 9 of 12."""
    both = pool([LOW, HIGH])
    assert score("auroc", both) == pytest.approx(5 / 6)
    assert score("auprc", both) == pytest.approx(2.5 / 3)
    together = outcome([*LOW.score, *HIGH.score], [*LOW.labels, *HIGH.labels], 0.5)
    assert score("auroc", together) == pytest.approx((1 + 4 + 4) / 12)


def test_every_slice_is_called_at_its_own_classifiers_threshold():
    both = pool([LOW, HIGH])
    assert both.called.tolist() == [0, 1, 1, 0, 0, 1, 1]
    assert score("minority_sensitivity", both) == 1.0
    assert score("specificity", both) == pytest.approx(3 / 4)
    assert score("f1", both) == pytest.approx(2 * 3 / (3 + 4))


def test_a_draw_that_leaves_a_fold_without_the_minority_still_has_ranks():
    both = pool([LOW, HIGH])
    weights = np.array([[1, 0, 1, 1, 1, 1, 1]], dtype=float)
    assert score("auroc", both, weights) == 1.0
    assert score("auprc", both, weights) == 1.0


def test_one_fold_stays_as_it_is():
    assert pool([LOW]) is LOW


def test_delong_over_folds_is_the_weighted_sum_of_the_folds():
    generator = np.random.default_rng(0)
    labels = np.array([1, 0] * 6)
    folds = [
        [outcome(generator.random(12).tolist(), labels.tolist(), 0.5) for _ in range(2)]
        for _ in range(2)
    ]
    short = [[outcome(one.score[:8].tolist(), labels[:8].tolist(), 0.5) for one in folds[1]]]
    parts, patients = [folds[0], *short], [np.arange(12) // 2, 10 + np.arange(8) // 2]
    alone = [compare_auroc(one[:1], one[1:], who) for one, who in zip(parts, patients, strict=True)]
    first, second = (pool([one[arm] for one in parts]) for arm in range(2))
    found = compare_auroc([first], [second], np.concatenate(patients))
    share = np.array([36, 16]) / 52
    assert found.mean == pytest.approx(score("auroc", first) - score("auroc", second))
    assert found.mean == pytest.approx(share @ [one.mean for one in alone])
    variances = [one.standard_error**2 for one in alone]
    assert found.standard_error == pytest.approx(np.sqrt(share**2 @ variances))

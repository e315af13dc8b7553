"""ROC and precision-recall curves against hand-computed points and the areas under them."""

import numpy as np
import pytest

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.operating import precision_at, sensitivity_at
from medimg_gan.metrics.outcome import once, pool

FINE = (np.arange(20_000) + 0.5) / 20_000


def outcome(scores, labels) -> Outcome:
    scores = np.asarray(scores, float)
    return Outcome(np.stack([1 - scores, scores], axis=1), np.asarray(labels), 1, 0.5)


def test_points_of_four_slices():
    some = outcome([0.9, 0.7, 0.6, 0.2], [1, 0, 1, 0])
    # Thresholds give (false positives, found): (0, .5), (.5, .5), (.5, 1), (1, 1).
    assert sensitivity_at(some, once(some), np.array([0, 0.25, 0.5, 1]))[0] == pytest.approx(
        [0.5, 0.5, 1, 1]
    )
    assert precision_at(some, once(some), np.array([0, 0.5, 0.51, 1]))[0] == pytest.approx(
        [1, 1, 2 / 3, 2 / 3]
    )


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_auroc_and_average_precision_of_any_weights(ties):
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 3 == 0
    scores = np.clip(generator.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
    some = outcome(scores.round(1) if ties else scores, labels.astype(int))
    weights = generator.integers(0, 3, size=(3, 40)).astype(float)
    for curve, name in ((sensitivity_at, "auroc"), (precision_at, "auprc")):
        areas = curve(some, weights, FINE).mean(axis=1)
        assert areas == pytest.approx(METRICS[name].score(some, weights), abs=1e-3)


def test_areas_over_folds_are_those_of_ranks_within_a_fold():
    """Folds of unequal shares and on unequal scales: pooled ranks would give other areas."""
    generator = np.random.default_rng(1)
    folds = []
    for minority, others, scale in ((9, 21, 1.0), (4, 30, 0.3)):
        labels = np.repeat([1, 0], [minority, others])
        chances = np.clip(generator.normal(0.4 + 0.2 * labels, 0.2), 0, 1) * scale
        folds.append(outcome(chances, labels))
    some = pool(folds)
    weights = generator.integers(0, 3, size=(3, len(some.labels))).astype(float)
    for curve, name in ((sensitivity_at, "auroc"), (precision_at, "auprc")):
        areas = curve(some, weights, FINE).mean(axis=1)
        assert areas == pytest.approx(METRICS[name].score(some, weights), abs=1e-3)


def test_a_draw_without_minority_has_no_curve():
    some = outcome([0.9, 0.2], [1, 0])
    weights = np.array([[0.0, 1.0]])
    assert np.isnan(sensitivity_at(some, weights, np.array([0.5]))).all()
    assert np.isnan(precision_at(some, weights, np.array([0.5]))).all()

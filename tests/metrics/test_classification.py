"""The scores against hand-computed values and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    roc_auc_score,
)

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.classification import calibration_curve, threshold_at_specificity
from medimg_gan.metrics.outcome import once


def binary(score: list[float], positive: list[int], threshold: float = 0.5) -> Outcome:
    """Two classes, class 1 the minority."""
    one = np.array(score)
    return Outcome(np.stack([1 - one, one], axis=1), np.array(positive), 1, threshold)


def value(name: str, outcome: Outcome) -> float:
    return float(METRICS[name].score(outcome, once(outcome))[0])


def random_outcome(seed: int, ties: bool) -> Outcome:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 60)
    logits = generator.normal(size=(60, 3)) + 1.2 * np.eye(3)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if ties:
        probabilities = np.round(probabilities, 1)
    return Outcome(probabilities, labels, 2, 0.3)


def test_threshold_leaves_nine_of_ten_negatives_below():
    negatives = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.9]
    score = np.array([*negatives, 0.44, 0.46, 0.95])
    positive = np.array([0] * 10 + [1] * 3)
    threshold = threshold_at_specificity(score, positive, 0.9)
    assert threshold == 0.45
    outcome = binary(list(score), list(positive), threshold)
    assert value("specificity", outcome) == pytest.approx(0.9)
    assert value("minority_sensitivity", outcome) == pytest.approx(2 / 3)


@pytest.mark.parametrize("count", range(1, 60))
def test_wanted_specificity_is_reached_and_the_next_lower_threshold_would_miss_it(count):
    score = np.random.default_rng(count).random(count)
    positive = np.zeros(count)
    threshold = threshold_at_specificity(score, positive, 0.9)
    assert (score <= threshold).mean() >= 0.9 - 1e-12
    assert (score < threshold).mean() < 0.9 - 1e-12


def test_ties_at_the_threshold_stay_negative():
    threshold = threshold_at_specificity(np.array([0.2, 0.7, 0.7, 0.7]), np.zeros(4), 0.5)
    outcome = binary([0.2, 0.7, 0.7, 0.7, 0.7], [0, 0, 0, 0, 1], threshold)
    assert value("specificity", outcome) == 1.0
    assert value("minority_sensitivity", outcome) == 0.0


def test_a_specificity_without_negatives_is_refused():
    with pytest.raises(ValueError, match="another class"):
        threshold_at_specificity(np.array([0.3]), np.array([1]), 0.9)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_scikit_learn(seed, ties):
    outcome = random_outcome(seed, ties)
    truth = outcome.labels == 2
    assert value("auroc", outcome) == pytest.approx(roc_auc_score(truth, outcome.score))
    assert value("auprc", outcome) == pytest.approx(average_precision_score(truth, outcome.score))
    assert value("brier", outcome) == pytest.approx(brier_score_loss(truth, outcome.score))
    predicted = outcome.probabilities.argmax(axis=1)
    assert value("balanced_accuracy", outcome) == pytest.approx(
        balanced_accuracy_score(outcome.labels, predicted)
    )


@pytest.mark.parametrize("name", METRICS)
def test_a_weight_counts_as_so_many_copies_of_the_slice(name):
    outcome = random_outcome(7, ties=True)
    counts = np.random.default_rng(3).integers(0, 4, len(outcome.labels))
    copied = Outcome(
        np.repeat(outcome.probabilities, counts, axis=0), np.repeat(outcome.labels, counts), 2, 0.3
    )
    weighted = METRICS[name].score(outcome, counts[None].astype(float))[0]
    assert weighted == pytest.approx(value(name, copied))


@pytest.mark.parametrize("name", ["minority_sensitivity", "auroc", "auprc"])
def test_scores_without_a_minority_slice_are_undefined(name):
    assert np.isnan(value(name, binary([0.2, 0.7], [0, 0])))


@pytest.mark.parametrize("name", ["specificity", "auroc", "auprc"])
def test_scores_without_another_class_are_undefined(name):
    assert np.isnan(value(name, binary([0.2, 0.7], [1, 1])))


def test_calibration_error_by_hand():
    """Bins 0.1-0.2 (mean .15, no hit) and 0.8-0.9 (mean .85, one hit of two), two slices each."""
    outcome = binary([0.12, 0.18, 0.82, 0.88], [0, 0, 1, 0])
    assert value("calibration_error", outcome) == pytest.approx(0.5 * 0.15 + 0.5 * 0.35)
    curve = calibration_curve([outcome, outcome])
    assert [point["probability"] for point in curve] == pytest.approx([0.15, 0.85])
    assert [point["share"] for point in curve] == [0, 0.5]
    assert [point["slices"] for point in curve] == [2, 2]


def test_a_certain_probability_has_a_bin():
    assert value("calibration_error", binary([1.0, 0.0], [1, 0])) == 0


def test_f1_equals_scikit_learn():
    outcome = random_outcome(1, ties=False)
    expected = f1_score(outcome.labels == 2, outcome.score > outcome.threshold)
    assert value("f1", outcome) == pytest.approx(expected)

"""DeLong by its definition and by the bootstrap; clusters that cannot be overlooked."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.delong import clustered_variance, compare_auroc, placements
from medimg_gan.metrics.statistics import draw, replicates


def outcome(score: np.ndarray, positive: np.ndarray) -> Outcome:
    return Outcome(np.stack([1 - score, score], axis=1), positive, 1, 0.5)


def pair(seed: int, patients: int = 40, slices: int = 1) -> tuple[Outcome, Outcome, np.ndarray]:
    """Two classifiers that share what is hard about a patient; half the patients positive."""
    generator = np.random.default_rng(seed)
    names = np.repeat(np.arange(patients), slices)
    positive = names % 2
    shared = generator.normal(size=patients)[names]
    scores = [lift * positive + shared + generator.normal(size=len(names)) for lift in (1.5, 1.0)]
    return outcome(scores[0], positive), outcome(scores[1], positive), names


def kernel(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """1 where a positive stands above a negative, 0.5 for ties: (m, n)."""
    gap = score[positive == 1][:, None] - score[positive == 0][None]
    return (gap > 0) + 0.5 * (gap == 0)


def test_placements_are_row_and_column_means_of_all_pairs():
    positive = np.array([1, 0, 1, 0, 0, 1])
    score = np.array([0.9, 0.1, 0.4, 0.4, 0.8, 0.2])
    share, pairs = placements(score, positive), kernel(score, positive)
    assert pairs.tolist() == [[1, 1, 1], [1, 0.5, 0], [1, 0, 0]]
    assert share[positive == 1] == pytest.approx([1, 0.5, 1 / 3])
    assert share[positive == 0] == pytest.approx([1, 0.5, 1 / 3])
    assert share[positive == 1].mean() == pytest.approx(roc_auc_score(positive, score))


def test_variance_of_single_slices_is_delongs():
    """Covariances of structural components over m and n, as in DeLong et al. 1988."""
    first, second, names = pair(0)
    one, two = (kernel(each.score, first.positive) for each in (first, second))
    by_positive = np.cov(one.mean(axis=1), two.mean(axis=1))
    by_negative = np.cov(one.mean(axis=0), two.mean(axis=0))
    contrast = np.array([1, -1])
    expected = contrast @ (by_positive / len(one) + by_negative / one.shape[1]) @ contrast
    found = compare_auroc([first], [second], names)
    assert found.standard_error**2 == pytest.approx(expected)
    assert found.mean == pytest.approx(one.mean() - two.mean())


def test_slices_copied_within_a_patient_tell_nothing_new():
    first, _, names = pair(1)
    share, positive = placements(first.score, first.positive), first.positive
    single = clustered_variance(share, positive, names)
    copied = [np.repeat(array, 5) for array in (share, positive, names)]
    assert clustered_variance(*copied) == pytest.approx(single)
    alone = clustered_variance(copied[0], copied[1], np.arange(len(copied[0])))
    assert alone < 0.25 * single


def test_clustered_error_agrees_with_the_bootstrap_of_patients():
    first, second, names = pair(2, patients=80, slices=4)
    score = {"auroc": METRICS["auroc"].score}
    draws = draw(names, 1, resamples=3000, seed=0, positive=first.positive)
    one, two = (replicates(score, [each], draws)["auroc"] for each in (first, second))
    found = compare_auroc([first], [second], names)
    assert found.standard_error == pytest.approx((one - two).std(), rel=0.12)


def test_equal_classifiers_do_not_differ():
    first, _, names = pair(3)
    assert compare_auroc([first], [first], names).p == 1

"""Differences of arms: hand-computed variances, t tests as special cases, Holm, power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from medimg_gan.metrics.comparison import (
    FEWEST_PATIENTS,
    Comparison,
    compare,
    holm,
    minimal_detectable,
    outcome_of,
    variance_of_mean,
)
from medimg_gan.metrics.statistics import draw


def drawn_means(values: np.ndarray, resamples: int = 20_000) -> np.ndarray:
    """Bootstrap over patients of values (P, S): (B, S)."""
    draws = draw(np.arange(len(values)), 1, resamples=resamples, seed=0)
    return draws.patient_counts @ values / len(values)


def test_with_seeds_that_agree_it_is_the_paired_t_test():
    values = np.random.default_rng(0).normal(0.3, 1, size=(15, 1)) * np.ones((1, 4))
    found = compare(values.mean(axis=0), drawn_means(values), 15)
    expected = stats.ttest_1samp(values[:, 0], 0)
    assert found.p == pytest.approx(expected.pvalue, rel=0.05)
    low, high = expected.confidence_interval()
    assert (found.low, found.high) == (
        pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01)
    )  # fmt: skip


def test_with_patients_that_agree_it_is_the_t_test_of_the_seeds():
    seeds = np.array([0.10, 0.02, 0.07, -0.01, 0.05])
    found = compare(seeds, np.tile(seeds, (500, 1)), 15)
    expected = stats.ttest_1samp(seeds, 0)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.degrees == pytest.approx(4)
    assert found.low == pytest.approx(expected.confidence_interval().low)


@pytest.mark.parametrize(("difference", "p"), [(0.1, 2 * 0.5**6), (0.0, 1.0)])
def test_where_nothing_varies_only_the_signs_of_the_patients_speak(difference, p):
    by_seed = np.full(3, difference)
    found = compare(by_seed, np.tile(by_seed, (500, 1)), 6)
    assert (found.low, found.high) == (pytest.approx(difference), pytest.approx(difference))
    assert found.p == pytest.approx(p)


def test_variance_has_the_hand_computed_parts():
    """Two seeds, replicates +-1 together: patients 1 (times 3/2), seeds 0.5 / 2, nothing shared."""
    drawn = np.array([[1.0, 1.0], [-1.0, -1.0]])
    variance, _ = variance_of_mean(np.array([0.5, -0.5]), drawn, patients=3)
    assert variance == pytest.approx(1.5 + 0.25)
    apart = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    variance, _ = variance_of_mean(np.array([1.0, -1.0]), apart, patients=3)
    # patients 0.5 * 3/2, seeds 2 / 2, shared (1 - 0.5) * 3/2
    assert variance == pytest.approx(1.0)


def test_variance_recovers_planted_components():
    """Patients 1, seeds 0.5 and interaction 2 over 30 patients and 6 seeds, averaged over runs."""
    generator = np.random.default_rng(0)
    found = []
    for _ in range(200):
        values = (
            generator.normal(size=(30, 1))
            + np.sqrt(0.5) * generator.normal(size=(1, 6))
            + np.sqrt(2) * generator.normal(size=(30, 6))
        )
        found.append(variance_of_mean(values.mean(axis=0), drawn_means(values, 200), 30)[0])
    assert np.mean(found) == pytest.approx(1 / 30 + 0.5 / 6 + 2 / 180, rel=0.12)


def test_no_difference_at_all_is_no_evidence():
    found = compare(np.zeros(3), np.zeros((50, 3)), 20)
    assert (found.mean, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert outcome_of(found, 1.0, 20, seeds=3) == "no evidence"


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_statsmodels(seed):
    p_values = np.random.default_rng(seed).random(6) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_minimal_detectable_effect_equals_statsmodels():
    for tests in (1, 3):
        effect = TTestPower().solve_power(
            nobs=12, alpha=0.05 / tests, power=0.8, alternative="two-sided"
        )
        # Cohen's d is in standard deviations, a standard error is sqrt(12) times smaller.
        assert minimal_detectable(0.1, 11, tests) == pytest.approx(
            0.1 * effect * np.sqrt(12), rel=1e-3
        )


def test_an_interval_ends_where_differences_of_shares_do():
    """Two seeds 0.5 apart: by hand 0.3 +- 12.7 x 0.25, but p is of the whole t."""
    by_seed = np.array([0.05, 0.55])
    found = compare(by_seed, np.tile(by_seed, (50, 1)), 20)
    assert (found.low, found.high, found.cut) == (-1, 1, True)
    assert found.standard_error == pytest.approx(0.25)
    assert found.p == pytest.approx(2 * stats.t.sf(0.3 / 0.25, 1))
    many = np.array([0.25, 0.3, 0.35, 0.28, 0.32])
    whole = compare(many, np.tile(many, (50, 1)), 20)
    assert not whole.cut
    assert whole.high - whole.mean == pytest.approx(whole.mean - whole.low)
    assert not compare(np.zeros(3), np.zeros((50, 3)), 20).cut


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.2, "helped"), (-0.01, 0.2, "no evidence"), (-0.2, -0.01, "hurt")],
)
def test_outcome_follows_the_interval_and_the_correction(low, high, said):
    found = Comparison((low + high) / 2, low, high, 0.1, 9, 0.01)
    assert outcome_of(found, 0.04, FEWEST_PATIENTS, seeds=2) == said
    assert outcome_of(found, 0.06, FEWEST_PATIENTS, seeds=2) == "no evidence"
    assert outcome_of(found, 0.04, FEWEST_PATIENTS - 1, seeds=2) == "cannot tell"
    assert outcome_of(found, 0.04, FEWEST_PATIENTS, seeds=1) == "cannot tell"

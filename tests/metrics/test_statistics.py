"""Bootstrap intervals: exact small cases, coverage by simulation, pairing."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.metrics import METRICS, Outcome, statistics
from medimg_gan.metrics.statistics import Interval, draw, interval, mean_score, over_seeds

SENSITIVITY = METRICS["minority_sensitivity"].score
AUROC = METRICS["auroc"].score


def replicates(score, outcomes, draws) -> np.ndarray:
    """The score, patients and seeds resampled: (B,)."""
    return over_seeds(statistics.replicates({"": score}, outcomes, draws)[""], draws)


def outcome(score: np.ndarray, positive: np.ndarray, threshold: float = 0.0) -> Outcome:
    return Outcome(np.stack([-score, score], axis=1), positive.astype(int), 1, threshold)


def test_a_patient_is_drawn_with_all_its_slices():
    """Two patients, one always found and one never: a resample finds all, half or none."""
    score = np.array([1.0] * 5 + [-1.0] * 5)
    patients = np.repeat(["a", "b"], 5)
    drawn = replicates(
        SENSITIVITY, [outcome(score, np.ones(10))], draw(patients, 1, resamples=4000, seed=0)
    )
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0.0, 0.5, 1.0]
    assert counts / 4000 == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_interval_of_a_proportion_matches_the_binomial():
    """50 patients of one slice, 30 found: the bootstrap is a binomial (50, 0.6) over 50."""
    score = np.where(np.arange(50) < 30, 1.0, -1.0)
    draws = draw(np.arange(50).astype(str), 1, resamples=4000, seed=1)
    one = [outcome(score, np.ones(50))]
    found = interval(mean_score(SENSITIVITY, one), replicates(SENSITIVITY, one, draws))
    assert found.mean == pytest.approx(0.6)
    assert (found.low, found.high) == (pytest.approx(0.46, abs=0.02), pytest.approx(0.74, abs=0.02))


def test_seeds_are_drawn_too():
    """Two seeds, one perfect and one useless: the interval spans both."""
    patients = np.arange(20).astype(str)
    positive = np.ones(20)
    seeds = [outcome(np.ones(20), positive), outcome(-np.ones(20), positive)]
    drawn = replicates(SENSITIVITY, seeds, draw(patients, 2, resamples=2000, seed=0))
    found = interval(mean_score(SENSITIVITY, seeds), drawn)
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_resamples_without_the_minority_are_left_out():
    patients = np.array(["a", "b", "c"])
    one = [outcome(np.array([0.9, 0.1, 0.2]), np.array([1, 0, 0]))]
    drawn = replicates(AUROC, one, draw(patients, 1, resamples=500, seed=0))
    assert np.isnan(drawn).any()
    found = interval(1.0, drawn)
    assert np.isfinite([found.low, found.high]).all()


def test_interval_without_any_usable_resample_is_the_mean():
    assert interval(0.4, np.array([np.nan])) == Interval(0.4, 0.4, 0.4)


def test_strata_keep_their_number_of_patients_and_nothing_is_undefined():
    patients = np.array(["a", "a", "b", "c", "c", "d", "e"])
    positive = np.array([0, 1, 0, 1, 1, 0, 0])
    draws = draw(patients, 1, resamples=200, seed=0, positive=positive)
    assert (draws.patient_counts[:, [0, 2]].sum(axis=1) == 2).all(), "a and c have the class"
    assert (draws.patient_counts[:, [1, 3, 4]].sum(axis=1) == 3).all()
    assert draws.fewest_patients == 2
    one = [outcome(np.linspace(0, 1, 7), positive)]
    assert np.isfinite(replicates(AUROC, one, draws)).all()


def test_one_patient_without_the_class_does_not_decide_about_the_others_score():
    """Eight patients have slices of both kinds: they carry sensitivity, and nearly all the rest."""
    patients = np.array([*np.repeat(np.arange(8), 2), 8, 8])
    positive = np.array([0, 1] * 8 + [0, 0])
    assert draw(patients, 1, resamples=1, seed=0, positive=positive).fewest_patients == 8


def test_same_seed_gives_the_same_draws():
    patients = np.arange(9).astype(str)
    first, again, other = (draw(patients, 2, resamples=50, seed=s) for s in (3, 3, 4))
    assert (first.patient_counts == again.patient_counts).all()
    assert (first.patient_counts != other.patient_counts).any()
    assert (first.patient_counts.sum(axis=1) == 9).all()


def simulate_patients(generator: np.random.Generator, patients: int) -> tuple[Outcome, np.ndarray]:
    """Half the patients positive, three slices each, scores shared within a patient in part."""
    positive = np.repeat(np.arange(patients) % 2, 3)
    shared = np.repeat(generator.normal(size=patients), 3)
    score = positive * 1.5 + 0.8 * shared + 0.6 * generator.normal(size=3 * patients)
    return outcome(score, positive), np.repeat(np.arange(patients), 3).astype(str)


def test_coverage_of_the_patient_bootstrap_by_simulation():
    """AUROC of N(1.5, 1) against N(0, 1) is Phi(1.5 / sqrt 2) = 0.8556."""
    generator = np.random.default_rng(0)
    covered = covered_by_slice = 0
    for trial in range(150):
        one, patients = simulate_patients(generator, 40)
        by_slice = np.arange(len(patients)).astype(str)
        mean = mean_score(AUROC, [one])
        for units, count in ((patients, 1), (by_slice, 0)):
            draws = draw(units, 1, resamples=300, seed=trial)
            found = interval(mean, replicates(AUROC, [one], draws))
            hit = found.low <= 0.8556 <= found.high
            covered += hit * count
            covered_by_slice += hit * (1 - count)
    assert 0.88 <= covered / 150 <= 0.99
    assert covered_by_slice / 150 < covered / 150 - 0.05, "slices of a patient are not independent"


def test_pairing_narrows_the_difference():
    generator = np.random.default_rng(0)
    one, patients = simulate_patients(generator, 40)
    better = outcome(one.score + 0.1 * one.positive, one.positive)
    paired = draw(patients, 1, resamples=500, seed=0)
    other = draw(patients, 1, resamples=500, seed=1)
    base = replicates(AUROC, [one], paired)
    width_paired = np.std(replicates(AUROC, [better], paired) - base)
    width_unpaired = np.std(replicates(AUROC, [better], other) - base)
    assert width_paired < 0.5 * width_unpaired

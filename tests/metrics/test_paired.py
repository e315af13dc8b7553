"""Errors of a translated volume, held against numbers worked out by hand."""

import numpy as np
import pytest

from medimg_gan.metrics import paired

SHAPE = (6, 6, 4)


@pytest.fixture
def body():
    inside = np.zeros(SHAPE, bool)
    inside[1:5, 1:5] = True
    return inside


def test_errors_are_means_over_the_mask_alone(body):
    truth, made = np.zeros(SHAPE), np.zeros(SHAPE)
    made[1:5, 1:3], made[1:5, 3:5] = 30, -10  # half and half of the body
    made[0] = 1e6
    assert paired.mean_absolute_error(made, truth, body) == pytest.approx(20)
    assert paired.mean_error(made, truth, body) == pytest.approx(10)
    assert np.isnan(paired.mean_error(made, truth, np.zeros(SHAPE, bool)))


def test_tissues_are_the_truths_and_fill_the_body(body):
    truth = np.full(SHAPE, -1000.0)
    truth[1], truth[2], truth[3], truth[4] = -500, -100, 40, 900
    found = paired.tissues(truth, body)
    assert {name: int(where.sum()) for name, where in found.items()} == dict.fromkeys(
        ("air", "fat", "soft", "bone"), 16
    )
    assert (sum(where.astype(int) for where in found.values()) == body).all()
    edges = paired.tissues(np.array([-190.0, -30.0, 250.0]), np.ones(3, bool))
    assert [name for n in range(3) for name, where in edges.items() if where[n]] == [
        "fat", "soft", "bone",
    ]  # fmt: skip


def test_psnr_by_hand_and_clipped_to_the_range(body):
    truth = np.zeros(SHAPE)
    expected = 20 * np.log10(4024 / 100)
    found = paired.peak_signal_to_noise(truth + 100, truth, body, paired.HU_RANGE)
    assert found == pytest.approx(expected)
    dense = np.full(SHAPE, 3000.0)
    assert paired.peak_signal_to_noise(dense + 500, dense, body, paired.HU_RANGE) == np.inf


def test_a_shift_of_all_slices_costs_no_consistency_but_a_stripe_does(body):
    truth = np.random.default_rng(0).normal(size=SHAPE)
    assert paired.slope_error(truth + 7, truth, body, 5.0) == pytest.approx(0)
    striped = truth + np.where(np.arange(4) % 2, 10.0, -10.0)
    assert paired.slope_error(striped, truth, body, 5.0) == pytest.approx(20 / 5)
    assert paired.slope(np.ones(SHAPE) * [0, 3, 6, 9], body, 1.5) == pytest.approx(2)
    assert np.isnan(paired.slope_error(truth[..., :1], truth[..., :1], body[..., :1], 5.0))


def test_a_spread_that_is_the_error_agrees_with_it(body):
    error = np.random.default_rng(0).normal(size=SHAPE)
    truth = np.full(SHAPE, 40.0)
    found = paired.spread_agreement(np.abs(error) ** 3, truth + error, truth, body)
    assert found["spearman"] == pytest.approx(1)
    assert 0.5 < found["pearson"] < 1
    unmoved = paired.spread_agreement(np.zeros(SHAPE), truth + error, truth, body)
    assert np.isnan([*unmoved.values()]).all()


def test_edges_agree_whatever_the_brightness_and_not_when_moved():
    where = np.ones((32, 32, 2), bool)
    truth = np.zeros((32, 32, 2))
    truth[8:20, 10:22] = 100
    assert paired.edge_agreement(3 * truth - 50, truth, where) == pytest.approx(1)
    assert paired.edge_agreement(np.roll(truth, 5, axis=0), truth, where) < 0.5
    assert np.isnan(paired.edge_agreement(np.zeros_like(truth), truth, where))

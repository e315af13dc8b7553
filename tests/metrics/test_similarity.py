"""SSIM and MS-SSIM inside a mask, held against the formulae on single windows."""

import numpy as np
import pytest

from medimg_gan.metrics.similarity import SCALES, multiscale_similarity, similarity

LIMITS = (-1024.0, 3000.0)
SPAN = LIMITS[1] - LIMITS[0]


def by_formula(one, other):
    """Wang et al. 2004, eq. 13, on one window, with the sample covariance."""
    one, other = one.ravel() + 1024, other.ravel() + 1024
    c1, c2 = (0.01 * SPAN) ** 2, (0.03 * SPAN) ** 2
    covariance = np.cov(one, other)
    means = 2 * one.mean() * other.mean() + c1
    means /= one.mean() ** 2 + other.mean() ** 2 + c1
    return means * (2 * covariance[0, 1] + c2) / (covariance[0, 0] + covariance[1, 1] + c2)


@pytest.mark.parametrize("shape", [(7, 7, 7), (7, 7, 1)])
def test_one_window_is_the_formula(shape):
    rng = np.random.default_rng(1)
    truth = rng.normal(300, 200, shape)
    made = truth + rng.normal(50, 150, shape)
    found = similarity(made, truth, np.ones(shape, bool), LIMITS)
    assert found == pytest.approx(by_formula(made, truth))


@pytest.mark.parametrize(("measure", "depth"), [(similarity, 9), (multiscale_similarity, 1)])
def test_what_lies_outside_the_mask_changes_nothing(measure, depth):
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 300, (20, 20, depth))
    made = truth + rng.normal(0, 100, truth.shape)
    mask = np.zeros(truth.shape, bool)
    mask[4:16, 4:16] = True
    before = measure(made, truth, mask, LIMITS)
    assert 0 < before < 1
    assert measure(np.where(mask, made, 2000), truth, mask, LIMITS) == before
    assert measure(truth, truth, mask, LIMITS) == pytest.approx(1)
    assert measure(made + 400, truth, mask, LIMITS) < before


def test_ms_ssim_of_two_constants_is_the_product_of_their_luminance():
    """Contrast and structure are 1 where nothing varies; every scale has the luminance.

    Halving takes 0 for what lies before the first voxel, which costs the coarsest scales a little.
    """
    shape = (200, 200, 1)
    found = multiscale_similarity(
        np.full(shape, 476.0), np.full(shape, -24.0), np.ones(shape, bool), LIMITS
    )
    c1 = (0.01 * SPAN) ** 2
    luminance = (2 * 1500 * 1000 + c1) / (1500**2 + 1000**2 + c1)
    assert found == pytest.approx(luminance ** sum(SCALES), rel=1e-2)


def test_fine_noise_costs_the_fine_scales_only():
    rng = np.random.default_rng(3)
    truth = np.zeros((128, 128, 1))
    truth[32:96, 32:96] = 1000
    made = truth + rng.normal(0, 200, truth.shape)
    where = np.ones(truth.shape, bool)
    assert multiscale_similarity(made, truth, where, LIMITS) > similarity(
        made, truth, where, LIMITS
    )

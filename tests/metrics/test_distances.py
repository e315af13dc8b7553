"""Fréchet distance, kernel distance, precision, recall, density, coverage."""

import contextlib
import io

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from medimg_gan.metrics.frechet import frechet_distance
from medimg_gan.metrics.kernel import kernel_distance
from medimg_gan.metrics.prdc import manifolds


def features(count: int, width: int = 8, seed: int = 0, shift: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(shift, 1, (count, width)) @ np.random.default_rng(99).normal(
        size=(width, width)
    )


def with_moments(mean: np.ndarray, covariance: np.ndarray, count: int = 60) -> np.ndarray:
    """A sample whose mean and covariance are exactly these."""
    drawn = np.random.default_rng(1).normal(size=(count, len(mean)))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False)).T)
    return mean + white @ np.linalg.cholesky(covariance).T


def test_frechet_of_two_gaussians_equals_its_formula():
    mean, other = np.array([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 2.5])
    spread = np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 0.7]])
    others = np.array([[1.0, -0.3, 0.0], [-0.3, 3.0, 0.4], [0.0, 0.4, 0.9]])
    root = np.real(np.asarray(sqrtm(spread @ others)))
    expected = ((mean - other) ** 2).sum() + np.trace(spread + others - 2 * root)
    found = frechet_distance(with_moments(mean, spread), with_moments(other, others, 45))
    assert found == pytest.approx(expected, rel=1e-9)


def test_frechet_agrees_with_torch_fidelity():
    real, made = features(200), features(150, seed=1, shift=0.4)
    statistics = [fid_features_to_statistics(torch.from_numpy(some)) for some in (real, made)]
    reference = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(real, made) == pytest.approx(reference, rel=1e-6)


def test_frechet_is_exact_with_fewer_images_than_dimensions():
    # In the span of the images nothing is lost: padding with empty dimensions changes nothing.
    real, made = features(200), features(150, seed=1, shift=0.4)
    padded = [np.pad(some, ((0, 0), (0, 300))) for some in (real, made)]
    assert frechet_distance(*padded) == pytest.approx(frechet_distance(real, made), rel=1e-9)
    assert frechet_distance(padded[0], padded[0]) == pytest.approx(0, abs=1e-9)


def test_the_kernel_distance_agrees_with_torch_fidelity():
    real, made = features(90), features(90, seed=1, shift=0.4)
    reference = kid_features_to_metric(
        torch.from_numpy(real), torch.from_numpy(made), kid_subsets=1, kid_subset_size=90,
        verbose=False,
    )["kernel_inception_distance_mean"]  # fmt: skip
    assert kernel_distance(real, made).value == pytest.approx(reference, rel=1e-6)


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_kernel_distance_is_unbiased_and_knows_its_error(shift):
    draws = 300
    rng = np.random.default_rng(0)
    found = [
        kernel_distance(rng.normal(size=(40, 3)), rng.normal(shift, 1, (40, 3)))
        for _ in range(draws)
    ]
    values = np.array([one.value for one in found])
    claimed = np.sqrt(np.mean([one.standard_error**2 for one in found]))
    # A large sample tells the truth.
    far = kernel_distance(rng.normal(size=(1500, 3)), rng.normal(shift, 1, (1500, 3)))
    truth = 0.0 if shift == 0 else far.value
    tolerance = 4 * values.std() / np.sqrt(draws) + (0 if shift == 0 else 3 * far.standard_error)
    assert values.mean() == pytest.approx(truth, abs=tolerance)
    assert 0.8 < claimed / values.std() < 1.35


def test_precision_recall_density_and_coverage_agree_with_prdc():
    real, made = features(80), features(80, seed=1, shift=0.3)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = compute_prdc(real, made, nearest_k=5)
    assert manifolds(real, made)._asdict() == pytest.approx(reference, rel=1e-6)


def test_a_collapsed_generator_keeps_precision_and_loses_recall_and_coverage():
    real = features(100)
    collapsed = np.repeat(real[:2], 50, axis=0) + 1e-3 * features(100, seed=2)
    whole, narrow = manifolds(real, features(100, seed=1)), manifolds(real, collapsed)
    assert narrow.precision == 1
    assert narrow.recall < 0.2 < whole.recall
    assert narrow.coverage < 0.3 < whole.coverage


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="two images"):
        frechet_distance(features(1), features(9))
    with pytest.raises(ValueError, match="two images"):
        kernel_distance(features(9), features(1))
    with pytest.raises(ValueError, match="more than 5"):
        manifolds(features(5), features(5))

"""Kernel distance (KID when the features are Inception's): unbiased, with its standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


class Estimate(NamedTuple):
    """A figure and the standard deviation that it would have over new draws of the images."""

    value: float
    standard_error: float


def kernel_distance(real: FloatArray, synthetic: FloatArray) -> Estimate:
    """Unbiased squared MMD with k(x, y) = (x.y / d + 1)^3 (Binkowski 2018, eq. 4).

    Every pair of images is used, none twice. It is 0 on average for equal distributions, hence
    sometimes negative. The standard error takes images for independent draws; slices of one
    patient are not, so the true one is larger. With few images it errs on the large side.

    Its square is the plug-in variance of the images' own contributions (Hoeffding's first order),
    which counts the variance of the pairs (second order, all there is for equal distributions)
    twice; once is taken off.

    Args:
        real: (N, d), N at least 2.
        synthetic: (M, d), M at least 2.
    """
    real, synthetic = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    n, m = len(real), len(synthetic)
    if min(n, m) < 2:
        raise ValueError("a kernel distance needs at least two images of each kind")
    within, across, between = _kernel(real), _kernel(synthetic), _kernel(real, synthetic)
    of_real = _row_means(within) - between.mean(axis=1)
    of_synthetic = _row_means(across) - between.mean(axis=0)
    value = float(of_real.mean() + of_synthetic.mean())
    images = 4 * of_real.var(ddof=1) / n + 4 * of_synthetic.var(ddof=1) / m
    pairs = (
        2 * _interaction(within) / (n * (n - 1))
        + 2 * _interaction(across) / (m * (m - 1))
        + 4 * (_doubly_centred(between) ** 2).mean() / (n * m)
    )
    return Estimate(value, float(np.sqrt(max(images - pairs, pairs))))


def _kernel(some: FloatArray, others: FloatArray | None = None) -> FloatArray:
    others = some if others is None else others
    return (some @ others.T / some.shape[1] + 1) ** 3


def _row_means(kernel: FloatArray) -> FloatArray:
    """Mean over the others: the diagonal pairs an image with itself."""
    return (kernel.sum(axis=1) - kernel.diagonal()) / (len(kernel) - 1)


def _interaction(kernel: FloatArray) -> float:
    """Mean square of what a pair adds to its images' own contributions."""
    outside = ~np.eye(len(kernel), dtype=bool)
    return float((_doubly_centred(kernel)[outside] ** 2).mean())


def _doubly_centred(kernel: FloatArray) -> FloatArray:
    return kernel - kernel.mean(axis=0) - kernel.mean(axis=1, keepdims=True) + kernel.mean()

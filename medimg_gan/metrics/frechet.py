"""Fréchet distance of two sets of features, each taken for a Gaussian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


def frechet_distance(real: FloatArray, synthetic: FloatArray) -> float:
    """``|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))`` (Dowson & Landau 1982; Heusel 2017, eq. 6).

    The trace of the root is the sum of the singular values of A B^T, where A and B are the
    centred features over sqrt(N - 1): no root of a matrix is taken, so it is exact and stable for
    fewer images than dimensions too, where S is singular. The *estimate* is biased upwards then
    (Chong & Forsyth 2020): compare it only with a floor at the same counts.

    Args:
        real: (N, d).
        synthetic: (M, d).

    Returns:
        At least 0, in squared units of the features; 0 for identical sets.
    """
    (mean, root), (other_mean, other_root) = _moments(real), _moments(synthetic)
    cross = np.linalg.svd(root @ other_root.T, compute_uv=False).sum()
    spread = (root**2).sum() + (other_root**2).sum() - 2 * cross
    return float(max(((mean - other_mean) ** 2).sum() + spread, 0.0))


def _moments(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (d,), and R (min(N, d), d) with R^T R the covariance."""
    features = np.asarray(features, np.float64)
    if len(features) < 2:
        raise ValueError("a covariance needs at least two images")
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    # A = QR: Q turns, and leaves singular values alone.
    wide = len(centred) <= centred.shape[1]
    return mean, centred if wide else np.asarray(np.linalg.qr(centred, mode="r"))

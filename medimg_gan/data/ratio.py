"""What a mixing ratio is: minority slices after mixing over those of the largest other class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import IntArray


def largest_other_class(labels: IntArray, minority: int) -> int:
    """Number of training slices of the most frequent class beside the minority."""
    counts = np.bincount(labels, minlength=minority + 1)
    counts[minority] = 0
    return int(counts.max())


def ratio_of(labels: IntArray, minority: int, added: int = 0) -> float:
    """Minority slices after ``added`` more, over those of the largest other class."""
    return float(((labels == minority).sum() + added) / largest_other_class(labels, minority))


def count_to_add(labels: IntArray, minority: int, ratio: float) -> int:
    """How many minority slices to add so that :func:`ratio_of` becomes ``ratio``.

    1.0 fills the minority up to the largest other class, 0.5 to half of it; 0 is returned where
    the real slices already reach the ratio.
    """
    wanted = round(ratio * largest_other_class(labels, minority))
    return max(0, wanted - int((labels == minority).sum()))

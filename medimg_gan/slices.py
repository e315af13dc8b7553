"""Which of many slices: the middle one of neighbours, some of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from medimg_gan.types import FloatArray, IntArray

ImagesT = TypeVar("ImagesT", "FloatArray", "Tensor")


def middle_slice(images: ImagesT) -> ImagesT:
    """(N, C, H, W) -> (N, 1, H, W): of C adjacent slices the middle one, C // 2."""
    middle = images.shape[1] // 2
    return images[:, middle : middle + 1]


def spread_over(length: int, count: int) -> IntArray:
    """Places of up to ``count`` of ``length`` items, rising and evenly spread, with both ends."""
    return np.linspace(0, length - 1, min(length, count)).round().astype(int)

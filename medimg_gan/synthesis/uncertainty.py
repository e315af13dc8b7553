"""How far a translator's answers differ when the same scan is shown to it in other ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class Move:
    """A change of the picture that can be undone in the translation.

    Attributes:
        down, right: Shift in whole pixels.
        mirrors: Whether left and right are exchanged.
    """

    down: int = 0
    right: int = 0
    mirrors: bool = False


MOVES = tuple(
    Move(down, right, mirrors)
    for mirrors in (False, True)
    for down, right in ((0, 0), (1, 2), (2, -1), (-1, -2), (-2, 1))
)[1:]  # the first leaves everything in its place
"""Shifts that meet a network's fourfold downsampling at other phases."""


def moved(translate: Callable[[Tensor], Tensor], move: Move) -> Callable[[Tensor], Tensor]:
    """The same translator, shown the moved picture; its answer is moved back."""

    def answer(images: Tensor) -> Tensor:
        images = torch.flip(images, dims=[-1]) if move.mirrors else images
        made = shifted(translate(shifted(images, move.down, move.right)), -move.down, -move.right)
        return torch.flip(made, dims=[-1]) if move.mirrors else made

    return answer


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    """(..., C, H, W) moved by whole pixels; the border is repeated where nothing comes in."""
    height, width = images.shape[-2:]
    padding = (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0))
    padded = F.pad(images, padding, mode="replicate")
    top, left = max(-down, 0), max(-right, 0)
    return padded[..., top : top + height, left : left + width]


class Spread:
    """Mean and deviation of stacks that are added one by one (Welford 1962): two stacks of memory.

    Args:
        shape: Of every stack.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean, self.squares = np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def add(self, stack: FloatArray) -> None:
        """One more answer."""
        self.count += 1
        apart = stack - self.mean
        self.mean += apart / self.count
        self.squares += apart * (stack - self.mean)

    def deviation(self) -> FloatArray:
        """Standard deviation of the answers so far (with n - 1); 0 for a single one."""
        return np.sqrt(np.maximum(self.squares, 0) / max(1, self.count - 1))

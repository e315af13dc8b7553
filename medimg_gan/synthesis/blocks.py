"""Stacks of slices through a network, in blocks, without seams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

BLOCK_PIXELS = 2**19
"""Pixels of a channel that go through the network at once: 32 slices at 128 pixels. What a network
holds of them bounds the memory, however long a volume is."""


def neighbourhoods(stacks: Sequence[FloatArray], centres: np.ndarray, adjacent: int) -> FloatArray:
    """What a 2.5D network sees at some slices; beyond the ends the last slice is repeated.

    Args:
        stacks: One (K, H, W) for each sequence.
        centres: (N,) places in 0 to K - 1.
        adjacent: Odd.

    Returns:
        (N, sequences * adjacent, H, W), sequence by sequence and the adjacent slices within each.
    """
    offsets = np.arange(adjacent) - adjacent // 2
    seen = np.clip(centres[:, None] + offsets, 0, len(stacks[0]) - 1)
    return np.concatenate([stack[seen] for stack in stacks], axis=1)


def translate_stack(
    translate: Callable[[Tensor], Tensor],
    stacks: Sequence[FloatArray],
    adjacent: int,
    device: torch.device,
) -> FloatArray:
    """A whole stack of pictures through a network that sees ``adjacent`` slices at once.

    The network is asked at every slice, so each slice has up to ``adjacent`` estimates: one from
    each neighbour that saw it too. They are averaged with triangular weights, the slice's own
    being the heaviest. Which slices share a block changes nothing, so there is no seam. What is
    made beyond the ends is dropped.

    Args:
        translate: (N, sequences * adjacent, H, W) in [-1, 1], see :func:`neighbourhoods`, ->
            (N, adjacent, H, W).
        stacks: One (K, H, W) float32 for each sequence.
        adjacent: Odd.
        device: Where the network is.

    Returns:
        (K, H, W) float32 in [-1, 1].
    """
    count, height, width = stacks[0].shape
    offsets = np.arange(adjacent) - adjacent // 2
    weights = adjacent // 2 + 1 - np.abs(offsets)
    made, shares = np.zeros(stacks[0].shape, np.float32), np.zeros(count, np.float32)
    block = max(1, BLOCK_PIXELS // (height * width))
    for start in range(0, count, block):
        centres = np.arange(start, min(start + block, count))
        images = neighbourhoods(stacks, centres, adjacent)
        estimates = translate(torch.from_numpy(images).to(device)).clamp(-1, 1).float().cpu()
        for channel, (offset, weight) in enumerate(zip(offsets, weights, strict=True)):
            inside = (centres + offset >= 0) & (centres + offset < count)
            places = centres[inside] + offset
            made[places] += weight * estimates[:, channel].numpy()[inside]
            shares[places] += weight
    made /= shares[:, None, None]
    return made

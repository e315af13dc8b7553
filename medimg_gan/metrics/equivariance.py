"""Does a generated picture move with its input? EQ-T of Karras 2021 (eq. 3, appendix E.3)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

LANCZOS = 3
"""Lobes of the filter that moves a picture by parts of a pixel."""

RANGE = 2.0
"""Span of values of images in [-1, 1]."""


def moved_by(images: Tensor, shift: tuple[float, float]) -> Tensor:
    """Images (N, C, H, W) moved down and right by parts of a pixel (Lanczos, zero beyond the edge).

    Args:
        images: Any range.
        shift: Pixels down and right.
    """
    channels = images.shape[1]
    for axis, pixels in ((2, shift[0]), (3, shift[1])):
        whole = math.floor(pixels)
        offset = torch.arange(-LANCZOS, LANCZOS, dtype=images.dtype, device=images.device)
        distance = offset + (pixels - whole)
        taps = torch.sinc(distance) * torch.sinc(distance / LANCZOS) * (distance.abs() < LANCZOS)
        taps = (taps / taps.sum()).view((-1, 1) if axis == 2 else (1, -1))
        margin = LANCZOS + abs(whole)
        padding = [0, 0, margin, margin] if axis == 2 else [margin, margin, 0, 0]
        kernel = taps.expand(channels, 1, -1, -1)
        moved = F.conv2d(F.pad(images, padding), kernel, groups=channels)
        images = moved.narrow(axis, margin - whole - LANCZOS, images.shape[axis])
    return images


def translation_equivariance(still: Tensor, moved: Tensor, shift: tuple[float, float]) -> float:
    """EQ-T: how well moving the input equals moving the output, in dB; larger is better.

    ``10 log10(2^2 / MSE)`` between ``moved`` and ``still`` moved by ``shift``, over the pixels that
    no edge reaches.

    Args:
        still: G(z), (N, C, H, W) in [-1, 1].
        moved: G of the same noise with its input moved, same shape.
        shift: Pixels down and right by which the input was moved.

    Raises:
        ValueError: If the shift leaves no pixel to compare.
    """
    edges = [math.ceil(abs(pixels)) + LANCZOS for pixels in shift]
    height, width = still.shape[-2] - 2 * edges[0], still.shape[-1] - 2 * edges[1]
    if min(height, width) <= 0:
        raise ValueError(f"a shift of {shift} pixels leaves nothing of {tuple(still.shape)}")
    difference = (moved_by(still, shift) - moved)[
        :, :, edges[0] : edges[0] + height, edges[1] : edges[1] + width
    ]
    return 10 * math.log10(RANGE**2 / max(difference.square().mean().item(), 1e-20))

"""Whether a translation has the values of its modality at the right depth below the skin.

Between two modalities a network may agree with itself on a wrong tissue: a scalp, bright in MR,
becomes bone, bright in CT, and the skull soft tissue. The cycle comes back, edges and outline
agree, and a critic that sees patches sees a plausible head. What the body itself tells against it,
without a pair: skin, fat, bone and organs lie at about the same depths in everybody.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan.structure_losses import body

DEPTHS = (1 / 64, 2 / 64, 3 / 64, 4 / 64, 6 / 64)
"""Where one layer of a body ends and the next begins, as a share of the picture's side. A head
fills most of a picture; these are then skin and fat, skull, and what lies beneath."""
QUANTILES = 64
"""Of the values in a layer."""
OUTSIDE = -2.0
"""Less than every encoded value."""


def depth_difference(one: Tensor, other: Tensor, layers: Tensor, other_layers: Tensor) -> Tensor:
    """How far apart the values at equal depths are distributed.

    The 1-Wasserstein distance ``mean |F_A^-1(q) - F_B^-1(q)|`` over quantiles q, in every layer
    of each channel by itself; the mean over the layers that both have. Where in its layer a value
    lies does not matter, nor the size of the bodies.

    Args:
        one: Images (N, S * k, H, W) in [-1, 1], sequence by sequence, k adjacent slices within.
        other: As many of the same modality, of like places of other patients.
        layers: (N, k, L, H, W) of ``one``: of the image that it was translated from, whose body
            is where it should be.
        other_layers: The same of ``other``.
    """
    sides = ((one, layers), (other, other_layers))
    first, second = (
        _quantiles(images.float().unflatten(1, (-1, where.shape[1])), where)
        for images, where in sides
    )
    shared = layers.flatten(3).any(dim=-1) & other_layers.flatten(3).any(dim=-1)
    apart = (first - second).abs().mean(dim=(1, -1))
    return (apart * shared).sum() / shared.sum().clamp(min=1)


def depth_layers(images: Tensor, threshold: float) -> Tensor:
    """Which pixel lies outside, and which in which layer of the body, by its depth.

    Args:
        images: (N, k, H, W) in [-1, 1].
        threshold: Encoded value between air and skin.

    Returns:
        (N, k, layers, H, W) bool, from the outside inwards; the last is all the rest of the body.
    """
    side = images.shape[-1]
    inner = body(images.detach().float().flatten(0, 1)[:, None], threshold).gt(0.5).float()
    layers = [1 - inner]
    for first, last in pairwise((0.0, *DEPTHS)):
        outer = inner
        for _ in range(round(last * side) - round(first * side)):
            inner = -F.max_pool2d(-inner, 3, 1, 1)
        layers.append(outer - inner)
    return torch.cat([*layers, inner], dim=1).gt(0.5).unflatten(0, images.shape[:2])


def _quantiles(images: Tensor, layers: Tensor) -> Tensor:
    """Quantiles (N, S, k, L, QUANTILES) of (N, S, k, H, W) in each of the layers (N, k, L, H, W).

    Ranks are gathered from the sorted image, the rest of it first, so that nothing waits for the
    size of a layer.
    """
    pixels, count = layers.shape[-2:].numel(), layers.flatten(3).sum(dim=-1)
    part = (torch.arange(QUANTILES, device=images.device) + 0.5) / QUANTILES
    ranks = (pixels - count[..., None] * (1 - part)).long().clamp(max=pixels - 1)
    values = images[:, :, :, None].masked_fill(~layers[:, None], OUTSIDE)
    values = values.flatten(4).sort(dim=-1).values
    return values.gather(-1, ranks[:, None].expand(*values.shape[:-1], -1))

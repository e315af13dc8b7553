"""Whether two images of different modalities show the same anatomy: losses without pairs.

MR and CT show one boundary with contrasts of either sign and any strength (bone is dark in one and
bright in the other), so each loss here ignores sign and strength of a contrast: of gradients only
the size is compared, of self-similarity only where it is high. Each is 0 for equal structure.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

FLAT = 1e-6
"""Added to variances of gradients (images span 2), so that two images without an edge agree."""

RADIUS, STRIDE = 4, 2
"""MIND compares a pixel with every second neighbour of the 9x9 around it (Yang 2018: with all)."""
PATCH, SIGMA = 7, 2.0
"""Side and Gaussian spread in pixels of the patches compared (Yang 2018)."""
LEAST_VARIANCE = 0.05
"""V is at least this share of its mean over the image: noise in air counts as flat."""

SURFACE = 0.05
"""Softness of the body's surface, in units of the images' range [-1, 1]."""


def same_slices(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Every sequence's slice beside the target's slice in the same place, one channel each.

    Each sequence is compared by itself: in a mean of T1 and T2, whose contrasts are opposite, a
    boundary may vanish that both show.

    Args:
        source: (N, S * k, H, W), sequence by sequence, k adjacent slices within each.
        target: (N, k, H, W).

    Returns:
        Two stacks (N * S * k, 1, H, W). The arguments may also change places.
    """
    slices = min(source.shape[1], target.shape[1])
    source, target = (images.unflatten(1, (-1, slices)) for images in (source, target))
    source, target = torch.broadcast_tensors(source, target)
    return source.flatten(0, 2)[:, None], target.flatten(0, 2)[:, None]


def gradient_difference(one: Tensor, other: Tensor) -> Tensor:
    """``1 - (NCC(|dx A|, |dx B|) + NCC(|dy A|, |dy B|)) / 2`` (Hiasa 2018, eq. 2).

    Departs from the paper: the sizes of the derivatives are compared, not their signed values.

    Args:
        one: Images (N, 1, H, W) of one modality.
        other: Images of the same places in the other.
    """
    along = [
        _correlation(one.diff(dim=axis).abs(), other.diff(dim=axis).abs()) for axis in (-1, -2)
    ]
    return 1 - (along[0] + along[1]).mean() / 2


def self_similarity_difference(one: Tensor, other: Tensor) -> Tensor:
    """``mean |MIND(A) - MIND(B)|`` over pixels and neighbours (Yang 2018, eq. 4).

    Args:
        one: Images (N, 1, H, W) of one modality.
        other: Images of the same places in the other.
    """
    return (mind(one) - mind(other)).abs().mean()


def mind(images: Tensor) -> Tensor:
    """Modality independent neighbourhood descriptor (Heinrich 2012, eq. 4; Yang 2018, eq. 2).

    ``exp(-D_p(x, x + r) / V(x)) / Z``: D_p is the squared difference of two patches, V its mean
    over the four direct neighbours, and Z makes the largest entry of a pixel 1.

    Args:
        images: (N, 1, H, W); their contrast and its sign do not matter.

    Returns:
        (N, R, H, W) float32 in [0, 1] for R neighbours.
    """
    steps = range(-RADIUS, RADIUS + 1, STRIDE)
    neighbours = [(row, column) for row in steps for column in steps if (row, column) != (0, 0)]
    direct = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    with torch.autocast(images.device.type, enabled=False):
        distances = _patch_distances(images.float(), neighbours + direct)
        distances, variance = distances[:, : len(neighbours)], distances[:, len(neighbours) :]
        variance = variance.mean(dim=1, keepdim=True)
        least = LEAST_VARIANCE * variance.mean(dim=(2, 3), keepdim=True) + FLAT
        nearest = distances.amin(dim=1, keepdim=True)
        return torch.exp((nearest - distances) / torch.maximum(variance, least))


def body_difference(one: Tensor, other: Tensor, threshold: float) -> Tensor:
    """Share of the picture that is body in one image and air in the other.

    Args:
        one: Images (N, 1, H, W) in [-1, 1].
        other: Images of the same places in the other modality.
        threshold: Encoded value between air and skin.
    """
    return (body(one, threshold) - body(other, threshold)).abs().mean()


def body(images: Tensor, threshold: float) -> Tensor:
    """1 where tissue lies somewhere on all four sides, 0 outside; soft at the surface.

    So bone without signal and air within the head are body in every modality.

    Args:
        images: (N, 1, H, W) in [-1, 1].
        threshold: Encoded value that is half tissue.
    """
    tissue = torch.sigmoid(
        (F.avg_pool2d(images, 3, 1, 1, count_include_pad=False) - threshold) / SURFACE
    )
    sides = []
    for axis in (-1, -2):
        sides.append(tissue.cummax(dim=axis).values)
        sides.append(tissue.flip(axis).cummax(dim=axis).values.flip(axis))
    return torch.stack(sides).amin(dim=0)


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Normalised cross-correlation of each image, (N,)."""
    one, other = (side.float().flatten(1) for side in (one, other))
    one, other = (side - side.mean(dim=1, keepdim=True) for side in (one, other))
    together = (one * other).mean(dim=1) + FLAT
    alone = (one.square().mean(dim=1) + FLAT) * (other.square().mean(dim=1) + FLAT)
    return together / alone.sqrt()


def _patch_distances(images: Tensor, shifts: list[tuple[int, int]]) -> Tensor:
    """Gaussian-weighted mean square between the patches at x and x + r, (N, R, H, W)."""
    height, width = images.shape[-2:]
    padded = F.pad(images, [RADIUS] * 4, mode="replicate")
    moved = [
        padded[..., RADIUS + row : RADIUS + row + height, RADIUS + column :][..., :width]
        for row, column in shifts
    ]
    squares = (torch.cat(moved, dim=1) - images).square()
    rows, columns = _blur(images, height), _blur(images, width)
    return rows @ squares @ columns.T


def _blur(like: Tensor, side: int) -> Tensor:
    """The Gaussian of a patch as a matrix (side, side), its weights at the border summing to 1.

    Two small products are many times faster on a CPU than a convolution of single channels.
    """
    place = torch.arange(side, device=like.device, dtype=like.dtype)
    apart = (place[:, None] - place).abs()
    weights = torch.exp(-apart.square() / (2 * SIGMA**2)) * (apart <= PATCH // 2)
    return weights / weights.sum(dim=1, keepdim=True)

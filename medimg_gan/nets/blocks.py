"""Pieces that the networks share."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from medimg_gan.errors import ConfigError

SLOPE = 0.2
"""Negative slope of every leaky ReLU (DCGAN, StyleGAN, R3GAN)."""

SMALLEST = 4
"""Side in pixels of the coarsest feature map."""

MEASURES = 16
"""Values that minibatch discrimination adds to an image's features."""


class Readers(NamedTuple):
    """The weights that read a generator's noise, or its style: A of SeFa (Shen & Zhou 2021)."""

    of: Literal["noise", "style"]
    weights: Tensor
    """(M, length): every output that is linear in the noise or style, one a row."""


def doublings(size: int) -> int:
    """How often 4 pixels double to ``size``: 4 for 64.

    Raises:
        ConfigError: If ``size`` is not a power of two from 16 on.
    """
    levels = int(math.log2(size / SMALLEST)) if size >= SMALLEST else 0
    if levels < 2 or SMALLEST * 2**levels != size:
        raise ConfigError(
            f"--size {size}: not a size that a network can be built for",
            observed="expected a power of two from 16 on",
            fix="choose 32, 64, 128, 256 or 512",
        )
    return levels


def channel_ladder(size: int, width: int, limit: int) -> list[int]:
    """Feature channels at 4, 8, ... pixels up to half of ``size``.

    Args:
        size: Width of the image in pixels.
        width: Channels at half of ``size``; doubles with every halving.
        limit: The most channels anywhere.

    Raises:
        ConfigError: If ``size`` is not a power of two from 16 on.
    """
    levels = doublings(size)
    return [min(limit, width * 2 ** (levels - 1 - level)) for level in range(levels)]


def pixel_norm(features: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Scale every pixel's feature vector to a root mean square of 1 (Karras 2018, sec. 4.2).

    Unlike batch norm it has no state, so ranks and the moving average cannot disagree on it.

    Args:
        features: (N, C, ...).
        epsilon: Added to the mean square.
    """
    return features * (features.square().mean(dim=1, keepdim=True) + epsilon).rsqrt()


def channels_last(features: Tensor) -> Tensor:
    """The same values stored pixel by pixel, which the layers after it keep.

    A quarter faster on a CPU with bfloat16 at our widths (measured); weights stay as they are.
    """
    return features.contiguous(memory_format=torch.channels_last)


class MinibatchDeviation(nn.Module):
    """One more channel: how much the images of a group differ (Karras 2018, sec. 3).

    A critic that sees it punishes a generator whose images are all alike. Groups are neighbours
    in the batch, so a batch can be cut between groups without a change.

    Args:
        group: Images compared with one another; a batch that it does not divide is one group.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + 1, H, W)."""
        height, width = features.shape[2:]
        groups = _in_groups(features.float(), self.group)
        deviation = (groups.var(dim=1, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3))
        channel = deviation.repeat_interleave(groups.shape[1])[:, None, None, None]
        return torch.cat([features, channel.expand(-1, 1, height, width).to(features)], dim=1)


class MinibatchDiscrimination(nn.Module):
    """How near each image is to the others of its group, by learnt measures (Salimans 2016, 3.2).

    ``o(x_i)_b = mean over j != i of exp(-|M_ib - M_jb|_1)`` with ``M_i = f(x_i) T``. The paper
    sums; a mean does not depend on how many images a group holds.

    Args:
        features: Length A of an image's features.
        measures: B, values added to them.
        directions: C, length of the vectors that are compared.
        group: Images compared with one another; a batch that it does not divide is one group.
    """

    def __init__(
        self, features: int, measures: int = MEASURES, directions: int = 4, group: int = 8
    ) -> None:
        super().__init__()
        self.group = group
        # Features of order 1 are then some unit apart: exp(-unit) is neither blind nor flat.
        size = 1 / (directions * math.sqrt(features))
        self.tensor = nn.Parameter(size * torch.randn(features, measures, directions))

    def forward(self, features: Tensor) -> Tensor:
        """(N, A) float32 -> (N, A + B); the last B lie in [0, 1], 1 for images that are alike."""
        compared = torch.einsum("na,abc->nbc", features, self.tensor)
        groups = _in_groups(compared, self.group)
        apart = (groups[:, :, None] - groups[:, None]).abs().sum(dim=-1)  # (G, i, j, B)
        others = max(1, groups.shape[1] - 1)
        near = (torch.exp(-apart).sum(dim=2) - 1) / others  # an image is at 0 from itself
        return torch.cat([features, near.flatten(0, 1)], dim=1)


def _in_groups(values: Tensor, group: int) -> Tensor:
    """(N, ...) -> (groups, neighbours, ...); one group if ``group`` does not divide N."""
    size = group if len(values) % group == 0 else len(values)
    return values.unflatten(0, (-1, size))


class PixelNorm(nn.Module):
    """:func:`pixel_norm` as a layer."""

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, ...) -> same shape."""
        return pixel_norm(features)


def init_leaky(module: nn.Module) -> None:
    """He initialisation for leaky ReLU networks without norm layers; biases zero."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            gain_fan = _fan_in(part)
            nn.init.normal_(part.weight, 0.0, math.sqrt(2 / (1 + SLOPE**2) / gain_fan))
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> float:
    """Inputs that one output value sums over."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.in_channels * taps / math.prod(layer.stride)
    return layer.in_channels // layer.groups * taps

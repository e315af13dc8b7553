"""The encoder of the variational autoencoders; their decoder is the residual generator."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import SLOPE, SMALLEST, channel_ladder, channels_last, init_leaky
from medimg_gan.nets.residual import CriticBlock

WIDEST_LOG_VARIANCE = 8.0
"""Bound of the log variance, softly kept, so that no early step overflows."""


class Encoder(nn.Module):
    """Image -> mean and log variance of a diagonal normal distribution of the latent.

    Args:
        latent: Length of the latent.
        channels: Channels of the image.
        size: Width and height of the image, a power of two.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
    """

    def __init__(self, latent: int, channels: int, size: int, width: int, limit: int) -> None:
        super().__init__()
        widths = channel_ladder(size, width, limit)[::-1]
        self.image = nn.Conv2d(channels, widths[0], 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            CriticBlock(before, after) for before, after in itertools.pairwise(widths)
        )
        self.gather = nn.Conv2d(widths[-1], limit, SMALLEST)
        self.distribution = nn.Linear(limit, 2 * latent)
        init_leaky(self)
        with torch.no_grad():  # begin near the prior
            self.distribution.weight.mul_(0.1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in [-1, 1] -> mean and log variance, both (N, latent) float32."""
        features = channels_last(self.image(images))
        for block in self.blocks:
            features = block(features)
        gathered = self.gather(F.leaky_relu(features, SLOPE)).flatten(1)
        mean, raw = self.distribution(F.leaky_relu(gathered, SLOPE)).float().chunk(2, dim=1)
        return mean, WIDEST_LOG_VARIANCE * torch.tanh(raw / WIDEST_LOG_VARIANCE)

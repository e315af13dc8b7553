"""Displacement fields: a small U-Net that finds them, and the warp that follows them."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import SLOPE, init_leaky

LEVELS = 4
"""Halvings of the side: the coarsest features see shifts of many pixels."""


class RegistrationNet(nn.Module):
    """Two images -> how far to move each pixel of the first onto the second (Kong 2021, fig. 2).

    A U-Net without norm layers, which would hide intensities. Its last layer begins at zero, so
    training begins with the identity.

    Args:
        channels: Channels of either image; adjacent slices move together.
        width: Feature channels at half the size; twice that below.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        down = [2 * channels, width, *[2 * width] * (LEVELS - 1)]
        self.down = nn.ModuleList(
            _convolution(before, after, stride=2) for before, after in itertools.pairwise(down)
        )
        self.bottom = _convolution(2 * width, 2 * width)
        self.up = nn.ModuleList(
            _convolution(2 * width + skipped, 2 * width) for skipped in down[-2::-1]
        )
        self.field = nn.Conv2d(2 * width, 2, 3, padding=1)
        init_leaky(self)
        nn.init.zeros_(self.field.weight)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Displacements (N, 2, H, W) float32, in pixels to the right and down, for :func:`warped`.

        Args:
            moving: (N, channels, H, W) in [-1, 1]; H, W divisible by 16.
            fixed: Same shape.
        """
        features = torch.cat([moving, fixed], dim=1)
        skipped = []
        for down in self.down:
            skipped.append(features)
            features = down(features)
        features = self.bottom(features)
        for up in self.up:
            finer = F.interpolate(features, scale_factor=2.0)
            features = up(torch.cat([finer, skipped.pop()], dim=1))
        return self.field(features).float()


def warped(images: Tensor, field: Tensor) -> Tensor:
    """``images(p + T(p))``, linear between pixels; beyond the border its values go on.

    Args:
        images: (N, C, H, W) float32.
        field: T, (N, 2, H, W) in pixels to the right and down.
    """
    height, width = field.shape[2:]
    down = torch.arange(height, dtype=field.dtype, device=field.device)[:, None] + field[:, 1]
    right = torch.arange(width, dtype=field.dtype, device=field.device) + field[:, 0]
    # grid_sample counts from -1, the first pixel's centre, to 1, the last one's.
    places = torch.stack([2 * right / (width - 1) - 1, 2 * down / (height - 1) - 1], dim=-1)
    return F.grid_sample(images, places, padding_mode="border", align_corners=True)


def _convolution(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1), nn.LeakyReLU(SLOPE))

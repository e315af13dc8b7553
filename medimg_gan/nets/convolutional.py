"""The strided convolutional pair of DCGAN (Radford 2016), without batch norm."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from medimg_gan.nets.blocks import (
    SLOPE,
    SMALLEST,
    MinibatchDeviation,
    PixelNorm,
    Readers,
    channel_ladder,
    init_leaky,
)


class ConvolutionalGenerator(nn.Module):
    """Noise -> image through strided transposed convolutions.

    Pixel norm stands where DCGAN has batch norm: a batch statistic ties the images of a batch to
    one another, and differs between ranks and from the moving average of the weights.

    Args:
        latent: Length of the noise.
        channels: Channels of the image.
        size: Width and height of the image, a power of two.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
    """

    _BLOCKS = 3
    """Layers before the first block."""

    def __init__(self, latent: int, channels: int, size: int, width: int, limit: int) -> None:
        super().__init__()
        widths = channel_ladder(size, width, limit)
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent, widths[0], SMALLEST),
            PixelNorm(),
            nn.LeakyReLU(SLOPE),
        ]
        for before, after in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1),
                PixelNorm(),
                nn.LeakyReLU(SLOPE),
            ]
        layers.append(nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)
        init_leaky(self)

    def forward(self, noise: Tensor) -> Tensor:
        """Noise (N, latent) -> images (N, C, H, W) float32 in [-1, 1]."""
        return self.from_style(self.style(noise))

    def style(self, noise: Tensor) -> Tensor:
        """Noise (N, latent) -> features before the first block (N, c, 4, 4)."""
        return self.layers[: self._BLOCKS](noise[:, :, None, None])

    def from_style(self, style: Tensor) -> Tensor:
        """Features of :meth:`style` -> images (N, C, H, W) float32 in [-1, 1]."""
        return torch.tanh(self.layers[self._BLOCKS :](style).float())

    def readers(self) -> Readers:
        """The first layer's weight."""
        return Readers("noise", self.get_parameter("layers.0.weight").flatten(1).T)


class ConvolutionalCritic(nn.Module):
    """Image -> score through strided convolutions, no norm layer of any kind.

    Args:
        channels: Channels of the image.
        size: Width and height of the image, a power of two.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
        compares: Whether it sees how much the images of a batch differ.
    """

    def __init__(
        self, channels: int, size: int, width: int, limit: int, *, compares: bool = False
    ) -> None:
        super().__init__()
        widths = [channels, *reversed(channel_ladder(size, width, limit))]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        if compares:
            layers.append(MinibatchDeviation())
        self.layers = nn.Sequential(*layers)
        self.score = nn.Linear((widths[-1] + compares) * SMALLEST**2, 1)
        init_leaky(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] -> scores (N,) float32."""
        features = self.layers(images).flatten(1)
        # The last sum decides between real and fake: float32 in any precision.
        with torch.autocast(features.device.type, enabled=False):
            return self.score(features.float()).squeeze(1)

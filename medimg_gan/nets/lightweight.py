"""The lightweight pair (Liu 2021): skip-layer excitation, and a critic that must describe images.

Pixel norm stands where the paper has batch norm in the generator; the critic has no norm layer.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import (
    SLOPE,
    SMALLEST,
    PixelNorm,
    Readers,
    channel_ladder,
    channels_last,
    doublings,
    init_leaky,
    pixel_norm,
)
from medimg_gan.nets.heads import ProjectionHead

FINE, COARSE = 16, 8
"""Sides of the critic's feature maps that its decoders start from (the paper's f1 and f2)."""

LONGEST_SKIP = 4
"""Doublings between the two ends of an excitation at 128 pixels and above, as in the paper."""


class SkipLayerExcitation(nn.Module):
    """Coarse features decide how much each channel of fine ones counts (Liu 2021, eq. 2)."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(coarse, fine, SMALLEST)
        self.excite = nn.Conv2d(fine, fine, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, coarse, h, w), (N, fine, H, W) -> (N, fine, H, W)."""
        squeezed = self.squeeze(F.adaptive_avg_pool2d(coarse, SMALLEST))
        return fine * torch.sigmoid(self.excite(F.leaky_relu(squeezed, SLOPE)))


def _doubling(before: int, after: int) -> list[nn.Module]:
    """Twice the side through an even kernel, which gives every pixel as many taps."""
    return [
        nn.ConvTranspose2d(before, 2 * after, 4, stride=2, padding=1),
        PixelNorm(),
        nn.GLU(dim=1),
    ]


class LightweightGenerator(nn.Module):
    """(noise, condition) -> image, each scale gated by one some doublings coarser.

    Args:
        latent: Length of the noise.
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the image, a power of two.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
    """

    def __init__(
        self, latent: int, condition: int, channels: int, size: int, width: int, limit: int
    ) -> None:
        super().__init__()
        widths = [*channel_ladder(size, width, limit), max(8, width // 2)]
        self.skip = min(LONGEST_SKIP, doublings(size) - 1)
        self.embed = nn.Linear(condition, latent, bias=False)
        self.start = nn.Sequential(
            nn.ConvTranspose2d(2 * latent, 2 * widths[0], SMALLEST), PixelNorm(), nn.GLU(dim=1)
        )
        self.blocks = nn.ModuleList()
        for level, (before, after) in enumerate(itertools.pairwise(widths), start=1):
            block = _doubling(before, after)
            if level < doublings(size):  # a second convolution where it is cheap
                block += [nn.Conv2d(after, 2 * after, 3, padding=1), PixelNorm(), nn.GLU(dim=1)]
            self.blocks.append(nn.Sequential(*block))
        self.excitations = nn.ModuleList(
            SkipLayerExcitation(coarse, fine)
            for coarse, fine in zip(widths, widths[self.skip :], strict=False)
        )
        self.image = nn.Conv2d(widths[-1], channels, 3, padding=1)
        init_leaky(self)
        nn.init.normal_(self.embed.weight)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (N, latent), condition (N, D) -> images (N, C, H, W) float32 in [-1, 1]."""
        return self.from_style(self.style(noise, condition))

    def style(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (N, latent), condition (N, D) -> features before the first block (N, c, 4, 4)."""
        known = torch.cat([pixel_norm(noise), pixel_norm(self.embed(condition))], dim=1)
        return self.start(known[:, :, None, None])

    def from_style(self, style: Tensor) -> Tensor:
        """Features of :meth:`style` -> images (N, C, H, W) float32 in [-1, 1]."""
        scales = [channels_last(style)]
        for level, block in enumerate(self.blocks, start=1):
            features = block(scales[-1])
            if level >= self.skip:
                source = level - self.skip
                features = self.excitations[source](scales[source], features)
            scales.append(features)
        return torch.tanh(self.image(scales[-1]).float())

    def readers(self) -> Readers:
        """The first layer's weight, as far as it reads the noise."""
        weight = self.get_parameter("start.0.weight")[: self.embed.out_features]
        return Readers("noise", weight.flatten(1).T)


class _Halving(nn.Module):
    """A convolutional path and a pooled one together (the paper's Fig. 4), variance kept."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(after, after, 3, padding=1), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.pooled = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(before, after, 1), nn.LeakyReLU(SLOPE)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H/2, W/2)."""
        return (self.main(features) + self.pooled(features)) / math.sqrt(2)


class Description(NamedTuple):
    """What a describing critic says of images.

    Attributes:
        scores: (N,) float32; larger means more real.
        features: phi(x), (N, K) float32: what the score is a linear function of.
        fine: (N, c, 16, 16), the paper's f1.
        coarse: (N, c', 8, 8), the paper's f2.
    """

    scores: Tensor
    features: Tensor
    fine: Tensor
    coarse: Tensor


class DescribingCritic(nn.Module):
    """A projection critic that also hands out the features that decoders start from.

    If it sees the deviation within its batch (Karras 2018, sec. 3), real and fake images must not
    meet in one.

    Args:
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the image, a power of two from 32.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
        minibatch: How it compares images of a batch (see ``nets.heads``).
    """

    def __init__(
        self,
        condition: int,
        channels: int,
        size: int,
        width: int,
        limit: int,
        *,
        minibatch: str = "deviation",
    ) -> None:
        super().__init__()
        widths = channel_ladder(size, width, limit)[::-1]
        self.image = nn.Sequential(
            nn.Conv2d(channels, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)
        )
        self.blocks = nn.ModuleList(
            _Halving(before, after) for before, after in itertools.pairwise(widths)
        )
        init_leaky(self)
        self.head = ProjectionHead(widths[-1], condition, limit, minibatch)

    def forward(self, images: Tensor, condition: Tensor) -> Description:
        """Judge images (N, C, H, W) in [-1, 1] by the condition (N, D) they claim, and describe."""
        features = channels_last(self.image(images))
        maps = {features.shape[-1]: features}
        for block in self.blocks:
            features = block(features)
            maps[features.shape[-1]] = features
        scores, phi = self.head(features, condition)
        return Description(scores, phi, maps[FINE], maps[COARSE])


class Descriptions(nn.Module):
    """The critic's two decoders: the whole image from 8x8, a quadrant from its part of 16x16.

    Args:
        channels: Channels of the image.
        size: Width and height of the image, a power of two from 32.
        width: Feature channels of the critic at half the image's size.
        limit: The critic's most feature channels.
    """

    def __init__(self, channels: int, size: int, width: int, limit: int) -> None:
        super().__init__()
        ladder = channel_ladder(size, width, limit)
        coarse, fine = ladder[1], ladder[2]  # at 8 and at 16 pixels
        self.whole = self._decoder(coarse, channels, size)
        self.part = self._decoder(fine, channels, size)
        init_leaky(self)

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """Decode a quadrant's features (N, c, 8, 8) and the whole's (N, c', 8, 8).

        Returns:
            The quadrant at full resolution and the whole at half of it, both
            (N, C, size/2, size/2) float32 in [-1, 1].
        """
        return torch.tanh(self.part(fine).float()), torch.tanh(self.whole(coarse).float())

    @staticmethod
    def _decoder(before: int, channels: int, size: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for _ in range(doublings(size) - 2):  # from 8 pixels to half of ``size``
            after = max(8, before // 2)
            layers += _doubling(before, after)
            before = after
        return nn.Sequential(*layers, nn.Conv2d(before, channels, 3, padding=1))

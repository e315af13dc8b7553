"""A residual pair without norm layers that learn: modulated generator, projection critic.

After R3GAN (Huang 2024: residual blocks, no batch statistics, fix-up initialisation), Karras 2018
(pixel norm) and Miyato & Koyama 2018 (projection critic), at a size for a few hundred slices.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import (
    SLOPE,
    SMALLEST,
    Readers,
    channel_ladder,
    channels_last,
    init_leaky,
    pixel_norm,
)
from medimg_gan.nets.heads import Judgement, ProjectionHead


class Modulation(nn.Module):
    """Pixel norm, then a scale and a shift of every channel from the style."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.scale_and_shift = nn.Linear(style, 2 * channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """(N, C, H, W), (N, style) -> (N, C, H, W)."""
        scale, shift = self.scale_and_shift(style)[:, :, None, None].chunk(2, dim=1)
        return pixel_norm(features) * (1 + scale) + shift


class GeneratorBlock(nn.Module):
    """Residual block that doubles the side: even transposed convolution, bilinear skip."""

    def __init__(self, before: int, after: int, style: int) -> None:
        super().__init__()
        self.first_style, self.second_style = Modulation(style, before), Modulation(style, after)
        self.first = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """(N, before, H, W), (N, style) -> (N, after, 2H, 2W)."""
        branch = F.leaky_relu(self.first_style(features, style), SLOPE)
        branch = self.first(branch)
        branch = self.second(F.leaky_relu(self.second_style(branch, style), SLOPE))
        return F.interpolate(self.skip(features), scale_factor=2, mode="bilinear") + branch


class ResidualGenerator(nn.Module):
    """(noise, condition) -> style -> image.

    The residual blocks end at half the image's size, where most of the time would be spent; the
    last doubling has few channels. Doubling is a transposed convolution whose stride divides its
    kernel, so that no pixel gets more taps than another. Tried on axial heads at 64 pixels:
    nearest neighbours + pixel shuffle left a grid after 600 steps; bilinear everywhere gave
    smooth contours without texture after 1,300.

    Args:
        latent: Length of the noise.
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the image, a power of two.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
        spherical: Whether only the noise's direction counts; a decoder needs its length as well.
    """

    def __init__(
        self,
        latent: int,
        condition: int,
        channels: int,
        size: int,
        width: int,
        limit: int,
        *,
        spherical: bool = True,
    ) -> None:
        super().__init__()
        self.spherical = spherical
        style = limit
        widths = channel_ladder(size, width, limit)
        self.embed = nn.Linear(condition, latent, bias=False)
        self.mapping = nn.Sequential(
            nn.Linear(2 * latent, style), nn.LeakyReLU(SLOPE),
            nn.Linear(style, style), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.start = nn.Linear(style, widths[0] * SMALLEST**2)
        self.blocks = nn.ModuleList(
            GeneratorBlock(before, after, style) for before, after in itertools.pairwise(widths)
        )
        self.last_style = Modulation(style, widths[-1])
        thin = max(8, widths[-1] // 2)
        self.last = nn.ConvTranspose2d(widths[-1], thin, 4, stride=2, padding=1)
        self.image = nn.Conv2d(thin, channels, 3, padding=1)
        init_leaky(self)
        nn.init.normal_(self.embed.weight)
        _calm(self)

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (N, latent), condition (N, D) -> images (N, C, H, W) float32 in [-1, 1]."""
        return self.from_style(self.style(noise, condition))

    def style(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (N, latent), condition (N, D) -> what modulates every block (N, style)."""
        noise = pixel_norm(noise) if self.spherical else noise
        known = torch.cat([noise, pixel_norm(self.embed(condition))], dim=1)
        return self.mapping(known)

    def from_style(self, style: Tensor) -> Tensor:
        """Style (N, style) -> images (N, C, H, W) float32 in [-1, 1]."""
        features = channels_last(self.start(style).unflatten(1, (-1, SMALLEST, SMALLEST)))
        for block in self.blocks:
            features = block(features, style)
        features = F.leaky_relu(self.last_style(features, style), SLOPE)
        features = F.leaky_relu(self.last(features), SLOPE)
        return torch.tanh(self.image(features).float())

    def readers(self) -> Readers:
        """All that reads the style: the first features and every modulation."""
        parts = [part for part in self.modules() if isinstance(part, Modulation)]
        weights = [self.start.weight, *(part.scale_and_shift.weight for part in parts)]
        return Readers("style", torch.cat(weights))


class CriticBlock(nn.Module):
    """Residual block that halves the side with even kernels, which treat all pixels alike."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, before, 3, padding=1)
        self.second = nn.Conv2d(before, after, 4, stride=2, padding=1)
        self.skip = nn.Conv2d(before, after, 2, stride=2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H/2, W/2)."""
        branch = F.leaky_relu(self.first(F.leaky_relu(features, SLOPE)), SLOPE)
        return self.skip(features) + self.second(branch)


class ProjectionCritic(nn.Module):
    """Score = psi(phi(x)) + <W c, phi(x)> (Miyato & Koyama 2018, eq. 3), no norm layer.

    Args:
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the image, a power of two.
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
        minibatch: str = "none",
    ) -> None:
        super().__init__()
        widths = channel_ladder(size, width, limit)[::-1]
        self.image = nn.Conv2d(channels, widths[0], 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            CriticBlock(before, after) for before, after in itertools.pairwise(widths)
        )
        init_leaky(self)
        _calm(self)
        self.head = ProjectionHead(widths[-1], condition, limit, minibatch)

    def forward(self, images: Tensor, condition: Tensor) -> Judgement:
        """Judge images (N, C, H, W) in [-1, 1] by the condition (N, D) that they claim."""
        features = channels_last(self.image(images))
        for block in self.blocks:
            features = block(features)
        return self.head(F.leaky_relu(features, SLOPE), condition)


def _calm(network: nn.Module) -> None:
    """Begin every branch and modulation small, so that depth does not add variance (fix-up)."""
    for part in network.modules():
        if isinstance(part, GeneratorBlock | CriticBlock):
            with torch.no_grad():
                part.second.weight.mul_(0.25)
        if isinstance(part, Modulation):
            with torch.no_grad():
                part.scale_and_shift.weight.mul_(0.25)

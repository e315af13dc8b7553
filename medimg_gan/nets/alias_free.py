"""An alias-free generator (StyleGAN3, Karras 2021): detail sticks to anatomy, not to pixels.

Every feature map stands for a continuous, band-limited signal. Nonlinearities work at twice the
rate and are low-passed, rates change through windowed-sinc filters, positions come from Fourier
features alone, and a margin keeps the image's border out of sight.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import SLOPE, Readers, doublings, init_leaky, pixel_norm
from medimg_gan.nets.resampling import Grid, resampled, resampling_matrix

START = 16
"""Side of the coarsest feature map."""

MARGIN = 6
"""Samples that a feature map has beyond the image, on every side."""

BAND = 0.7
"""Part of a rate's Nyquist frequency that features may fill; the rest is the filters' to fall."""


def _cutoff(side: int) -> float:
    return BAND * side / 2


class FourierFeatures(nn.Module):
    """Plane waves of fixed random frequencies, moved by the style (Karras 2021, sec. 3.2)."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", (2 * torch.rand(channels, 2) - 1) * _cutoff(START) / 2)
        self.register_buffer("phases", torch.rand(channels))
        position = Grid(START, MARGIN).positions().float() - 0.5
        self.register_buffer("position", position, persistent=False)
        self.frequencies: Tensor
        self.phases: Tensor
        self.position: Tensor
        self.move = nn.Linear(style, 2)
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, style: Tensor, shift: tuple[float, float]) -> Tensor:
        """Style (N, style), shift (down, right) in image sides -> (N, channels, S, S)."""
        moved = self.move(style).float()
        if any(shift):  # which no training has: a tensor made here would make it wait
            moved = moved + torch.tensor(shift, device=style.device)
        down = self.position[None, :] - moved[:, :1]  # (N, S)
        right = self.position[None, :] - moved[:, 1:]
        f_down, f_right = self.frequencies[None, :, :, None].unbind(dim=2)
        turns = (f_down * down[:, None])[..., None] + (f_right * right[:, None])[:, :, None]
        waves = torch.sin(2 * math.pi * (turns + self.phases[:, None, None]))
        return self.mix(math.sqrt(2) * waves)


class ModulatedConvolution(nn.Module):
    """Convolution whose input channels the style scales (Karras 2020, sec. 2.2)."""

    def __init__(self, before: int, after: int, style: int, side: int, *, normal: bool) -> None:
        super().__init__()
        self.style = nn.Linear(style, before)
        self.convolution = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(after))
        self.normal = normal
        """Whether outputs are scaled to the variance of the inputs (demodulation)."""

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """(N, before, H, W), (N, style) -> (N, after, H, W)."""
        scale = 1 + self.style(style)
        features = self.convolution(features * scale[:, :, None, None])
        bias = self.bias[:, None, None]
        if not self.normal:
            return features + bias
        energy = self.convolution.weight.square().sum(dim=(2, 3))  # (after, before)
        strength = (scale.square() @ energy.T + 1e-8).rsqrt()
        return torch.addcmul(bias.to(features), features, strength[:, :, None, None].to(features))


class FilteredLayer(nn.Module):
    """Modulated convolution, then a leaky ReLU at twice the rate, low-passed (Fig. 4b)."""

    def __init__(self, before: int, after: int, style: int, coarse: int, fine: int) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(before, after, style, 3, normal=True)
        dense = Grid(2 * fine, 2 * MARGIN)
        up = resampling_matrix(Grid(coarse, MARGIN), dense, coarse / 2)
        # 2 ** .25 along either axis: the gain that a leaky ReLU takes.
        down = 2**0.25 * resampling_matrix(dense, Grid(fine, MARGIN), _cutoff(fine))
        self.register_buffer("up", up, persistent=False)
        self.register_buffer("down", down, persistent=False)
        self.up: Tensor
        self.down: Tensor

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """(N, before, h, h), (N, style) -> (N, after, H, H)."""
        dense = resampled(self.convolution(features, style), self.up)
        return resampled(F.leaky_relu(dense, SLOPE), self.down)


class AliasFreeGenerator(nn.Module):
    """(noise, condition) -> style -> image that moves with its input by parts of a pixel.

    Args:
        latent: Length of the noise.
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the image, a power of two from 16.
        width: Feature channels at half the image's size; fourfold with every halving.
        limit: The most feature channels.
    """

    def __init__(
        self, latent: int, condition: int, channels: int, size: int, width: int, limit: int
    ) -> None:
        super().__init__()
        sides = [START * 2**level for level in range(doublings(size) - doublings(START) + 1)]
        # Filters cost most at the finest scales and weights nothing there: a steep ladder.
        widths = [max(8, min(limit, width * size**2 // (2 * side) ** 2)) for side in sides]
        self.embed = nn.Linear(condition, latent, bias=False)
        self.mapping = nn.Sequential(
            nn.Linear(2 * latent, limit), nn.LeakyReLU(SLOPE),
            nn.Linear(limit, limit), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.waves = FourierFeatures(widths[0], limit)
        self.layers = nn.ModuleList(
            FilteredLayer(widths[0], widths[0], limit, START, START) for _ in range(2)
        )
        for (coarse, fine), (before, after) in zip(
            itertools.pairwise(sides), itertools.pairwise(widths), strict=True
        ):
            self.layers.append(FilteredLayer(before, before, limit, coarse, coarse))
            self.layers.append(FilteredLayer(before, after, limit, coarse, fine))
        self.image = ModulatedConvolution(widths[-1], channels, limit, 1, normal=False)
        init_leaky(self)
        nn.init.normal_(self.embed.weight)
        self._calm()

    def forward(
        self,
        noise: Tensor,
        condition: Tensor,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> Tensor:
        """Make images.

        Args:
            noise: (N, latent).
            condition: (N, D) float32.
            shift: How far the picture moves down and right, in image sides.

        Returns:
            (N, C, H, W) float32 in [-1, 1].
        """
        return self.from_style(self.style(noise, condition), shift)

    def style(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (N, latent), condition (N, D) -> w (N, style)."""
        known = torch.cat([pixel_norm(noise), pixel_norm(self.embed(condition))], dim=1)
        return self.mapping(known)

    def from_style(self, style: Tensor, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
        """Style (N, style) -> images, as :meth:`forward`."""
        features = self.waves(style, shift)
        for layer in self.layers:
            features = layer(features, style)
        image = self.image(features, style).float()
        return torch.tanh(image[:, :, MARGIN:-MARGIN, MARGIN:-MARGIN])

    def readers(self) -> Readers:
        """All that reads the style: the waves' place and every modulated convolution."""
        parts = [part for part in self.modules() if isinstance(part, ModulatedConvolution)]
        weights = [self.waves.move.weight, *(part.style.weight for part in parts)]
        return Readers("style", torch.cat(weights))

    def _calm(self) -> None:
        """Begin with weak styles, and with a picture that stands still."""
        with torch.no_grad():
            for part in self.modules():
                if isinstance(part, ModulatedConvolution):
                    part.style.weight.mul_(0.25)
            self.waves.move.weight.mul_(0.01)
            self.image.convolution.weight.mul_(0.5)

"""A pair that grows: 8x8 pixels first, then twice the side, again and again (Karras 2018, sec. 2).

``stage`` says how far it has grown: at 1 the pair works at 8 pixels, at 2 at 16. Between, at 1.3,
it works at 16, and the new scale counts for 0.3 of the picture (the paper's alpha).
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import (
    SLOPE,
    SMALLEST,
    PixelNorm,
    Readers,
    channel_ladder,
    init_leaky,
    pixel_norm,
)
from medimg_gan.nets.heads import Judgement, ProjectionHead


def side_at(stage: float) -> int:
    """Side in pixels of the images at a stage."""
    return SMALLEST * 2 ** math.ceil(stage)


def faded(images: Tensor, stage: float) -> Tensor:
    """Real images as a growing generator could make them at a stage.

    Args:
        images: (N, C, S, S) of the full size.
        stage: How far the pair has grown.

    Returns:
        (N, C, s, s) with ``s = side_at(stage)``; while a scale fades in, its share of detail.
    """
    images = F.avg_pool2d(images, images.shape[-1] // side_at(stage))
    alpha = stage - math.floor(stage)
    if alpha == 0:
        return images
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2)
    return torch.lerp(coarse, images, alpha)


class _Growing(nn.Module):
    """A module of which only a part works at a time."""

    def _idle(self, used: list[nn.Module]) -> Tensor:
        """Zero, whose gradient reaches what is not in use: data-parallel training waits for it."""
        at_work = {id(weight) for part in used for weight in part.parameters()}
        idle = [weight.sum() for weight in self.parameters() if id(weight) not in at_work]
        return 0.0 * torch.stack(idle).sum() if idle else torch.zeros(())


class GrowingGenerator(_Growing):
    """(noise, condition) -> image of the side that it has grown to.

    Args:
        latent: Length of the noise.
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the full image, a power of two.
        width: Feature channels at half the image's size.
        limit: The most feature channels.
    """

    def __init__(
        self, latent: int, condition: int, channels: int, size: int, width: int, limit: int
    ) -> None:
        super().__init__()
        widths = [*channel_ladder(size, width, limit), max(8, width // 2)]
        self.embed = nn.Linear(condition, latent, bias=False)
        self.start = nn.Sequential(
            nn.ConvTranspose2d(2 * latent, widths[0], SMALLEST), nn.LeakyReLU(SLOPE), PixelNorm()
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1),
                nn.LeakyReLU(SLOPE), PixelNorm(),
                nn.Conv2d(after, after, 3, padding=1), nn.LeakyReLU(SLOPE), PixelNorm(),
            )
            for before, after in itertools.pairwise(widths)
        )  # fmt: skip
        self.images = nn.ModuleList(
            nn.Conv2d(after, channels, 3, padding=1) for after in widths[1:]
        )
        init_leaky(self)
        nn.init.normal_(self.embed.weight)

    def forward(self, noise: Tensor, condition: Tensor, stage: float) -> Tensor:
        """Make images.

        Args:
            noise: (N, latent).
            condition: (N, D) float32.
            stage: How far the generator has grown, from 1.

        Returns:
            (N, C, s, s) float32 in [-1, 1] with ``s = side_at(stage)``.
        """
        return self.from_style(self.style(noise, condition), stage)

    def style(self, noise: Tensor, condition: Tensor) -> Tensor:
        """Noise (N, latent), condition (N, D) -> features before the first block (N, c, 4, 4)."""
        known = torch.cat([pixel_norm(noise), pixel_norm(self.embed(condition))], dim=1)
        return self.start(known[:, :, None, None])

    def from_style(self, style: Tensor, stage: float) -> Tensor:
        """Features of :meth:`style` -> images, as :meth:`forward`."""
        level, alpha = math.ceil(stage), stage - math.floor(stage)
        used: list[nn.Module] = [self.embed, self.start, *self.blocks[:level]]
        features = style
        for block in self.blocks[: level - 1]:
            features = block(features)
        last, to_image = self.blocks[level - 1], self.images[level - 1]
        used.append(to_image)
        image = torch.tanh(to_image(last(features)).float())
        if alpha > 0:
            used.append(self.images[level - 2])
            before = torch.tanh(self.images[level - 2](features).float())
            image = torch.lerp(F.interpolate(before, scale_factor=2), image, alpha)
        return image + self._idle(used)

    def readers(self) -> Readers:
        """The first layer's weight, as far as it reads the noise."""
        weight = self.get_parameter("start.0.weight")[: self.embed.out_features]
        return Readers("noise", weight.flatten(1).T)


class GrowingCritic(_Growing):
    """Image of the side that it has grown to -> score, with a projection of the condition.

    If it sees the deviation within its batch (sec. 3), real and fake images must not meet in one.

    Args:
        condition: Length of the condition (see ``nets.conditions``).
        channels: Channels of the image.
        size: Width and height of the full image, a power of two.
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
        widths = [*channel_ladder(size, width, limit), max(8, width // 2)]
        self.images = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, after, 1), nn.LeakyReLU(SLOPE))
            for after in widths[1:]
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(after, after, 3, padding=1), nn.LeakyReLU(SLOPE),
                nn.Conv2d(after, before, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE),
            )
            for before, after in itertools.pairwise(widths)
        )  # fmt: skip
        init_leaky(self)
        self.head = ProjectionHead(widths[0], condition, limit, minibatch)

    def forward(self, images: Tensor, condition: Tensor, stage: float) -> Judgement:
        """Judge images.

        Args:
            images: (N, C, s, s) in [-1, 1] with ``s = side_at(stage)``.
            condition: (N, D), what each image claims to be of.
            stage: How far the critic has grown, from 1.
        """
        level, alpha = math.ceil(stage), stage - math.floor(stage)
        used: list[nn.Module] = [self.head, *self.blocks[:level]]
        used.append(self.images[level - 1])
        features = self.blocks[level - 1](self.images[level - 1](images))
        if alpha > 0:
            used.append(self.images[level - 2])
            before = self.images[level - 2](F.avg_pool2d(images, 2))
            features = torch.lerp(before, features, alpha)
        for block in reversed(self.blocks[: level - 1]):
            features = block(features)
        scores, phi = self.head(features, condition)
        return Judgement(scores + self._idle(used), phi)

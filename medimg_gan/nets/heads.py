"""The last layers of a conditional critic: features at 4x4 pixels -> score."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.nets.blocks import (
    MEASURES,
    SLOPE,
    SMALLEST,
    MinibatchDeviation,
    MinibatchDiscrimination,
    init_leaky,
)


class Judgement(NamedTuple):
    """What a critic says of images.

    Attributes:
        scores: (N,) float32; larger means more real.
        features: phi(x), (N, K) float32: what the score is a linear function of.
    """

    scores: Tensor
    features: Tensor


class ProjectionHead(nn.Module):
    """psi(phi(x)) + <W c, phi(x)> (Miyato & Koyama 2018, eq. 3), with or without a look around.

    Args:
        channels: Of the feature map.
        condition: Length of the condition (see ``nets.conditions``).
        width: Length K of phi.
        minibatch: How images of a batch are compared: none; deviation
            (:class:`MinibatchDeviation`, before phi); discrimination
            (:class:`MinibatchDiscrimination`, of phi, for psi alone).
    """

    def __init__(self, channels: int, condition: int, width: int, minibatch: str) -> None:
        super().__init__()
        deviates, discriminates = minibatch == "deviation", minibatch == "discrimination"
        self.before = MinibatchDeviation() if deviates else nn.Identity()
        self.gather = nn.Conv2d(channels + deviates, width, SMALLEST)
        self.after = MinibatchDiscrimination(width) if discriminates else nn.Identity()
        self.score = nn.Linear(width + MEASURES * discriminates, 1)
        self.embed = nn.Linear(condition, width, bias=False)
        init_leaky(self)
        nn.init.normal_(self.embed.weight, 0.0, width**-0.5)

    def forward(self, features: Tensor, condition: Tensor) -> Judgement:
        """Features (N, channels, 4, 4) after their nonlinearity, condition (N, D) they claim."""
        phi = F.leaky_relu(self.gather(self.before(features)).flatten(1), SLOPE)
        # The head is small and its sums decide between real and fake: float32 in any precision.
        with torch.autocast(phi.device.type, enabled=False):
            phi = phi.float()
            scores = self.score(self.after(phi)).squeeze(1)
            return Judgement(scores + (self.embed(condition) * phi).sum(dim=1), phi)

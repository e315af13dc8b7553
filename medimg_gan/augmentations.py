"""Differentiable augmentation of what the critic sees (DiffAugment, Zhao 2020).

Real and fake images pass it in the critic's phase and in the generator's, so the critic cannot
learn the training images by heart and the generator does not learn the augmentation. Geometry
only: intensities of calibrated data (HU) carry meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BACKGROUND = -1.0
"""What moves in from outside the picture: air, no signal, a collimated border."""


@dataclass(frozen=True)
class DiffAugment:
    """Random shift, zoom, rotation and, where it is allowed, mirror; anew for every image.

    One resampling for the whole batch, bilinear, from torch's global random state.

    Attributes:
        probability: Chance that an image is transformed at all, in [0, 1].
        mirror: Whether half of the transformed images are flipped left to right.
        shift: Largest shift, as a share of the side (DiffAugment: 1/8).
        zoom: Largest change of size, as a share of it.
        degrees: Largest rotation.
    """

    probability: float
    mirror: bool = False
    shift: float = 0.125
    zoom: float = 0.1
    degrees: float = 8.0

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> same shape and range, float32; gradients pass."""
        if self.probability <= 0:
            return images
        count, _, height, width = images.shape
        matrix = self._matrices(count, height / width).to(images.device)
        grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
        above_background = images.float() - BACKGROUND
        moved = F.grid_sample(
            above_background, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        return moved + BACKGROUND

    def _matrices(self, count: int, aspect: float) -> Tensor:
        """One matrix (2, 3) per image that maps output coordinates in [-1, 1] to input ones."""
        uniform = torch.rand(count, 4) * 2 - 1
        active = (torch.rand(count) < self.probability).float()
        flip = 1 - 2 * active * (torch.rand(count) < 0.5) if self.mirror else torch.ones(count)
        angle = active * uniform[:, 0] * math.radians(self.degrees)
        scale = torch.exp(active * uniform[:, 1] * math.log1p(self.zoom))
        shift = 2 * self.shift * active[:, None] * uniform[:, 2:]
        cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
        rows = [
            torch.stack([flip * cosine, -flip * sine * aspect, shift[:, 0]], dim=1),
            torch.stack([sine / aspect, cosine, shift[:, 1]], dim=1),
        ]
        return torch.stack(rows, dim=1)

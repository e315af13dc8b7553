"""Differentiable augmentation of what the critic sees (DiffAugment, Zhao 2020).

Real and fake images pass it in the critic's phase and in the generator's, so the critic cannot
learn the training images by heart and the generator does not learn the augmentation. The latter
needs that every operation leaves some images alone (Karras 2020, sec. 3.1: a chance below 0.8).

Geometry suits every image. Brightness and contrast are for arbitrary units only: intensities of
calibrated data (HU) carry meaning. They keep the background and the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BACKGROUND = -1.0
"""What moves in from outside the picture, and fills what is cut out: air, no signal, a border."""


@dataclass(frozen=True)
class DiffAugment:
    """Random changes of every image, anew each time, from torch's global random state.

    Four operations, each with a chance of its own: geometry (shift, zoom, rotation and, where it
    is allowed, mirror in one bilinear resampling), brightness, contrast, and a square cut out. An
    operation of size 0 is left out. Nothing waits for the device.

    Attributes:
        probability: Chance of each operation for each image, in [0, 1]; a tensor if it changes.
        mirror: Whether half of the moved images are flipped left to right.
        shift: Largest shift, as a share of the side (DiffAugment: 1/8).
        zoom: Largest change of size, as a share of it.
        degrees: Largest rotation.
        brightness: Largest loss of brightness, as a share of it.
        contrast: Largest change of the slope at the background, as a share of it.
        cutout: Side of the square cut out, as a share of the picture's (DiffAugment: 1/2). Its
            centre is anywhere in the picture.
    """

    probability: float | Tensor
    mirror: bool = False
    shift: float = 0.125
    zoom: float = 0.1
    degrees: float = 8.0
    brightness: float = 0.0
    contrast: float = 0.0
    cutout: float = 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] -> same shape and range, float32; gradients pass."""
        if not isinstance(self.probability, Tensor) and self.probability <= 0:
            return images
        above = self._moved(images.float() - BACKGROUND)
        if self.brightness:
            above = above * (1 - self.brightness * self._drawn(above))
        if self.contrast:
            above = bent(above, self._slopes(above))
        if self.cutout:
            above = above * self._kept(above)
        return above + BACKGROUND

    def _moved(self, above: Tensor) -> Tensor:
        grid = _places(self._matrices(above), *above.shape[-2:])
        return F.grid_sample(
            above, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )

    def _matrices(self, images: Tensor) -> Tensor:
        """One matrix (2, 3) per image that maps output coordinates in [-1, 1] to input ones."""
        count, aspect, device = len(images), images.shape[-2] / images.shape[-1], images.device
        uniform = torch.rand(count, 4, device=device) * 2 - 1
        active = self._active(images)
        flip = torch.ones(count, device=device)
        if self.mirror:
            flip = flip - 2 * active * (torch.rand(count, device=device) < 0.5)
        angle = active * uniform[:, 0] * math.radians(self.degrees)
        scale = torch.exp(active * uniform[:, 1] * math.log1p(self.zoom))
        shift = 2 * self.shift * active[:, None] * uniform[:, 2:]
        cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
        rows = [
            torch.stack([flip * cosine, -flip * sine * aspect, shift[:, 0]], dim=1),
            torch.stack([sine / aspect, cosine, shift[:, 1]], dim=1),
        ]
        return torch.stack(rows, dim=1)

    def _slopes(self, images: Tensor) -> Tensor:
        """Slopes at the background (N, 1, 1, 1), even on a logarithmic scale; 1 changes nothing."""
        uniform = torch.rand(len(images), 1, 1, 1, device=images.device) * 2 - 1
        exponent = self._active(images).view(-1, 1, 1, 1) * uniform
        return torch.exp(exponent * math.log1p(self.contrast))

    def _kept(self, images: Tensor) -> Tensor:
        """0 inside the square, 1 elsewhere, (N, 1, H, W)."""
        count, _, height, width = images.shape
        centre = torch.rand(2, count, 1, 1, 1, device=images.device) * 2 - 1
        rows = torch.linspace(-1, 1, height, device=images.device).view(1, 1, -1, 1)
        columns = torch.linspace(-1, 1, width, device=images.device)
        inside = (rows - centre[0]).abs() < self.cutout
        inside = inside & ((columns - centre[1]).abs() < self.cutout)
        return 1 - self._active(images).view(-1, 1, 1, 1) * inside

    def _drawn(self, images: Tensor) -> Tensor:
        """Uniform in [0, 1] for the images that an operation takes, else 0; (N, 1, 1, 1)."""
        uniform = torch.rand(len(images), device=images.device)
        return (self._active(images) * uniform).view(-1, 1, 1, 1)

    def _active(self, images: Tensor) -> Tensor:
        """1 for the images that an operation takes, else 0; (N,)."""
        return (torch.rand(len(images), device=images.device) < self.probability).float()


def bent(above: Tensor, slope: Tensor) -> Tensor:
    """A tone curve from 0 to 0 and from 2 to 2 with a given slope at 0 (Schlick 1994, "bias").

    Like a gamma, but its slope is finite everywhere, so that gradients of background are.
    """
    share = above / 2
    return above * slope / (1 - share + slope * share)


def _places(matrices: Tensor, height: int, width: int) -> Tensor:
    """Where each output pixel is read, (N, H, W, 2): ``affine_grid``, which autocast would round.

    Its product of matrices is of the kind that runs in bfloat16, by which pixels move: half a
    pixel at 128, two and a half at 512. Sums and products of numbers stay in float32.
    """
    rows, columns = (
        (2 * torch.arange(side, device=matrices.device) + 1) / side - 1 for side in (height, width)
    )
    of_column, of_row, shift = matrices[:, None, None].unbind(dim=-1)  # (N, 1, 1, 2) each
    return of_column * columns[:, None] + of_row * rows[:, None, None] + shift

"""An encoder that learns from the training images alone, without labels (SimCLR, Chen 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.augmentations import DiffAugment

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

STEPS = 200
BATCH = 32
TEMPERATURE = 0.2
LEARNING_RATE = 1e-3
WIDTHS = (24, 48, 96, 192)
NOISE = 0.1
VIEWS = DiffAugment(probability=1.0, shift=0.15, zoom=0.4, degrees=15.0)
"""Geometry, and noise: an encoder that ignored intensities could not tell a wrong one."""


def self_supervised_encoder(
    images: FloatArray, device: str = "cpu", steps: int = STEPS
) -> nn.Module:
    """Train images (N, 1, H, W) -> features (N, 192) so that two views of one image are alike.

    Always the same seed: equal images give equal weights on the same machine.

    Args:
        images: (N, 1, H, W) in [-1, 1], of training patients.
        device: Where to compute.
        steps: Updates of ``BATCH`` images.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = _encoder().to(device)
        projector = nn.Sequential(
            nn.Linear(WIDTHS[-1], WIDTHS[-1]), nn.ReLU(), nn.Linear(WIDTHS[-1], 64)
        ).to(device)
        parameters = [*encoder.parameters(), *projector.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps)
        random = np.random.default_rng(0)
        for _ in range(steps):
            drawn = random.choice(len(images), min(BATCH, len(images)), replace=False)
            batch = torch.from_numpy(np.asarray(images[drawn], np.float32)).to(device)
            loss = contrast(projector(encoder(_view(batch))), projector(encoder(_view(batch))))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return encoder.eval()


def contrast(one: Tensor, other: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """NT-Xent (Chen 2020, eq. 1): each view (N, d) should find its twin among 2N - 1 others."""
    views = F.normalize(torch.cat([one, other]), dim=1)
    similarity = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    twin = torch.arange(len(views), device=views.device).roll(len(one))
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), twin)


def _view(images: Tensor) -> Tensor:
    moved = VIEWS(images)
    return moved + NOISE * torch.randn(moved.shape).to(moved.device)


def _encoder() -> nn.Module:
    layers: list[nn.Module] = []
    before = 1
    for width in WIDTHS:
        layers += [
            nn.Conv2d(before, width, 3, stride=2, padding=1),
            nn.GroupNorm(8, width),
            nn.ReLU(),
        ]
        before = width
    return nn.Sequential(
        *layers,
        nn.Conv2d(before, before, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )

"""What a classifier learns from, and in which order: batches as a pure function of position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from medimg_gan.types import Batch, FloatArray, IntArray, Stream

ROTATION_DEGREES, SHIFT_SHARE, SCALE_SHARE = 10.0, 0.06, 0.10
"""Classical augmentation: largest rotation, shift (of the side) and change of scale."""


@dataclass(frozen=True)
class TrainingSet:
    """What one classifier learns from.

    Attributes:
        images: (N, 1, H, W) float32 in [-1, 1].
        labels: (N,) int64.
        synthetic: (N,) bool, True for slices that no scanner made.
        sampling: (N,) chance of each slice to be drawn, sums to 1; None passes over the whole set
            in shuffled epochs.
        loss_weights: (K,) weight of each class in the cross-entropy; None for equal weights.
        focusing: Gamma of the focal loss; 0 for plain cross-entropy.
        augmented: Whether batches are shifted, turned and scaled at random.
        mirror: Whether they may also be flipped left-right.
    """

    images: FloatArray
    labels: IntArray
    synthetic: np.ndarray
    sampling: FloatArray | None = None
    loss_weights: FloatArray | None = None
    focusing: float = 0.0
    augmented: bool = False
    mirror: bool = False


def stream_of(
    training: TrainingSet, batch_size: int, seed: int, device: torch.device | str = "cpu"
) -> Stream:
    """The batches of a training set, as a pure function of their position.

    Whole batches go to ``device`` and are augmented there. Without ``sampling``, epochs are
    shuffled and run on without a gap, so that every batch is full and every slice is seen equally
    often; with it, each batch is drawn with replacement.
    """
    # "W" copies what is read-only (a memory map), which torch cannot hold.
    images = torch.from_numpy(np.require(training.images, np.float32, ["C", "W"]))
    labels = torch.from_numpy(np.require(training.labels, np.int64, ["C", "W"]))
    count = len(labels)

    def batch_at(position: int) -> Batch:
        if training.sampling is None:
            first = position * batch_size
            indices = _from_epochs(count, first, first + batch_size, seed)
        else:
            generator = np.random.default_rng([seed, 1, position])
            indices = generator.choice(count, batch_size, p=training.sampling)
        chosen = torch.from_numpy(indices)
        batch = {"image": images[chosen].to(device), "label": labels[chosen].to(device)}
        if training.augmented:
            random = torch.Generator().manual_seed(_word(seed, position))
            batch["image"] = classical_augmentation(batch["image"], training.mirror, random)
        return batch

    return batch_at


def classical_augmentation(images: Tensor, mirror: bool, random: torch.Generator) -> Tensor:
    """Small random rotations, shifts and scalings of a batch, and flips where allowed.

    Geometric only: intensities carry meaning (HU). What comes in from outside repeats the border.
    MONAI's ``RandAffine`` moves in the same way (bilinear, border) but one slice a call: a batch of
    32 at 64 pixels would take about as long as the classifier's step, here a small part of it.

    Args:
        images: (N, C, H, W).
        mirror: Whether half of the images are flipped left-right.
        random: Source of chance.
    """
    count, _, height, width = images.shape
    turn, zoom, right, down, side = torch.rand(5, count, generator=random) * 2 - 1
    angle = turn * torch.pi * ROTATION_DEGREES / 180
    scale = 1 + SCALE_SHARE * zoom
    flip = torch.where(side < 0, -1.0, 1.0) if mirror else torch.ones(count)
    cosine, sine = scale * torch.cos(angle), scale * torch.sin(angle)
    # Grid coordinates run from -1 to 1 on both axes, hence the aspect in the mixed terms.
    across = torch.stack([flip * cosine, -flip * sine * height / width, 2 * SHIFT_SHARE * right], 1)
    along = torch.stack([sine * width / height, cosine, 2 * SHIFT_SHARE * down], 1)
    matrices = torch.stack([across, along], 1).to(images.device)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _from_epochs(count: int, first: int, last: int, seed: int) -> IntArray:
    """Places ``first`` to ``last`` of the endless row of shuffled epochs."""
    epochs = range(first // count, (last - 1) // count + 1)
    row = np.concatenate(
        [np.random.default_rng([seed, 0, epoch]).permutation(count) for epoch in epochs]
    )
    start = epochs.start * count
    return row[first - start : last - start]


def _word(seed: int, position: int) -> int:
    """One well-mixed number for torch's generator, apart from the ones that draw the slices."""
    return int(np.random.SeedSequence([seed, 2, position]).generate_state(1)[0])

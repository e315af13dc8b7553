"""Losses that give a rare class its weight, beside plain cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

BETA = 0.999
"""Of the class-balanced loss: the middle of what Cui et al. 2019 try (0.9 to 0.9999)."""
FOCUSING = 2.0
"""Gamma of the focal loss, as Lin et al. 2017 recommend."""


def class_balanced_weights(counts: IntArray, beta: float = BETA) -> FloatArray:
    """Weight of each class by its effective number of slices (Cui et al. 2019, sec. 3 and 4).

    ``(1 - beta) / (1 - beta^n)`` for a class of n slices, scaled to a sum of K. With beta 0 all
    classes weigh the same; towards 1 they weigh the inverse of their share, which is why there is
    no separate loss with inverse shares.

    Args:
        counts: (K,) training slices of each class; one without any weighs 0 and is not counted.
        beta: In [0, 1).

    Returns:
        float64 (K,).
    """
    present = counts > 0
    effective = (1 - beta ** np.maximum(counts, 1)) / (1 - beta)
    weights = np.where(present, 1 / effective, 0.0)
    return weights * present.sum() / weights.sum()


def cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, focusing: float = 0.0
) -> Tensor:
    """Cross-entropy, weighted by class, and focused on what is still told apart badly.

    The focal loss is ``-(1 - p)^gamma log p`` of the probability p given to the true class (Lin et
    al. 2017, eq. 4, over the softmax). It is not MONAI's, which also averages over the other
    classes' zeros, and would be the only import of MONAI in a process that trains classifiers.

    Args:
        logits: (N, K).
        labels: (N,) int64.
        weights: (K,) weight of each class; the mean is weighted, as in PyTorch.
        focusing: Gamma; 0 is plain cross-entropy.

    Returns:
        The loss, a scalar.
    """
    if not focusing:
        return F.cross_entropy(logits, labels, weights)
    surprise = F.cross_entropy(logits, labels, reduction="none")
    focused = (1 - (-surprise).exp()) ** focusing * surprise
    if weights is None:
        return focused.mean()
    return (weights[labels] * focused).sum() / weights[labels].sum()

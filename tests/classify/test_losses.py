"""The losses for rare classes against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medimg_gan.classify import class_balanced_weights, cross_entropy


def test_class_balanced_weights_by_hand():
    """beta 0.5: effective numbers of 1 and 2 slices are 1 and 1.5, hence weights 1.2 and 0.8."""
    assert class_balanced_weights(np.array([1, 2]), beta=0.5) == pytest.approx([1.2, 0.8])


def test_class_balanced_weights_lie_between_none_and_inverse_shares():
    counts = np.array([464, 0, 262, 177])
    assert class_balanced_weights(counts, beta=0.0) == pytest.approx([1, 0, 1, 1])
    limit = class_balanced_weights(counts, beta=1 - 1e-9)[[0, 2, 3]] * counts[[0, 2, 3]]
    assert limit == pytest.approx([limit[0]] * 3, rel=1e-4)
    assert class_balanced_weights(counts).sum() == pytest.approx(3)


def logits_of(*chances: float) -> torch.Tensor:
    """Two classes, where the first has these probabilities."""
    chance = torch.tensor(chances, dtype=torch.float64)
    return torch.stack([chance.log(), (1 - chance).log()], dim=1)


def test_focal_loss_by_hand():
    """True classes at p = 0.9 and 0.5, gamma 2: 0.01 log(1/0.9) and 0.25 log 2."""
    logits, labels = logits_of(0.9, 0.5), torch.tensor([0, 1])
    found = cross_entropy(logits, labels, focusing=2.0)
    assert found.item() == pytest.approx((0.01 * -math.log(0.9) + 0.25 * math.log(2)) / 2)
    weighted = cross_entropy(logits, labels, torch.tensor([1.0, 3.0]).double(), focusing=2.0)
    assert weighted.item() == pytest.approx((0.01 * -math.log(0.9) + 0.75 * math.log(2)) / 4)


def test_focal_loss_tends_to_cross_entropy_and_has_finite_gradients():
    logits = torch.tensor([[60.0, -60.0], [-60.0, 60.0]], requires_grad=True)
    labels, weights = torch.tensor([0, 0]), torch.tensor([1.0, 2.0])
    plain = cross_entropy(logits, labels, weights)
    focused = cross_entropy(logits, labels, weights, focusing=1e-6)
    assert focused.item() == pytest.approx(plain.item(), rel=1e-4)
    cross_entropy(logits, labels, focusing=2.0).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()

"""Adversarial losses and penalties, each with its equation.

Scores are whatever a critic returns, (N,) or a map (N, 1, h, w); larger means more real. Every
function returns a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def non_saturating_critic(real: Tensor, fake: Tensor) -> Tensor:
    """``softplus(-D(x)) + softplus(D(G(z)))``, the logistic loss (Goodfellow 2014, eq. 1)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """``softplus(-D(G(z)))`` (Goodfellow 2014, sec. 3, last paragraph)."""
    return F.softplus(-fake).mean()


def relativistic(ahead: Tensor, behind: Tensor) -> Tensor:
    """``softplus(-(ahead - behind))`` over the pairs of a batch (Huang 2024, eq. 2).

    The critic's loss has real ahead of fake, the generator's has fake ahead of real.

    Args:
        ahead: Scores (N,) that ought to be larger.
        behind: Scores (N,) that ought to be smaller, paired with ``ahead`` by index.
    """
    return F.softplus(behind - ahead).mean()


def least_squares(scores: Tensor, wanted: float) -> Tensor:
    """``(D(x) - wanted)^2``: 1 for real, 0 for fake (Mao 2017, eq. 2; Zhu 2017, sec. 4)."""
    return (scores - wanted).square().mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """``(|grad D(x^)| - 1)^2`` on random points between pairs (Gulrajani 2017, eq. 3).

    Args:
        critic: Images (N, ...) -> scores (N,). In float32, also where autocast reigns.
        real: Images (N, ...), any rank.
        fake: Images of the same shape.
    """
    real, fake = real.detach().float(), fake.detach().float()
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = torch.lerp(real, fake, share)
    norm = _input_gradient(critic, between)[1].flatten(1).norm(dim=1)
    return (norm - 1).square().mean()


def zero_centred_penalty(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """``|grad D(x)|^2``: R1 on real images, R2 on fakes (Mescheder 2018, eq. 9 and 10).

    The factor gamma / 2 is the caller's.

    Args:
        critic: Images (N, ...) -> scores (N,). In float32, also where autocast reigns.
        images: Images (N, ...), any rank; they get no gradient.
    """
    scores, gradient = _input_gradient(critic, images.detach().float())
    # A bias does not move this gradient; 0 * scores gives it a zero gradient instead of none,
    # without which data-parallel training waits for it.
    return gradient.flatten(1).square().sum(dim=1).mean() + 0.0 * scores.sum()


def share_ranked_right(real: Tensor, fake: Tensor) -> Tensor:
    """Share of all (real, fake) pairs that the critic ranks right: 0.5 is guessing, 1 is sure.

    It needs no threshold, so it reads the same for every loss.

    Args:
        real: Scores (N,) or (N, 1, h, w); maps are averaged per image.
        fake: Scores (M,) or (M, 1, h, w).
    """
    real, fake = (scores.reshape(len(scores), -1).mean(dim=1) for scores in (real, fake))
    ahead = real[:, None] - fake[None, :]
    return ((ahead > 0).float() + 0.5 * (ahead == 0).float()).mean()


def summary(real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """The critic's scores in three figures: mean of real, mean of fake, share ranked right."""
    return {
        "critic/real": real.mean(),
        "critic/fake": fake.mean(),
        "critic/accuracy": share_ranked_right(real, fake),
    }


def _input_gradient(critic: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and their gradient by the images, differentiable again, in float32."""
    images = images.requires_grad_()
    with torch.autocast(images.device.type, enabled=False):
        scores = critic(images)
        (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return scores, gradient

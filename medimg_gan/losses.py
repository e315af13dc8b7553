"""Adversarial losses, penalties and remedies against collapse, each with its equation.

Scores are whatever a critic returns, (N,) or a map (N, 1, h, w); larger means more real. Every
function returns a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

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


def least_squares_critic(real: Tensor, fake: Tensor) -> Tensor:
    """``(D(x) - 1)^2 / 2 + D(G(z))^2 / 2`` (Mao 2017, eq. 9)."""
    return (least_squares(real, 1.0) + least_squares(fake, 0.0)) / 2


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """``max(0, 1 - D(x)) + max(0, 1 + D(G(z)))`` (Lim & Ye 2017; Miyato 2018, eq. 16)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """``D(G(z)) - D(x)`` (Arjovsky 2017, eq. 2); the critic's slope is another's to bound."""
    return fake.mean() - real.mean()


class Game(NamedTuple):
    """What either side minimises.

    Attributes:
        critic: (scores of real images, scores of fakes) -> loss of the critic.
        generator: (scores of fakes, scores of real images) -> loss of the generator.
    """

    critic: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


GAMES = {
    "relativistic": Game(relativistic, relativistic),
    "non-saturating": Game(non_saturating_critic, lambda fake, _: non_saturating_generator(fake)),
    "least-squares": Game(least_squares_critic, lambda fake, _: least_squares(fake, 1.0) / 2),
    "hinge": Game(hinge_critic, lambda fake, _: -fake.mean()),
    "wasserstein": Game(wasserstein_critic, lambda fake, _: -fake.mean()),
}
"""The adversarial losses by name; only the relativistic one looks at real scores for both sides."""


def lecam(real: Tensor, fake: Tensor, real_average: Tensor, fake_average: Tensor) -> Tensor:
    """``max(0, D(x) - a_F)^2 + max(0, a_R - D(G(z)))^2`` (Tseng 2021, eq. 3 and its code).

    It bounds how far the critic tells real from fake, above all where data are few. A relativistic
    critic's scores have no zero: a constant on all of them changes nothing. Scores and their
    averages share that constant, so here as there the term bounds the lead of real over fake;
    beyond that it only stills a drift of the constant, which the averages follow late.

    Args:
        real: Scores of real images.
        fake: Scores of fakes.
        real_average: a_R, moving average of the scores of real images, a scalar.
        fake_average: a_F, moving average of the scores of fakes, a scalar.
    """
    return F.relu(real - fake_average).square().mean() + F.relu(real_average - fake).square().mean()


def consistency(scores: Tensor, moved: Tensor) -> Tensor:
    """``(D(x) - D(T(x)))^2`` (Zhang 2020, eq. 3; Zhao 2020 "bCR", for fakes as well).

    Args:
        scores: Of images as they are.
        moved: Of the same images, transformed in a way that does not change what they show.
    """
    return (scores - moved).square().mean()


def feature_distance(fake: Tensor, real: Tensor) -> Tensor:
    """``|E f(x) - E f(G(z))|^2``, feature matching (Salimans 2016, sec. 3.1).

    Args:
        fake: Features (N, K) of fakes.
        real: Features (M, K) of real images; they get no gradient.
    """
    return (fake.mean(dim=0) - real.detach().mean(dim=0)).square().sum()


def patch_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """``-log softmax(q k / temperature)`` at the query's own place (Park 2020, eq. 2 and 3).

    The other places of the same image are the negatives. It is log(P) when all features are alike.

    Args:
        queries: Unit features (N, P, C) of P places of the images that were made.
        keys: Those of the same places of the images given; they get no gradient.
        temperature: How much closer than the others the right key must be; the paper's tau.
    """
    with torch.autocast(queries.device.type, enabled=False):
        alike = keys.detach().float() @ queries.float().transpose(1, 2) / temperature
        places = torch.arange(alike.shape[1], device=alike.device)
        return F.cross_entropy(alike, places.expand(len(alike), -1))


def roughness(field: Tensor) -> Tensor:
    """``|dT/dx|^2 + |dT/dy|^2`` in pixels per pixel (Kong 2021, L_Smooth).

    Args:
        field: Displacements (N, 2, H, W) in pixels; a constant one has no roughness.
    """
    return field.diff(dim=2).square().mean() + field.diff(dim=3).square().mean()


Terms = dict[str, tuple[float, Tensor]]
"""The parts of a loss by the names under which they are plotted: weight and value of each."""


def weighted(terms: Terms) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The weighted sum, and each part without its weight for the plots."""
    total = torch.stack([weight * value for weight, value in terms.values()]).sum()
    return total, {name: value.detach() for name, (_, value) in terms.items()}


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

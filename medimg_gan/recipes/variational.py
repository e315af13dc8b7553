"""The terms of the evidence lower bound (Kingma & Welling 2014), in nats per image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

GROUP = 4
"""Images that share a width, neighbours in the batch: as where critics compare images."""


def drawn(mean: Tensor, log_variance: Tensor) -> Tensor:
    """A sample of N(mean, variance) that gradients pass (Kingma & Welling 2014, sec. 2.4).

    Args:
        mean: (N, latent).
        log_variance: (N, latent).
    """
    return mean + torch.exp(log_variance / 2) * torch.randn_like(mean)


def divergence_from_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """``KL(N(mean, variance) || N(0, 1))``, the mean over images (appendix B).

    Args:
        mean: (N, latent).
        log_variance: (N, latent).
    """
    terms = mean.square() + log_variance.exp() - 1 - log_variance
    return terms.sum(dim=1).mean() / 2


def calibrated_error(found: Tensor, wanted: Tensor) -> Tensor:
    """``-log p(wanted)`` under normal noise of the likeliest width (Rybkin 2021, eq. 6).

    The width is the root mean square error itself, so reconstruction and KL divergence need no
    weight between them: D / 2 (log mse + log 2 pi + 1) for D values in an image. It is fitted to
    ``GROUP`` images at a time (there: to the batch), so that a batch which is cut between groups,
    as several processes do, gives the same.

    Args:
        found: (N, ...).
        wanted: Same shape.
    """
    size = GROUP if len(found) % GROUP == 0 else len(found)
    error = (found.float() - wanted.float()).square().flatten(1)
    error = error.unflatten(0, (-1, size)).mean(dim=(1, 2))
    nats = torch.log(error + 1e-6).mean() + math.log(2 * math.pi) + 1
    return wanted[0].numel() / 2 * nats

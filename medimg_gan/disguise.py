"""An image in contrasts that nobody ever saw: pairs for a translator, where no patient has both.

Whoever can give an image back from any disguise of it knows where the body's parts end and which
values they have, whatever contrast shows them. A scan of another modality is one disguise more.
The pairs cost nothing and fit to the pixel. Billot et al. 2023 (SynthSeg) and Iglesias et al. 2021
(SynthSR) train on random contrasts of label maps; here the image itself takes the labels' place.
"""

from __future__ import annotations

import torch
from torch import Tensor

KNOTS = 8
"""Values that get a shade of their own; in between, shades go in straight lines. They are random
quantiles of the body, so that its commonest values are told apart best."""
APART = (0.02, 0.06)
"""Least distance between knots, drawn anew for each image (25 to 75 HU in the default window): with
closer ones noise would become a pattern."""
DARKEST = -0.8
"""Shades are even between this and 1; air stays -1."""
BONE, BONE_SHADES = 0.05, (-1.0, -0.7)
"""Encoded CT value from which bone is dark in MR, which gets hardly any signal of it (300 HU
in the default window), and its shades there."""
FIELD = 0.12
"""Standard deviation of each coefficient of the coil's logarithm, a quadratic of row and column."""
NOISE = 0.03
"""Standard deviation of the noisiest disguises' noise; even from 0 to this."""


@torch.no_grad()
def disguised(images: Tensor, contrasts: int, threshold: float, *, dark_bone: bool) -> Tensor:
    """Every image in as many random contrasts as wanted: by a curve, a coil and noise of its own.

    The slices of an image share the curve and the coil. Draws are from torch's global random state;
    nothing waits for the device.

    Args:
        images: (N, k, H, W) in [-1, 1], k adjacent slices.
        contrasts: How many of each, S.
        threshold: Encoded value between air and skin.
        dark_bone: Whether the images are CT and are to pass for MR, which shows bone dark.

    Returns:
        (N, S * k, H, W) float32 in [-1, 1], contrast by contrast.
    """
    images = images.float()
    return torch.cat([_disguise(images, threshold, dark_bone) for _ in range(contrasts)], dim=1)


def _disguise(images: Tensor, threshold: float, dark_bone: bool) -> Tensor:
    values = images.flatten(1)
    knots = _knots(values, threshold)
    shades = _between(DARKEST, 1.0, knots)
    shades[:, 0] = -1.0
    if dark_bone:
        shades = torch.where(knots >= BONE, _between(*BONE_SHADES, knots), shades)
    above = _curve(values, knots, shades).view_as(images) + 1
    noise = torch.randn_like(images) * NOISE * torch.rand_like(images[:, :1, :1, :1])
    return (above * _coil(images) + noise - 1).clamp(-1, 1)


def _knots(values: Tensor, threshold: float) -> Tensor:
    """Increasing values (N, KNOTS + 2): -1, random quantiles of the body kept apart, one more.

    The last is at least ``BONE``, so that bone has a shade of its own where no quantile hit it.
    """
    pixels = values.shape[1]
    body = (values > threshold).sum(dim=1, keepdim=True).clamp(min=1)
    share = torch.rand(len(values), KNOTS, device=values.device).sort(dim=1).values
    ranks = pixels - 1 - ((body - 1) * (1 - share)).long()
    quantiles = values.sort(dim=1).values.gather(1, ranks)
    steps = _between(*APART, quantiles[:, :1]) * torch.arange(KNOTS, device=values.device)
    apart = (quantiles - steps).cummax(dim=1).values + steps
    last = (apart[:, -1:] + APART[1]).clamp(min=BONE)
    return torch.cat([torch.full_like(last, -1.0), apart, last], dim=1)


def _curve(values: Tensor, knots: Tensor, shades: Tensor) -> Tensor:
    """Piecewise linear from knots to shades (N, K each), flat beyond the last; (N, P)."""
    upper = torch.searchsorted(knots, values).clamp(1, knots.shape[1] - 1)
    low, high = knots.gather(1, upper - 1), knots.gather(1, upper)
    share = ((values - low) / (high - low).clamp(min=1e-4)).clamp(0, 1)
    return torch.lerp(shades.gather(1, upper - 1), shades.gather(1, upper), share)


def _coil(images: Tensor) -> Tensor:
    """A receiver coil's sensitivity (N, 1, H, W), around 1."""
    rows, columns = (
        torch.linspace(-1, 1, side, device=images.device) for side in images.shape[-2:]
    )
    down, across = torch.meshgrid(rows, columns, indexing="ij")
    terms = torch.stack([down, across, down * across, down.square(), across.square()])
    weights = FIELD * torch.randn(len(images), 1, *terms.shape[:1], 1, 1, device=images.device)
    return torch.exp((weights * terms).sum(dim=2))


def _between(low: float, high: float, like: Tensor) -> Tensor:
    """Evenly random numbers of a tensor's shape."""
    return low + (high - low) * torch.rand_like(like)

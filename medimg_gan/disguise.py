"""An image in contrasts that nobody ever saw: pairs for a translator, where no patient has both.

Whoever can give an image back from any disguise of it knows where the body's parts end and which
values they have, whatever contrast shows them. A scan of another modality is one disguise more.
The pairs cost nothing and fit to the pixel. Billot et al. 2023 (SynthSeg) and Iglesias et al. 2021
(SynthSR) train on random contrasts of label maps; here the image itself takes the labels' place.
"""

from __future__ import annotations

import torch
from torch import Tensor

AIR, BRIGHTEST = -1.0, 1.0
"""Ends of the images' range."""
KNOTS = 4
"""Values that get a shade of their own, besides air and the brightest or bone. Half are random
pixels', so that the commonest tissues are told apart best, half anywhere. In between, shades go in
straight lines."""
APART = (0.01, 0.03)
"""Least distance between knots, drawn anew for each image (12 to 37 HU in the wide window): with
closer ones noise would become a pattern."""
SHADES = (0.2, 2.0)
"""Between what shades are even, above air, before they are stretched."""
PEAKS = (1.6, 2.0)
"""Where the brightest shade then lies, above air; scales of MR put it there."""
SOFT = (-0.32, -0.12)
"""Encoded CT values of fat and soft tissue (-150 to 100 HU in the wide window). Where bone is dark,
only they get shades, so that a pixel with ever more bone goes straight from theirs to bone's."""
BONE, BONE_SHADES = 0.6, (0.0, 0.4)
"""Encoded CT value of bone (1000 HU), and its shades, above air, in MR, which gets hardly any
signal of it."""
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
        dark_bone: Whether the images are CT in the wide window and are to pass for MR, which shows
            bone dark.

    Returns:
        (N, S * k, H, W) float32 in [-1, 1], contrast by contrast.
    """
    images = images.float()
    return torch.cat([_disguise(images, threshold, dark_bone) for _ in range(contrasts)], dim=1)


def _disguise(images: Tensor, threshold: float, dark_bone: bool) -> Tensor:
    values = images.flatten(1)
    knots = _knots(values, *(SOFT if dark_bone else (threshold, BRIGHTEST)))
    air, last = (
        torch.full_like(knots[:, :1], value) for value in (AIR, BONE if dark_bone else BRIGHTEST)
    )
    shades = _between(*SHADES, torch.cat([knots, last], dim=1))
    if dark_bone:
        shades[:, -1] = 0  # no peak
    shades = _between(*PEAKS, last) * shades / shades.amax(dim=1, keepdim=True)
    if dark_bone:
        shades[:, -1:] = _between(*BONE_SHADES, last)
    knots, shades = torch.cat([air, knots, last], dim=1), torch.cat([0 * air, shades], dim=1)
    above = _curve(values, knots, shades).view_as(images) * _coil(images)
    noise = torch.randn_like(images) * _between(0, NOISE, images[:, :1, :1, :1])
    return (AIR + above + noise).clamp(AIR, BRIGHTEST)


def _knots(values: Tensor, low: float, high: float) -> Tensor:
    """Increasing values (N, KNOTS) from low to high, kept apart; of pixels (N, P)."""
    inside = (values > low) & (values < high)
    chosen = torch.rand_like(values).masked_fill(~inside, -1).topk(KNOTS // 2).indices
    pixels = values.gather(1, chosen).clamp(low, high)
    found = torch.cat([pixels, _between(low, high, pixels)], dim=1).sort(dim=1).values
    steps = _between(*APART, found[:, :1]) * torch.arange(KNOTS, device=values.device)
    return (found - steps).cummax(dim=1).values + steps


def _curve(values: Tensor, knots: Tensor, shades: Tensor) -> Tensor:
    """Shades of values (N, P): piecewise linear from knots to shades (N, K), flat beyond."""
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
    weights = FIELD * torch.randn(len(images), 1, len(terms), 1, 1, device=images.device)
    return torch.exp((weights * terms).sum(dim=2))


def _between(low: float, high: float, like: Tensor) -> Tensor:
    """Evenly random numbers of a tensor's shape."""
    return low + (high - low) * torch.rand_like(like)

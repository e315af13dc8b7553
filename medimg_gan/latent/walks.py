"""Ways through the latent space: from one noise to the next, and from one class to another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan.latent.conditions import MIDDLE, rendered, told
from medimg_gan.recipes.base import device_of

if TYPE_CHECKING:
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import FloatArray

STRAIGHT = 1e-4
"""Angle in radians below which an arc is taken for a straight line."""


def slerp(first: Tensor, last: Tensor, share: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985; White 2016): along the arc, not across the ball.

    Normal noise of many dimensions lies near a sphere; the middle of a straight line would be much
    shorter than any noise that the generator saw. Lengths go evenly from one end's to the other's.

    Args:
        first: (d,).
        last: (d,).
        share: (n,) in [0, 1], of the way.

    Returns:
        (n, d).
    """
    one, other = first / first.norm(), last / last.norm()
    angle = torch.arccos((one * other).sum().clamp(-1, 1))
    share = share[:, None]
    lengths = torch.lerp(first.norm(), last.norm(), share)
    if angle < STRAIGHT:
        return lengths * one
    arc = torch.sin((1 - share) * angle) * one + torch.sin(share * angle) * other
    return lengths * arc / torch.sin(angle)


def between_seeds(
    generator: Generator,
    label: str | None,
    seeds: tuple[int, ...],
    frames: int,
    at: Mapping[str, float] = MIDDLE,
) -> FloatArray:
    """From each seed's first slice to the next one's.

    Args:
        generator: Trained.
        label: Class; None where there are none.
        seeds: Two or more.
        frames: Steps between two of them.
        at: Numbers, as for :func:`told`.

    Returns:
        ((len(seeds) - 1) * frames + 1, C, size, size) in [-1, 1].

    Raises:
        LabelError: If the class is unknown.
    """
    stops = [generator.draw_noise(1, seed)[0] for seed in seeds]
    share = torch.arange(frames) / frames
    legs = [slerp(*pair, share) for pair in itertools.pairwise(stops)]
    noise = torch.cat([*legs, stops[-1][None]])
    return rendered(generator, noise, told(generator, [label] * len(noise), at))


@torch.inference_mode()
def between_classes(
    generator: Generator,
    classes: tuple[str, ...],
    seed: int,
    frames: int,
    at: Mapping[str, float] = MIDDLE,
) -> FloatArray:
    """From class to class with the same noise: the styles are mixed (Karras 2019, appendix B).

    Args:
        generator: Trained, conditional.
        classes: Two or more.
        seed: Of the noise.
        frames: Steps between two of them.
        at: Numbers, as for :func:`told`.

    Returns:
        ((len(classes) - 1) * frames + 1, C, size, size) in [-1, 1].

    Raises:
        LabelError: If a class is unknown.
    """
    noise = generator.draw_noise(1, seed).expand(len(classes), -1)
    recipe = generator.recipe
    styles = recipe.style_like(told(generator, list(classes), at), noise.to(device_of(recipe)))
    share = (torch.arange(frames) / frames).view(-1, *[1] * (styles.ndim - 1)).to(styles)
    legs = [torch.lerp(*pair, share) for pair in itertools.pairwise(styles)]
    images = recipe.from_style(torch.cat([*legs, styles[-1:]]))
    return images.clamp(-1, 1).float().cpu().numpy()

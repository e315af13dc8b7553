"""Images of chosen noise under chosen conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medimg_gan.data.number import fixed_numbers
from medimg_gan.recipes.base import device_of
from medimg_gan.recipes.knobs import AT_REST, Knobs, TurnedKnobs
from medimg_gan.synthesis import CHUNK

if TYPE_CHECKING:
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import Batch, FloatArray

MIDDLE: Mapping[str, float] = MappingProxyType({})
"""No number named: all in the middle of their range."""


def told(
    generator: Generator, labels: Sequence[str | None], at: Mapping[str, float] = MIDDLE
) -> Batch:
    """What a recipe is to be told to make images of these classes, on the generator's device.

    Args:
        generator: Trained.
        labels: A class for each image; None for each where the generator knows none.
        at: Numbers that it was also conditioned on (a slice's position, say), name -> value in the
            column's own unit; those not named are in the middle of their range.

    Raises:
        LabelError: If a class is unknown.
        ConfigError: If a number is unknown, or was never so in training.
    """
    values = torch.from_numpy(fixed_numbers(generator.numbers, at))
    numbers = [0 if label is None else generator.class_number(label) for label in labels]
    device = device_of(generator.recipe)
    return {
        "label": torch.tensor(numbers, dtype=torch.int64, device=device),
        "numbers": values.to(device).repeat(len(labels), 1),
    }


@torch.inference_mode()
def rendered(
    generator: Generator, noise: Tensor, conditions: Batch, knobs: Knobs = AT_REST
) -> FloatArray:
    """Images of the given noise.

    Args:
        generator: Trained.
        noise: (N, latent).
        conditions: Of :func:`told`, for N images.
        knobs: Truncation and moves along directions.

    Returns:
        float32 (N, C, size, size) in [-1, 1].
    """
    turned, images = TurnedKnobs(generator.recipe, knobs), []
    for start in range(0, len(noise), CHUNK):
        rows = slice(start, start + CHUNK)
        some = {name: values[rows] for name, values in conditions.items()}
        made = turned.sample(some, noise[rows].to(device_of(generator.recipe)))
        images.append(made.clamp(-1, 1).float().cpu().numpy())
    return np.concatenate(images)


def classes_of(generator: Generator) -> tuple[str | None, ...]:
    """The classes that can be asked for; (None,) where there are none."""
    asked = generator.classes if generator.recipe.conditional else ()
    return asked or (None,)

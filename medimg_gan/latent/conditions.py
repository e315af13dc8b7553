"""Images of chosen noise under chosen conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medimg_gan.recipes.base import device_of
from medimg_gan.recipes.knobs import AT_REST, Knobs, TurnedKnobs
from medimg_gan.synthesis import CHUNK

if TYPE_CHECKING:
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import Batch, FloatArray


def told(generator: Generator, labels: Sequence[str | None]) -> Batch:
    """What a recipe is to be told to make images of these classes, on the generator's device.

    Numbers that it was also conditioned on (a slice's position, say) are in the middle of their
    range.

    Args:
        generator: Trained.
        labels: A class for each image; None for each where the generator knows none.

    Raises:
        LabelError: If a class is unknown.
    """
    numbers = [0 if label is None else generator.class_number(label) for label in labels]
    spec, device = generator.recipe.spec, device_of(generator.recipe)
    return {
        "label": torch.tensor(numbers, dtype=torch.int64, device=device),
        "numbers": torch.zeros(len(labels), len(spec.numbers), device=device),
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

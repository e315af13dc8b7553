"""What came of each training of a gamma sweep, beside held-out images (the heavy half)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F
from torchvision.utils import save_image

from medimg_gan.apps.common import default_device
from medimg_gan.apps.tune_gamma import Trial
from medimg_gan.apps.watching import default_or_random
from medimg_gan.console import progress
from medimg_gan.data.prepare import Prepared
from medimg_gan.engine.rows import read_rows
from medimg_gan.engine.tracker import METRICS, grid
from medimg_gan.errors import DataError
from medimg_gan.files import new_file
from medimg_gan.metrics.features import Extractor
from medimg_gan.metrics.images import PIXELS, ImageSet, compare
from medimg_gan.slices import spread_over
from medimg_gan.synthesis import Generator, load_run

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

MOST_IMAGES = 200
SHOWN = 12
"""Samples of each training in the picture."""


def score_trials(
    folders: Mapping[float, Path], prepared: Prepared, picture: Path, seed: int
) -> list[Trial]:
    """Score finished trainings, and show their samples below one another.

    Args:
        folders: Gamma -> folder of its run.
        prepared: The data; slices of validation patients are compared with.
        picture: Gets a row of real slices, then a row of samples for each gamma, rising; equal
            noise in a column.
        seed: Of the samples.

    Raises:
        DataError: If there are no held-out slices.
    """
    images, labels = _held_out(prepared)
    extractor = default_or_random()
    shown = [grid(torch.from_numpy(images[:: -(-len(images) // SHOWN)]), SHOWN)]
    real = _described(images, labels, extractor)
    trials = []
    with progress("scoring", len(folders), "trainings") as ticker:
        for gamma, folder in folders.items():
            generator = load_run(folder, default_device())
            assert isinstance(generator, Generator)
            trials.append(_score(gamma, folder, generator, extractor, real, seed))
            samples = generator.sample_encoded(SHOWN, None, seed)
            shown.append(grid(torch.from_numpy(samples), SHOWN))
            ticker.advance()
    width = max(row.shape[2] for row in shown)
    rows = [F.pad(row, (0, width - row.shape[2])) for row in shown]
    with new_file(picture) as aside:
        save_image(torch.cat(rows, dim=1), aside)
    return trials


def _held_out(prepared: Prepared) -> tuple[FloatArray, IntArray]:
    """Slices of validation patients (N, 1, H, W) in order of their classes (N,)."""
    dataset = prepared.dataset("val")
    if not len(dataset):
        raise DataError("no held-out slices to compare with", fix="add patients")
    rows = spread_over(len(dataset), MOST_IMAGES)
    labels = np.asarray(dataset.labels)[rows]
    order = np.argsort(labels, kind="stable")
    return dataset.gather(rows[order])["image"].numpy(), labels[order]


def _described(images: FloatArray, labels: IntArray, extractor: Extractor) -> ImageSet:
    return ImageSet({PIXELS: images, extractor.name: extractor(images)}, labels)


def _score(
    gamma: float,
    folder: Path,
    generator: Generator,
    extractor: Extractor,
    real: ImageSet,
    seed: int,
) -> Trial:
    """Distance and variety of as many samples of each class as there are held-out slices."""
    conditional = bool(generator.recipe.conditional and generator.classes)
    labels = real.labels if conditional else np.zeros(len(real), np.int64)
    made = [
        generator.sample_encoded(
            int(count), generator.classes[label] if conditional else None, seed
        )
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
    ]
    real = ImageSet(real.spaces, labels)
    synthetic = _described(np.concatenate(made), labels, extractor)
    distance, similarity = compare(real, synthetic, ("kid", "similarity"))
    (own,) = compare(real, real, ("similarity",))
    return Trial(
        gamma,
        distance.value,
        distance.standard_error,
        similarity.value,
        own.value,
        **_critic(folder),
    )


def _critic(folder: Path) -> dict[str, Any]:
    """How sure the critic was when it was last asked; looks leave rows of their own between."""
    name = "scores/critic_accuracy"
    rows = [row for row in read_rows(folder / METRICS) if row.get(name) is not None]
    if not rows:
        return {}
    return {"accuracy": rows[-1][name], "held_out_accuracy": rows[-1].get(f"{name}_held_out")}

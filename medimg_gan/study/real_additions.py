"""Minority slices that need no generator: what a gain of synthetic ones is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.study.data import StudyData
    from medimg_gan.types import FloatArray, IntArray

MIXING = 1.0
"""Both parameters of the Beta distribution of mixup's lambda (Zhang et al. 2018, sec. 3.2 uses 1 on
small images): every share is equally likely, so that few mixtures are near-copies of a parent."""


def duplicates(data: StudyData, count: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Real minority slices again, each as often as any other (give or take one)."""
    order = _in_turn(data, count, np.random.default_rng([seed, 3]))
    return data.train.images[order], np.full(count, data.minority, dtype=np.int64)


def interpolations(data: StudyData, count: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Mixtures of two different real minority slices each, pixel by pixel (mixup within a class).

    ``lambda x + (1 - lambda) x'`` (Zhang et al. 2018, sec. 1) with lambda from Beta(1, 1). Both
    parents are of the minority, so the label is not mixed. Every slice is the first parent as often
    as any other (give or take one); the second is any other slice. A single slice can only be
    repeated.
    """
    generator = np.random.default_rng([seed, 4])
    first = _in_turn(data, count, generator)
    second = _another(data, first, generator)
    share = generator.beta(MIXING, MIXING, (count, 1, 1, 1)).astype(np.float32)
    images = data.train.images
    mixed = share * images[first] + (1 - share) * images[second]
    return mixed, np.full(count, data.minority, dtype=np.int64)


def _in_turn(data: StudyData, count: int, generator: np.random.Generator) -> IntArray:
    """Places of minority training slices: in shuffled passes over all of them."""
    real = np.flatnonzero(data.train.labels == data.minority)
    passes = -(-count // len(real))
    return np.concatenate([generator.permutation(real) for _ in range(passes)])[:count]


def _another(data: StudyData, first: IntArray, generator: np.random.Generator) -> IntArray:
    """For each place, that of another minority slice; the same one where there is no other."""
    real = np.flatnonzero(data.train.labels == data.minority)
    if len(real) == 1:
        return first
    step = generator.integers(1, len(real), len(first))
    return real[(np.searchsorted(real, first) + step) % len(real)]

"""Synthetic slices that arms add, or are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import DataError

if TYPE_CHECKING:
    from medimg_gan.study.data import StudyData
    from medimg_gan.types import FloatArray, IntArray

SEED_OF_TEST = 1_000_003
"""Keeps the synthetic slices that a classifier is asked about apart from those it may learn."""


def synthetic_minority(data: StudyData, count: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Synthetic minority slices."""
    images = synthesise_checked(data, count, data.minority, seed)
    return images, np.full(count, data.minority, dtype=np.int64)


def synthetic_everything(data: StudyData, count: int, seed: int) -> tuple[FloatArray, IntArray]:
    """As many synthetic slices of every class as there are real ones; ``count`` plays no part."""
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    images = [
        synthesise_checked(data, int(number), label, seed)
        for label, number in enumerate(counts)
        if number
    ]
    return np.concatenate(images), np.repeat(np.arange(len(counts)), counts)


def synthetic_test(data: StudyData, seed: int) -> tuple[FloatArray, IntArray]:
    """As many synthetic slices of every class as the test split has: images and labels."""
    counts = np.bincount(data.test.labels, minlength=len(data.classes))
    images = [
        synthesise_checked(data, int(number), label, seed + SEED_OF_TEST)
        for label, number in enumerate(counts)
        if number
    ]
    return np.concatenate(images), np.repeat(np.arange(len(counts)), counts)


def synthesise_checked(data: StudyData, count: int, label: int, seed: int) -> FloatArray:
    """Synthetic slices of one class.

    Raises:
        DataError: If they differ in size from the real ones, or are not finite.
    """
    images = np.asarray(data.synthesise(count, label, seed), dtype=np.float32)
    expected = (count, *data.train.images.shape[1:])
    if images.shape != expected:
        raise DataError(
            f"study: synthetic slices of {data.classes[label]} do not fit the real ones",
            observed=f"shape {images.shape}, expected {expected}",
            cause="the GAN was trained at another size",
            fix="use the size of the GAN for the study",
        )
    if not np.isfinite(images).all():
        raise DataError(f"study: synthetic slices of {data.classes[label]} are not finite")
    return np.clip(images, -1, 1)

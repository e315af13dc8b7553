"""A generator that makes slices of four kinds in turn, of which filters should keep one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from small_study import TINY
from torch import nn

from medimg_gan.classify import ClassifierConfig
from medimg_gan.metrics.features import FEATURES, Extractor
from medimg_gan.study import Split, StudyData

CONFIG = replace(
    TINY,
    features="flat",
    classifier=ClassifierConfig(width=4, steps=40, batch_size=16, device="cpu"),
)
KINDS = ("fresh", "copy", "noise", "other class")
RARE = 1


def drawn(labels: np.ndarray, seed: int) -> np.ndarray:
    """Heads of 16 pixels: a bright right half is the rare class, a bright left half the other."""
    random = np.random.default_rng(seed)
    images = np.full((len(labels), 1, 16, 16), -0.9)
    for image, label in zip(images[:, 0], labels, strict=True):
        top, size = random.integers(1, 5), random.integers(8, 11)
        left = 8 if label == RARE else 1
        image[top : top + size, left : left + 7] = random.uniform(0.1, 0.9)
    return (images + random.normal(0, 0.02, images.shape)).clip(-1, 1).astype(np.float32)


def split(name: str, seed: int) -> Split:
    labels = np.repeat([RARE] * 12 + [0] * 24, 2)
    patients = np.repeat([f"{name}{number}" for number in range(36)], 2)
    return Split(drawn(labels, seed), labels, patients)


@contextmanager
def flat_features() -> Iterator[None]:
    """Features that cost nothing: 16 pixels are a vector already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FEATURES, "flat", lambda *_: Extractor("flat", nn.Flatten()))
        yield


def data_of_kinds() -> StudyData:
    """A generator that makes the four kinds in turn."""
    train = split("a", 0)

    def synthesise(count: int, label: int, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        made = drawn(np.array([label, label, label, 1 - label])[np.arange(count) % 4], seed)
        copies = random.choice(train.of_class(label), len(made[1::4]))
        made[1::4] = copies + random.normal(0, 0.001, copies.shape)
        made[2::4] = random.uniform(-1, 1, made[2::4].shape)
        return made.clip(-1, 1)

    return StudyData(train, split("b", 1), split("c", 2), ("common", "rare"), RARE, synthesise)

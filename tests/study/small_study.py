"""A study of a few slices whose classifiers say what a test wants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medimg_gan.classify import ClassifierConfig
from medimg_gan.metrics.neighbours import CopyCheck
from medimg_gan.study import ARMS, Split, StudyConfig, StudyData, planned_fits
from medimg_gan.study.analysis import analyse
from medimg_gan.study.jobs import FitResult
from medimg_gan.study.verdict import verdict

MARK = 0.777
"""Every pixel of a synthetic slice, so that one is known wherever it turns up."""
CLEAN = CopyCheck(synthetic=1.0, held_out=1.0, limit=0.9, too_close=0.05)
TINY = StudyConfig(
    arms=("real", "weighted", "classical", "duplicate", "synthetic"),
    ratios=(1.0,),
    seeds=2,
    resamples=300,
    classifier=ClassifierConfig(width=4, steps=3, batch_size=8, device="cpu"),
    features="random",
    filters=("copies",),
)

SEEDED = replace(TINY, seeds=5)
"""Enough trainings for a claim: with two there is one degree of freedom."""
NULL = dict.fromkeys(ARMS, 1.0)


def marked(count: int, label: int, seed: int) -> np.ndarray:
    return np.full((count, 1, 16, 16), MARK, dtype=np.float32)


def split(name: str, rare: int, common: int, other: int, slices: int = 2) -> Split:
    """So many patients of each class, each with some slices; class 1 is rare."""
    labels = np.repeat([1] * rare + [0] * common + [2] * other, slices)
    patients = np.repeat([f"{name}{p}" for p in range(rare + common + other)], slices)
    generator = np.random.default_rng(len(labels))
    images = generator.uniform(-1, 0.5, size=(len(labels), 1, 16, 16)).astype(np.float32)
    return Split(images, labels.astype(np.int64), patients)


def planted(data: StudyData, config: StudyConfig, strength: dict[str, float]) -> dict:
    """Results in which the minority's score in an arm has so many standard deviations of lift."""
    results = {}
    for fit in planned_fits(data, config):
        parts = []
        for number, part in enumerate((data.val, data.test)):
            noise = np.random.default_rng([fit.seed, number]).normal(size=len(part.labels))
            logit = noise + strength[fit.arm] * (part.labels == 1)
            chance = 1 / (1 + np.exp(-logit))
            parts.append(np.stack([0.6 * (1 - chance), chance, 0.4 * (1 - chance)], axis=1))
        results[fit] = FitResult(parts[0], parts[1], step=1)
    return results


def judge(data: StudyData, config: StudyConfig, strength: dict[str, float]) -> tuple[str, str]:
    analysis = analyse([data], config, [planted(data, config, strength)])
    return verdict([data], config, analysis)

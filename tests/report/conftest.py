"""One small study and its report, for all tests of the page."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_gan.classify import ClassifierConfig
from medimg_gan.report import write_report
from medimg_gan.study import Split, StudyConfig, StudyData, run_study

HOSTILE = "rare <script>alert('x')</script> & \"co\""


def make_split(name: str, patients: int) -> Split:
    labels = np.repeat(np.arange(patients) % 3 == 0, 2).astype(np.int64)
    generator = np.random.default_rng(patients)
    images = generator.uniform(-1, 1, size=(len(labels), 1, 16, 16)).astype(np.float32)
    return Split(images, labels, np.repeat([f"SECRET-{name}-{p}" for p in range(patients)], 2))


def noise(count: int, label: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, label]).uniform(-1, 1, size=(count, 1, 16, 16))


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    data = StudyData(
        make_split("a", 16), make_split("b", 20), make_split("c", 24),
        classes=("common", HOSTILE), minority=1, synthesise=noise, source="runs/toy",
    )  # fmt: skip
    config = StudyConfig(
        arms=("real", "duplicate", "synthetic"),
        ratios=(0.8, 1.0),
        seeds=1,
        resamples=100,
        classifier=ClassifierConfig(width=4, steps=2, batch_size=8, device="cpu"),
        features="random",
    )
    return run_study(data, config, tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="session")
def written(result, tmp_path_factory):
    report = {**result.report, "command": "medimg-gan augment --minority-class 'a & b'"}
    return write_report(tmp_path_factory.mktemp("report"), report, result.pictures)

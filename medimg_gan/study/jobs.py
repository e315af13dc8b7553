"""One training of one classifier, with all that it needs: any process may do it, and none differs.

Everything random follows from the job's seed, and on a CPU a classifier computes in one thread,
so that neither the number of processes nor of cores changes a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medimg_gan.classify import (
    ClassifierConfig,
    TrainingSet,
    evaluation_steps,
    fit_classifier,
    predict,
)
from medimg_gan.study.arms import build, find_arm
from medimg_gan.study.filters import filtered
from medimg_gan.study.synthetic_additions import synthetic_test
from medimg_gan.study.threads import one_thread

if TYPE_CHECKING:
    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.fits import Fit
    from medimg_gan.types import FloatArray, IntArray

ASKED_ABOUT_SYNTHETIC = "real"
"""The arm whose classifiers are tested on synthetic slices as well (train on real)."""


@dataclass(frozen=True)
class Job:
    """What one classifier learns from, and what it is asked.

    Attributes:
        training: Slices and how they are drawn.
        validation: (M, 1, H, W) real slices that choose the kept weights.
        labels: (M,) of the validation slices.
        test: (N, 1, H, W) real slices.
        synthetic: Synthetic slices to ask about as well, if any.
        classes: Number of classes.
        minority: Index of the class that the study is about.
        config: Network, steps, device.
        seed: Of the training.
    """

    training: TrainingSet
    validation: FloatArray
    labels: IntArray
    test: FloatArray
    synthetic: FloatArray | None
    classes: int
    minority: int
    config: ClassifierConfig
    seed: int


@dataclass(frozen=True)
class FitResult:
    """Class probabilities of the real validation (M, K) and test (N, K) slices.

    The arm of real slices alone is also asked about synthetic ones (as many of each class as the
    test split has, in the order of the classes), for ``exchange``.
    """

    validation: FloatArray
    test: FloatArray
    step: int
    synthetic: FloatArray | None = None


def job_for(data: StudyData, config: StudyConfig, fit: Fit) -> Job:
    """The job of a planned training; synthetic slices are made here."""
    asked = fit.arm == ASKED_ABOUT_SYNTHETIC
    return Job(
        build(find_arm(fit.arm), filtered(data, config, fit.arm), fit.ratio, fit.seed),
        data.val.images,
        data.val.labels,
        data.test.images,
        synthetic_test(data, config.seed)[0] if asked else None,
        len(data.classes),
        data.minority,
        config.classifier,
        fit.seed,
    )


def train_job(job: Job, advance: Callable[[], None] = lambda: None) -> FitResult:
    """Train the classifier, and ask it.

    Args:
        job: What to do.
        advance: Called after every step.
    """
    with one_thread():
        classifier = fit_classifier(
            job.training,
            job.validation,
            job.labels,
            classes=job.classes,
            minority=job.minority,
            config=job.config,
            seed=job.seed,
            advance=advance,
        )
        return FitResult(
            validation=predict(classifier, job.validation),
            test=predict(classifier, job.test),
            step=classifier.step,
            synthetic=None if job.synthetic is None else predict(classifier, job.synthetic),
        )


def slices_asked(data: StudyData, config: ClassifierConfig) -> int:
    """Slices that a classifier looks at without learning, over its whole training."""
    looks = len(evaluation_steps(config)) + 1
    return looks * len(data.val.labels) + len(data.test.labels)

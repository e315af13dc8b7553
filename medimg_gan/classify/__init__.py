"""A small classifier of slices: the yardstick of the study, equal in every arm.

It is deliberately plain (a ResNet of four blocks, AdamW, one-cycle rate), trains in seconds on a
processor, and is chosen by the validation split alone. All data live in tensors; a batch is one
gather.
"""

from __future__ import annotations

from medimg_gan.classify.batches import TrainingSet, classical_augmentation, stream_of
from medimg_gan.classify.network import NETWORKS, SmallResNet
from medimg_gan.classify.training import (
    Classifier,
    ClassifierConfig,
    evaluation_steps,
    fit_classifier,
    predict,
    seconds_per_step,
)

__all__ = [
    "NETWORKS",
    "Classifier",
    "ClassifierConfig",
    "SmallResNet",
    "TrainingSet",
    "classical_augmentation",
    "evaluation_steps",
    "fit_classifier",
    "predict",
    "seconds_per_step",
    "stream_of",
]

"""A small classifier of slices: the yardstick of the study, equal in every arm.

By default it is deliberately plain (a ResNet of four blocks, AdamW, one-cycle rate) and trains in
seconds on a processor; its state is chosen by the validation split alone. All data live in tensors;
a batch is one gather.
"""

from __future__ import annotations

from medimg_gan.classify.batches import TrainingSet, classical_augmentation, stream_of
from medimg_gan.classify.choice import check_network, find_network, network_identity
from medimg_gan.classify.losses import FOCUSING, class_balanced_weights, cross_entropy
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
    "FOCUSING",
    "NETWORKS",
    "Classifier",
    "ClassifierConfig",
    "SmallResNet",
    "TrainingSet",
    "check_network",
    "class_balanced_weights",
    "classical_augmentation",
    "cross_entropy",
    "evaluation_steps",
    "find_network",
    "fit_classifier",
    "network_identity",
    "predict",
    "seconds_per_step",
    "stream_of",
]

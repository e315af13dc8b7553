"""Train one classifier, keep its best state on validation, and ask it for probabilities."""

from __future__ import annotations

import copy
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from medimg_gan.classify.batches import TrainingSet, stream_of
from medimg_gan.classify.choice import build_network
from medimg_gan.classify.losses import cross_entropy
from medimg_gan.errors import ConfigError, DivergenceError
from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.outcome import once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from medimg_gan.types import Batch, FloatArray, IntArray

ROWS_AT_ONCE = 256
"""Slices per forward pass when predicting."""


@dataclass(frozen=True)
class ClassifierConfig:
    """How every classifier of a study is trained.

    Attributes:
        network: A key of :data:`NETWORKS`, or the user's own ``module:function``.
        width: Channels of resnet10's first block; later blocks have 2, 4 and 8 times as many.
        steps: Optimiser steps, the same in every arm.
        batch_size: Slices per step.
        learning_rate: Peak of the one-cycle schedule.
        weight_decay: Of AdamW.
        evaluations: How often, evenly over the training, validation is read to keep the best.
        precision: ``"auto"`` (bfloat16 where the hardware has it), ``"bf16-mixed"``, ``"32-true"``.
        device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
    """

    network: str = "resnet10"
    width: int = 16
    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    evaluations: int = 6
    precision: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Classifier:
    """A trained network and where its training stood when validation liked it best."""

    network: nn.Module
    step: int
    validation_auroc: float
    config: ClassifierConfig


def fit_classifier(
    training: TrainingSet,
    images: FloatArray,
    labels: IntArray,
    *,
    classes: int,
    minority: int,
    config: ClassifierConfig,
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> Classifier:
    """Train a classifier and keep its best state on validation.

    Best is the highest minority AUROC; a tie goes to the higher balanced accuracy, then to the
    later state. The same seed on the same machine gives the same weights.

    Args:
        training: What it learns from.
        images: Validation (M, 1, H, W) float32 in [-1, 1]; real slices only.
        labels: Validation (M,) int64.
        classes: Number of classes.
        minority: Index of the class of interest.
        config: See :class:`ClassifierConfig`.
        seed: Of the initial weights and of the order of the data.
        advance: Called after every step.

    Raises:
        ConfigError: If the network, device or precision is unknown, or the network cannot be built.
        DivergenceError: If the loss is not finite.
    """
    device = _device(config)
    network = _build(config, classes, seed).to(device)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=config.steps + 1
    )
    stream = stream_of(training, config.batch_size, seed, device)
    weights = training.loss_weights
    loss_weights = None if weights is None else torch.from_numpy(weights).float().to(device)
    best, best_rank = None, (-1.0, -1.0)
    with _own_randomness(device, seed):
        for step in range(config.steps):
            loss = _update(
                network, optimiser, stream(step), loss_weights, config, training.focusing
            )
            schedule.step()
            advance()
            if (step + 1) in evaluation_steps(config):
                _check_finite(loss, step)
                candidate = Classifier(network, step + 1, 0.0, config)
                rank = _rank(candidate, images, labels, minority)
                if rank >= best_rank:
                    best, best_rank = (step + 1, copy.deepcopy(network.state_dict())), rank
    assert best is not None, "the last step is always an evaluation"
    network.load_state_dict(best[1])
    return Classifier(network, best[0], best_rank[0], config)


def evaluation_steps(config: ClassifierConfig) -> set[int]:
    """After which steps validation is read; the last one always is."""
    count = min(config.evaluations, config.steps)
    return {round(config.steps * (turn + 1) / count) for turn in range(count)}


def predict(classifier: Classifier, images: FloatArray) -> FloatArray:
    """Class probabilities, float64 (N, K), of images (N, 1, H, W) in [-1, 1]."""
    network, config = classifier.network, classifier.config
    was_training = network.training
    network.eval()
    logits = []
    with torch.inference_mode():
        for begin in range(0, len(images), ROWS_AT_ONCE):
            rows = np.require(images[begin : begin + ROWS_AT_ONCE], np.float32, ["C", "W"])
            logits.append(_forward(network, torch.from_numpy(rows), config).double().cpu())
    network.train(was_training)
    return torch.cat(logits).softmax(dim=1).numpy()


def seconds_per_step(config: ClassifierConfig, shape: tuple[int, int], classes: int) -> float:
    """Measure the training of random slices (H, W) for a moment (about a second)."""
    network = _build(config, classes, seed=0).to(_device(config))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
    batch = {
        "image": torch.zeros(config.batch_size, 1, *shape),
        "label": torch.arange(config.batch_size) % classes,
    }
    with _own_randomness(_device(config), seed=0):
        for _ in range(3):
            _update(network, optimiser, batch, None, config).item()
        begin, steps = time.perf_counter(), 0
        while time.perf_counter() - begin < 0.7:
            _update(network, optimiser, batch, None, config).item()
            steps += 1
    return (time.perf_counter() - begin) / steps


def _build(config: ClassifierConfig, classes: int, seed: int) -> nn.Module:
    network = build_network(config.network, classes, config.width, seed)
    # Measured at 64 pixels on 2 cores: 44 steps a second against 28 in the usual layout.
    return network.to(memory_format=torch.channels_last)


@contextmanager
def _own_randomness(device: torch.device, seed: int) -> Iterator[None]:
    """Dropout and stochastic depth repeat with the seed, and leave the global state alone."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _device(config: ClassifierConfig) -> torch.device:
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(config.device)
    except RuntimeError as error:
        raise ConfigError(
            f"classifier device '{config.device}' is not known", fix="choose auto, cpu or cuda"
        ) from error


def _half_precision(config: ClassifierConfig, device: torch.device) -> bool:
    if config.precision not in ("auto", "bf16-mixed", "32-true"):
        raise ConfigError(
            f"classifier precision '{config.precision}' is not known",
            fix="choose auto, bf16-mixed or 32-true",
        )
    if config.precision != "auto":
        return config.precision == "bf16-mixed"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # torch has no public question for this; without the instructions bfloat16 is slower.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def _forward(network: nn.Module, images: Tensor, config: ClassifierConfig) -> Tensor:
    device = next(network.parameters()).device
    images = images.to(device, memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=_half_precision(config, device)):
        return network(images).float()


def _update(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    loss_weights: Tensor | None,
    config: ClassifierConfig,
    focusing: float = 0.0,
) -> Tensor:
    logits = _forward(network, batch["image"], config)
    loss = cross_entropy(logits, batch["label"].to(logits.device), loss_weights, focusing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.detach()


def _check_finite(loss: Tensor, step: int) -> None:
    if not torch.isfinite(loss):
        raise DivergenceError(
            f"classifier: the loss is not finite at step {step + 1}",
            cause="a learning rate that is too high, or slices with NaN",
            fix="lower the classifier's learning rate",
        )


def _rank(
    classifier: Classifier, images: FloatArray, labels: IntArray, minority: int
) -> tuple[float, float]:
    outcome = Outcome(predict(classifier, images), labels, minority, threshold=0.5)
    scores = [
        METRICS[name].score(outcome, once(outcome))[0] for name in ("auroc", "balanced_accuracy")
    ]
    return float(np.nan_to_num(scores[0])), float(np.nan_to_num(scores[1]))

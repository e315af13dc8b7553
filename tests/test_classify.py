"""The classifier learns, repeats itself, and sees what its arm gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medimg_gan.classify import (
    ClassifierConfig,
    TrainingSet,
    classical_augmentation,
    evaluation_steps,
    fit_classifier,
    predict,
    stream_of,
)
from medimg_gan.errors import ConfigError, DivergenceError
from medimg_gan.metrics import METRICS, Outcome
from medimg_gan.metrics.outcome import once

TINY = ClassifierConfig(width=8, steps=40, batch_size=16, evaluations=2, device="cpu")


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class 1 has a bright square on the left; both are noisy."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3 == 0
    images = 0.3 * generator.normal(size=(count, 1, 16, 16)).astype(np.float32)
    images[labels, :, 4:10, 2:7] += 0.6
    return np.clip(images, -1, 1), labels.astype(np.int64)


def training_set(images, labels, **settings) -> TrainingSet:
    return TrainingSet(images, labels, np.zeros(len(labels), dtype=bool), **settings)


def fit(training: TrainingSet, config: ClassifierConfig = TINY, seed: int = 0):
    return fit_classifier(
        training, *blobs(60, seed=1), classes=2, minority=1, config=config, seed=seed
    )


def test_learns_what_is_trivially_separable():
    classifier = fit(training_set(*blobs(120, seed=0)))
    images, labels = blobs(90, seed=2)
    outcome = Outcome(predict(classifier, images), labels, 1, 0.5)
    assert METRICS["auroc"].score(outcome, once(outcome))[0] > 0.95
    assert outcome.probabilities.sum(axis=1) == pytest.approx(np.ones(90))


def test_same_seed_same_probabilities_and_other_seed_others():
    images, _ = blobs(60, seed=2)
    training = training_set(*blobs(60, seed=0), augmented=True)
    first, again, other = (predict(fit(training, seed=s), images) for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_fitting_leaves_the_global_random_state_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fit(training_set(*blobs(30, seed=0)))
    assert torch.equal(before, torch.get_rng_state())


def test_kept_state_is_the_best_of_those_evaluated():
    """With labels turned round in validation, the kept state is the least trained that ties."""
    images, labels = blobs(60, seed=1)
    config = ClassifierConfig(width=8, steps=40, batch_size=16, evaluations=4, device="cpu")
    kept = fit_classifier(
        training_set(*blobs(120, seed=0)), images, 1 - labels,
        classes=2, minority=1, config=config, seed=0,
    )  # fmt: skip
    outcome = Outcome(predict(kept, images), 1 - labels, 1, 0.5)
    assert kept.validation_auroc == METRICS["auroc"].score(outcome, once(outcome))[0]
    assert kept.step < 40


@pytest.mark.parametrize(("steps", "evaluations"), [(300, 6), (7, 3), (2, 6), (1, 1)])
def test_last_step_is_always_evaluated(steps, evaluations):
    chosen = evaluation_steps(ClassifierConfig(steps=steps, evaluations=evaluations))
    assert max(chosen) == steps
    assert len(chosen) == min(steps, evaluations)
    assert min(chosen) >= 1


def test_every_step_is_announced():
    calls = []
    fit_classifier(
        training_set(*blobs(30, seed=0)), *blobs(30, seed=1),
        classes=2, minority=1, config=TINY, seed=0, advance=lambda: calls.append(1),
    )  # fmt: skip
    assert len(calls) == TINY.steps


def test_epochs_show_every_slice_once_before_any_twice():
    images = np.arange(10, dtype=np.float32)[:, None, None, None] * np.ones(
        (1, 1, 4, 4), np.float32
    )
    stream = stream_of(training_set(images, np.arange(10)), batch_size=4, seed=0)
    seen = torch.cat([stream(position)["label"] for position in range(5)])
    assert sorted(seen[:10].tolist()) == list(range(10)) == sorted(seen[10:].tolist())
    assert torch.equal(stream(2)["image"][:, 0, 0, 0].long(), stream(2)["label"])


def test_stream_is_a_function_of_its_position():
    training = training_set(*blobs(20, seed=0), augmented=True, mirror=True)
    first = stream_of(training, 8, seed=0)
    assert torch.equal(first(5)["image"], stream_of(training, 8, seed=0)(5)["image"])
    assert not torch.equal(first(5)["image"], first(6)["image"])


def test_batches_lie_where_the_classifier_learns():
    training = training_set(*blobs(20, seed=0), augmented=True)
    batch = stream_of(training, 8, 0, "meta")(0)  # stands for a GPU, which tests may lack
    assert {value.device.type for value in batch.values()} == {"meta"}


def test_sampling_follows_the_chances():
    labels = np.array([0] * 9 + [1])
    images = np.zeros((10, 1, 4, 4), np.float32)
    chances = np.where(labels == 1, 0.5, 0.5 / 9)
    stream = stream_of(training_set(images, labels, sampling=chances), 50, seed=0)
    share = torch.cat([stream(p)["label"] for p in range(40)]).double().mean().item()
    assert share == pytest.approx(0.5, abs=0.05)


def test_augmentation_moves_little_and_mirrors_only_where_allowed():
    images = torch.full((400, 1, 32, 32), -1.0)
    images[:, :, 12:20, 22:28] = 1.0
    random = torch.Generator().manual_seed(0)
    column = torch.arange(32.0)

    def centre(moved: torch.Tensor) -> torch.Tensor:
        mass = (moved + 1).sum(dim=(1, 2))
        return (mass * column).sum(dim=1) / mass.sum(dim=1)

    kept = centre(classical_augmentation(images, False, random))
    assert ((kept - 24.5).abs() < 6).all()
    assert kept.std() > 0.5
    flipped = centre(classical_augmentation(images, True, random)) < 15.5
    assert flipped.float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_loss_weights_shift_the_decision_towards_the_weighted_class():
    """On pure noise the mean probability follows the weighted share of the class."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(60, 1, 16, 16)).astype(np.float32) * 0.1
    labels = (np.arange(60) % 6 == 0).astype(np.int64)
    plain = predict(fit(training_set(images, labels)), images)[:, 1].mean()
    weighted = predict(
        fit(training_set(images, labels, loss_weights=np.array([0.05, 1.0]))), images
    )[:, 1].mean()
    assert weighted > plain + 0.1


@pytest.mark.parametrize("wrong", [{"network": "x"}, {"precision": "16"}, {"device": "toaster"}])
def test_unknown_settings_are_refused(wrong):
    settings = {"device": "cpu", **wrong}
    with pytest.raises(ConfigError, match="is not known"):
        fit(training_set(*blobs(30, seed=0)), ClassifierConfig(steps=2, width=8, **settings))


def test_slices_that_are_not_numbers_stop_the_training():
    images, labels = blobs(30, seed=0)
    images[3] = np.nan
    with pytest.raises(DivergenceError, match="not finite"):
        fit(training_set(images, labels))

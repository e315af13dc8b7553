"""What every network that --classifier can name promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medimg_gan.classify import NETWORKS, ClassifierConfig, TrainingSet, fit_classifier, predict


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_one_logit_per_class_and_all_of_it_learns(name):
    network = NETWORKS[name](3, 4).train()
    images = torch.randn(2, 1, 33, 32)
    logits = network(images)
    assert logits.shape == (2, 3)
    logits.square().sum().backward()
    idle = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert not idle
    assert torch.equal(images, images.clamp(-9, 9)), "the batch itself is left alone"


def test_a_training_repeats_with_its_seed_whatever_chance_the_network_uses():
    """EfficientNets have dropout and stochastic depth, which draw from the global state."""
    images = np.random.default_rng(0).uniform(-1, 1, (8, 1, 16, 16)).astype(np.float32)
    labels = np.arange(8) % 2
    training = TrainingSet(images, labels, np.zeros(8, dtype=bool))
    config = ClassifierConfig("efficientnet-b0", steps=2, batch_size=4, evaluations=1, device="cpu")

    def trained(noise: int) -> np.ndarray:
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        found = fit_classifier(
            training, images, labels, classes=2, minority=1, config=config, seed=0
        )
        assert torch.equal(before, torch.get_rng_state())
        return predict(found, images)

    assert (trained(1) == trained(2)).all()

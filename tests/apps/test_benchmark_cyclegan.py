"""The plain CycleGAN that ours is timed against learns the same."""

import copy

import pytest
import torch

from medimg_gan.apps.benchmark_cyclegan import plain_step, step_rates
from medimg_gan.apps.benchmark_training import bare_step
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig
from medimg_gan.recipes import Spec
from medimg_gan.recipes.cyclegan import CycleGan, CycleGanConfig


def test_the_plain_step_ends_at_the_weights_of_ours(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.manual_seed(0)
    ours = CycleGan(CycleGanConfig(width=4), Spec(1, 32)).double().train()
    others = copy.deepcopy(ours)
    images = torch.rand(2, 1, 1, 32, 32, dtype=torch.float64) * 2 - 1
    batch = {"source": images[0], "target": images[1]}
    fabric = make_fabric(EngineConfig(accelerator="cpu", precision="32-true"))
    steps = bare_step(ours, batch, fabric), plain_step(others, batch)
    for _ in range(2):
        for step in steps:
            step()
    for (name, weight), (_, other) in zip(
        ours.named_parameters(), others.named_parameters(), strict=True
    ):
        torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-7, msg=name)


@pytest.mark.parametrize("name", ["cyclegan", "cyclegan-structure", "disguise"])
def test_each_is_timed(name, tmp_path):
    ours, plain = step_rates(name, 0.0, tmp_path, size=32, width=4)
    assert ours > 0
    assert plain > 0
    assert not list(tmp_path.iterdir())

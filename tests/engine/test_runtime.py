import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from medimg_gan.engine import runtime
from medimg_gan.engine.runtime import Interrupts, autocast, make_fabric, seed_step
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.errors import ConfigError, DeviceError


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_is_not_there_is_an_error_with_a_remedy():
    with pytest.raises(DeviceError) as caught:
        make_fabric(EngineConfig(accelerator="gpu"))
    assert "--engine.accelerator cpu" in caught.value.fix
    assert "0 GPUs" in caught.value.observed
    assert make_fabric(EngineConfig(accelerator="auto")).device.type == "cpu"


def test_more_gpus_than_there_are_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceError, match="finds 2"):
        make_fabric(EngineConfig(accelerator="gpu", devices=3))


def test_torchrun_decides_the_number_of_processes(monkeypatch):
    assert runtime._world(1) == (1, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "6")
    assert runtime._world(1) == (2, 3)


def test_the_seed_of_a_step_depends_on_all_three_numbers_and_nothing_else():
    def draw(*numbers):
        torch.rand(3)  # what ran before must not matter
        seed_step(*numbers, torch.device("cpu"))
        return torch.rand(1).item()

    drawn = [draw(*n) for n in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert len(set(drawn)) == 4
    assert draw(0, 0, 0) == drawn[0]
    seed_step(3, 1, 2, torch.device("cpu"))
    assert torch.initial_seed() == 5839918186241800584  # equal on every machine


def test_networks_compute_in_bfloat16_and_answer_in_float32():
    fabric = make_fabric(EngineConfig(accelerator="cpu", precision="bf16-mixed"))
    seen = []
    net = nn.Linear(3, 3)
    net.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    net, _ = fabric.setup(net, torch.optim.Adam(net.parameters()))
    with autocast(fabric):
        assert net(torch.ones(2, 3)).dtype == torch.float32
        with torch.autocast("cpu", enabled=False):  # a penalty keeps its precision
            net(torch.ones(2, 3))
    assert seen == [torch.bfloat16, torch.float32]


def test_a_penalty_can_differentiate_by_the_image_under_bfloat16():
    fabric = make_fabric(EngineConfig(accelerator="cpu", precision="bf16-mixed"))
    net = nn.Linear(3, 1)
    net, _ = fabric.setup(net, torch.optim.Adam(net.parameters()))
    image = torch.ones(2, 3, requires_grad=True)
    with autocast(fabric):
        (gradient,) = torch.autograd.grad(net(image).sum(), image, create_graph=True)
    fabric.backward(gradient.square().sum())
    assert net.weight.grad.abs().sum() > 0


def test_a_forward_without_gradient_does_not_stop_the_next_one_from_learning():
    fabric = make_fabric(EngineConfig(accelerator="cpu", precision="bf16-mixed"))
    net = nn.Linear(3, 1)
    net, _ = fabric.setup(net, torch.optim.Adam(net.parameters()))
    with autocast(fabric):
        with torch.no_grad():
            net(torch.ones(2, 3))
        loss = net(torch.ones(2, 3)).sum()
    fabric.backward(loss)
    assert net.weight.grad is not None


def test_float32_is_float32():
    fabric = make_fabric(EngineConfig(accelerator="cpu", precision="32-true"))
    with autocast(fabric):
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.usefixtures("no_gpu")
def test_precision_follows_the_hardware(monkeypatch):
    for has, precision in [(True, "bf16-mixed"), (False, "32-true")]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {"avx512_bf16": has})
        fabric = make_fabric(EngineConfig(precision="auto"))
        assert fabric.strategy.precision.precision == precision


def test_a_second_ctrl_c_stops_at_once():
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.wanted
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("steps", "minutes", "step", "elapsed", "expected"),
    [
        (100, None, 25, 9e9, 0.25),
        (None, 2.0, 10**9, 30.0, 0.25),
        (100, 2.0, 25, 60.0, 0.5),
        (100, 2.0, 75, 60.0, 0.75),
        (100, None, 101, 0.0, 1.0),
    ],
)
def test_progress_is_the_larger_part_of_the_budget(steps, minutes, step, elapsed, expected):
    assert Plan(steps, minutes, 0, 1).progress(step, elapsed) == pytest.approx(expected)


def test_settings_import_nothing_heavy():
    check = "import sys, medimg_gan.engine.settings; assert not {'torch', 'numpy'} & {*sys.modules}"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", check], check=True, cwd=root)


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="no end"):
        Plan(None, None, 0, 4)
    with pytest.raises(ConfigError, match="steps must be positive"):
        Plan(0, None, 0, 4)
    with pytest.raises(ConfigError, match=r"engine\.devices"):
        EngineConfig(devices=0)
    with pytest.raises(ConfigError, match=r"engine\.clip_norm"):
        EngineConfig(clip_norm=-1.0)

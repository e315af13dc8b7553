"""The engine's step beside the bare cost of its networks, measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric

from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import autocast, make_fabric, seed_step
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.recipes import RECIPES, Recipe, Spec, TranslationRecipe

if TYPE_CHECKING:
    from medimg_gan.types import Batch

CLASSES = ("common", "rare")


def engine_and_bare_rates(
    name: str, size: int, batch_size: int, seconds: float, folder: Path
) -> tuple[float, float]:
    """Steps per second of ``Engine.run_step`` and of the same losses without the engine.

    The two take turns of a few steps and the medians are compared, so that a noisy machine is
    noisy for both.
    """
    fabric = make_fabric(EngineConfig())
    batch = fake_batch(name, size, batch_size)
    plan = Plan(steps=10**9, minutes=None, seed=0, batch_size=batch_size)
    engine = Engine(fabric, build(name, size), lambda _: batch, plan, folder, EngineConfig())
    step_bare = bare_step(build(name, size).to(fabric.device), fabric.to_device(batch), fabric)
    times: dict[str, list[float]] = {"engine": [], "bare": []}
    start = time.perf_counter()
    turns = 0
    while time.perf_counter() - start < 2 * seconds or turns < 3:
        times["engine"].append(_seconds(engine.run_step))
        times["bare"].append(_seconds(step_bare))
        turns += 1
    return 1 / median(times["engine"][1:]), 1 / median(times["bare"][1:])


def build(name: str, size: int) -> Recipe:
    """A recipe with its default settings."""
    torch.manual_seed(0)
    return RECIPES[name](RECIPES[name].Config(), Spec(1, size, CLASSES, mirror=True))


def fake_batch(name: str, size: int, batch_size: int, channels: int = 1) -> Batch:
    """Noise in the shape of a batch: what is measured does not depend on the values."""
    image = torch.rand(batch_size, channels, size, size) * 2 - 1
    if issubclass(RECIPES[name], TranslationRecipe):
        return {"source": image, "target": image.flip(0)}
    label = torch.arange(batch_size) % len(CLASSES)
    return {"image": image, "label": label, "position": torch.rand(batch_size)}


def bare_step(recipe: Recipe, batch: Batch, fabric: Fabric) -> Callable[[], None]:
    """Forward, backward and optimiser of every phase, and nothing else."""
    recipe.train()
    nets = dict(recipe.named_children())
    nets = {name: net for name, net in nets.items() if any(True for _ in net.parameters())}
    optimisers = {
        name: torch.optim.Adam(
            net.parameters(), lr=recipe.adam(name).lr, betas=recipe.adam(name).betas
        )
        for name, net in nets.items()
    }
    done = 0

    def step() -> None:
        nonlocal done
        seed_step(0, 0, done, fabric.device)
        for phase in recipe.phases():
            if done % phase.every:
                continue
            for name, net in nets.items():
                net.requires_grad_(name in phase.trains)
            for _ in range(phase.repeats):
                with autocast(fabric):
                    loss, _ = phase.loss(batch)
                for name in phase.trains:
                    optimisers[name].zero_grad(set_to_none=True)
                loss.backward()
                for name in phase.trains:
                    optimisers[name].step()
        done += 1

    return step


def _seconds(step: Callable[[], None], steps: int = 16) -> float:
    """Seconds per step over ``steps`` (a whole period of the lazy penalties)."""
    start = time.perf_counter()
    for _ in range(steps):
        step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps

"""The step of our translators beside a plain step of CycleGAN, measured in turns.

The plain step is what the reference implementation does: float32, one call for every image and
use, one Adam for the generators and one for the critics. Networks and batch are ours.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.nets.translation import InstanceNorm
from medimg_gan.recipes import RECIPES, Spec
from medimg_gan.recipes.cyclegan import CycleGan
from medimg_gan.recipes.replay import replayed

if TYPE_CHECKING:
    from medimg_gan.types import Batch

SIZE, WIDTH = 128, 64
"""Pixels and filters of the paper's networks for small images (6 residual blocks)."""
FEWEST = 3
"""Turns at the least; the first one warms up and does not count."""


def step_rates(
    name: str, seconds: float, folder: Path, *, size: int = SIZE, width: int = WIDTH
) -> tuple[float, float]:
    """Steps per second of a translator in the engine, and of the plain CycleGAN.

    Processor time of this process where networks run on the CPU, so that other work on the
    machine favours neither; wall clock on a GPU.

    Args:
        name: Of a translation recipe.
        seconds: To measure each for, by the wall clock.
        folder: The engine's; nothing is written to it.
        size: Side of the images.
        width: Filters of the networks.
    """
    fabric = make_fabric(EngineConfig())
    batch = {part: torch.rand(1, 1, size, size) * 2 - 1 for part in ("source", "target")}
    recipe = RECIPES[name](replace(RECIPES[name].Config(), width=width), Spec(1, size))
    plan = Plan(steps=10**9, minutes=None, seed=0, batch_size=1)
    engine = Engine(fabric, recipe, lambda _: batch, plan, folder, EngineConfig())
    networks = CycleGan(CycleGan.Config(width=width), Spec(1, size)).to(fabric.device)
    plain = plain_step(networks, fabric.to_device(batch))
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    start = time.monotonic()
    while len(times["ours"]) < FEWEST or time.monotonic() - start < 2 * seconds:
        times["ours"].append(_seconds(engine.run_step))
        times["plain"].append(_seconds(plain))
    return 1 / median(times["ours"][1:]), 1 / median(times["plain"][1:])


def plain_step(nets: CycleGan, batch: Batch) -> Callable[[], None]:
    """One step of the reference implementation (Zhu 2017) on these networks, changed in place."""
    as_plain(nets)
    source, target = batch["source"], batch["target"]
    generators = [*nets.to_target.parameters(), *nets.to_source.parameters()]
    critics = [*nets.target_critic.parameters(), *nets.source_critic.parameters()]
    of_generators, of_critics = (
        torch.optim.Adam(weights, lr=2e-4, betas=(0.5, 0.999)) for weights in (generators, critics)
    )

    def step() -> None:
        for weight in critics:
            weight.requires_grad_(False)
        fake_target, fake_source = nets.to_target(source), nets.to_source(target)
        loss = _squares(nets.target_critic(fake_target), 1.0)
        loss = loss + _squares(nets.source_critic(fake_source), 1.0)
        loss = loss + 10 * F.l1_loss(nets.to_source(fake_target), source)
        loss = loss + 10 * F.l1_loss(nets.to_target(fake_source), target)
        loss = loss + 5 * F.l1_loss(nets.to_target(target), target)
        loss = loss + 5 * F.l1_loss(nets.to_source(source), source)
        _update(of_generators, loss)
        for weight in critics:
            weight.requires_grad_(True)
        old_target = replayed(fake_target.detach(), nets.target_pool, nets.target_count)
        old_source = replayed(fake_source.detach(), nets.source_pool, nets.source_count)
        loss = _squares(nets.target_critic(target), 1.0)
        loss = loss + _squares(nets.target_critic(old_target), 0.0)
        loss = loss + _squares(nets.source_critic(source), 1.0)
        loss = loss + _squares(nets.source_critic(old_source), 0.0)
        _update(of_critics, loss / 2)

    return step


def as_plain(nets: nn.Module) -> None:
    """Give networks torch's own instance norm, and weights in planes, as others' have."""
    nets.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for part, (name, child) in itertools.chain.from_iterable(
        ((part, named) for named in list(part.named_children())) for part in list(nets.modules())
    ):
        if isinstance(child, InstanceNorm):
            setattr(part, name, _TorchsInstanceNorm())


class _TorchsInstanceNorm(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return F.instance_norm(features)


def _squares(scores: Tensor, wanted: float) -> Tensor:
    return (scores - wanted).square().mean()


def _update(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def _seconds(step: Callable[[], None]) -> float:
    """What one step takes."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    step()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return clock() - start

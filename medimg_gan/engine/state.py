"""All that a resumed training needs: gathered from an engine, and put back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medimg_gan import config
from medimg_gan.engine.checkpoint import State, compare_settings, fill

if TYPE_CHECKING:
    from medimg_gan.engine.loop import Engine
    from medimg_gan.engine.settings import Plan
    from medimg_gan.recipes.base import Recipe


def identity(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """What must be equal for a checkpoint to fit, as plain values; the budget may grow."""
    return {
        "recipe": type(recipe).__name__,
        **config.as_dict(recipe.spec),
        **{f"recipe.{key}": value for key, value in config.as_dict(recipe.config).items()},
        "seed": plan.seed,
        "batch_size": plan.batch_size,
    }


def collect(engine: Engine) -> State:
    """The state of a training between two steps; every process takes part.

    Random state is not in it: it follows from seed, process and step. Nor is the stream: it
    follows from the position.
    """
    networks = engine.networks
    return {
        "identity": identity(engine.recipe, engine.plan),
        "step": engine.step,
        "position": engine.batches.position,
        "images_seen": engine.images_seen,
        "elapsed": engine.clock.elapsed,
        "nets": {name: net.module.state_dict() for name, net in networks.items()},
        "ema": {name: net.state_dict() for name, net in _averaged(engine).items()},
        "optimizers": {name: net.optimizer.state_dict() for name, net in networks.items()},
        "buffers": {
            name: _of_every_process(engine, value)
            for name, value in sorted(engine.recipe.state_buffers().items())
        },
    }


def restore(engine: Engine, path: Path, state: State) -> None:
    """Put a state into a fresh engine of the same recipe and settings.

    Args:
        engine: Changed in place.
        path: Where the state was read, for messages.
        state: From :func:`collect`.

    Raises:
        CheckpointError: If it belongs to another training.
    """
    # What an older version did not tell of the data, its recipes made nothing of.
    found = {**config.as_dict(engine.recipe.spec), **state["identity"]}
    compare_settings(path, found, identity(engine.recipe, engine.plan))
    fill(path, {name: net.module for name, net in engine.networks.items()}, state["nets"])
    fill(path, _averaged(engine), state["ema"])
    for name, net in engine.networks.items():
        net.optimizer.load_state_dict(state["optimizers"][name])
    for name, values in state["buffers"].items():
        mine = values[engine.fabric.global_rank % len(values)]
        setattr(engine.recipe, name, mine.to(engine.fabric.device, copy=True))
    engine.step, engine.images_seen = state["step"], state["images_seen"]
    engine.batches.start_at(state["position"])
    engine.clock.start(engine.step, state["elapsed"])


def _averaged(engine: Engine) -> dict[str, nn.Module]:
    return {name: engine.ema.recipe.get_submodule(name) for name in engine.recipe.averaged}


def _of_every_process(engine: Engine, buffer: Tensor) -> Tensor:
    """A recipe's own buffer (a replay buffer, say) of every process, (processes, *shape)."""
    if engine.fabric.world_size == 1:
        return buffer[None]
    places = [torch.empty_like(buffer) for _ in range(engine.fabric.world_size)]
    torch.distributed.all_gather(places, buffer.contiguous())
    return torch.stack(places)

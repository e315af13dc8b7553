"""What is seen of a training on schedule: averaged figures, speed, critic scores, pictures."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from medimg_gan.engine.ema import Ema
from medimg_gan.engine.networks import Network
from medimg_gan.errors import DivergenceError

if TYPE_CHECKING:
    from medimg_gan.recipes.base import Recipe
    from medimg_gan.types import Batch, Logs


class Averages:
    """Means of scalars between two moments, kept on the device until someone asks."""

    def __init__(self) -> None:
        self._values: defaultdict[str, list[Tensor]] = defaultdict(list)

    def note(self, logs: Logs) -> None:
        """Add scalars (detached, on the device); nothing waits for the device here."""
        for name, value in logs.items():
            self._values[name].append(value)

    def take(self) -> dict[str, Tensor]:
        """The mean of each name since the last call, float32, sorted by name; then forget them."""
        means = {
            name: torch.stack([value.float() for value in self._values[name]]).mean()
            for name in sorted(self._values)
        }
        self._values.clear()
        return means


class Speed:
    """Steps per second between two moments, without what is not training."""

    def __init__(self) -> None:
        self.start(0)

    def start(self, step: int) -> None:
        """Begin to count at a step."""
        self._since, self._step, self._left_out = time.monotonic(), step, 0.0

    def leave_out(self, seconds: float) -> None:
        """Do not count time that went into pictures or checkpoints."""
        self._left_out += seconds

    def take(self, step: int) -> float:
        """Steps per second since the last call."""
        seconds = time.monotonic() - self._since - self._left_out
        rate = (step - self._step) / max(seconds, 1e-9)
        self.start(step)
        return rate


def mean_over_processes(fabric: Fabric, values: Mapping[str, Tensor]) -> dict[str, float]:
    """Average scalars over processes and copy them to the host.

    They travel as one vector, so that the device is waited for once. A value that is not finite
    in one process is not finite for any, so all of them find a divergence together.

    Args:
        fabric: Launched.
        values: Scalars, the same names in the same order in every process.
    """
    together = torch.stack(list(values.values()))
    if fabric.world_size > 1:
        together = fabric.all_reduce(together, reduce_op="mean")
    return dict(zip(values, together.tolist(), strict=True))  # type: ignore[union-attr]


def agree_on_buffers(fabric: Fabric, recipe: Recipe) -> None:
    """Average over processes the buffers that a recipe steers itself by, in place."""
    if fabric.world_size > 1 and recipe.agreed:
        buffers = [getattr(recipe, name) for name in recipe.agreed]
        together = torch.cat([buffer.flatten() for buffer in buffers])
        mean = fabric.all_reduce(together, reduce_op="mean")
        parts = mean.split([buffer.numel() for buffer in buffers])  # type: ignore[union-attr]
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))


def norm_of_weights(networks: Mapping[str, Network], averaged: nn.Module) -> Tensor:
    """Norm of all weights, trained and averaged: not finite if any one of them is not."""
    trained = [weight for net in networks.values() for weight in net.parameters]
    return torch.nn.utils.get_total_norm([*trained, *averaged.parameters()]).detach()


def learning_rates(networks: Mapping[str, Network]) -> dict[str, float]:
    """The rate of each network in the step just done."""
    return {
        f"learning_rate/{name}": float(net.optimizer.param_groups[0]["lr"])
        for name, net in networks.items()
    }


@torch.no_grad()
def critic_scores(
    recipe: Recipe, training: Batch | None, held_out: Batch | None
) -> dict[str, float]:
    """The critics' view of training and of held-out images, each beside fakes of the average.

    A critic that ranks training images far above held-out ones knows them by heart.

    Args:
        recipe: ``Ema.recipe``, refreshed.
        training: Images that training sees; or None.
        held_out: Images that it never sees; or None.

    Returns:
        ``scores/critic_real`` and the like, with ``_held_out`` appended for those images.
    """
    found = {}
    for suffix, batch in (("", training), ("_held_out", held_out)):
        if batch is not None:
            for key, value in recipe.scores(batch).items():
                found[f"scores/{key.replace('/', '_')}{suffix}"] = value.float()
    if not found:
        return {}
    return dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))


def refreshed(ema: Ema, recipe: Recipe, networks: Mapping[str, Network]) -> Recipe:
    """The averaged recipe, its critics up to date with the trained ones."""
    ema.refresh(recipe, {name: net.module for name, net in networks.items()})
    return ema.recipe


def diverged(
    folder: Path, step: int, not_finite: Sequence[str], last: Path | None
) -> DivergenceError:
    """The error of a training that went to infinity.

    Args:
        folder: The run's.
        step: By which it was found.
        not_finite: What is not.
        last: The newest checkpoint.
    """
    return DivergenceError(
        f"{folder}: training diverged by step {step}",
        observed=f"not finite: {', '.join(not_finite)}; "
        f"last good checkpoint: {last or 'none was written yet'}",
        cause="a learning rate that is too high, or images outside [-1, 1]",
        fix="pass --engine.precision 32-true or --engine.clip-norm 1 to continue from it, "
        "or lower the learning rate and begin again with --restart True",
    )

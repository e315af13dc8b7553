"""A recipe's networks as the loop sees them: wrapped, each with its Adam, frozen or training."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

if TYPE_CHECKING:
    from medimg_gan.recipes.base import Recipe


@dataclass(frozen=True)
class Network:
    """One network in training.

    Attributes:
        name: Its attribute in the recipe.
        module: The network itself, without Fabric's wrapper.
        parameters: Those that learn.
        optimizer: Its Adam.
        lr: Learning rate before the schedule's factor.
    """

    name: str
    module: nn.Module
    parameters: tuple[nn.Parameter, ...]
    optimizer: torch.optim.Optimizer
    lr: float

    def scale_learning_rate(self, factor: float) -> None:
        """Set the learning rate to ``factor`` times its base."""
        for group in self.optimizer.param_groups:
            group["lr"] = factor * self.lr

    def gradient_norm(self) -> Tensor:
        """Euclidean norm of the gradient over all parameters, left on the device."""
        gradients = [weight.grad for weight in self.parameters if weight.grad is not None]
        return torch.nn.utils.get_total_norm(gradients)

    def clip(self, largest: float, norm: Tensor) -> None:
        """Scale the gradient, whose norm is ``norm``, down to the norm ``largest``."""
        torch.nn.utils.clip_grads_with_norm_(self.parameters, largest, norm)


def set_up(fabric: Fabric, recipe: Recipe) -> dict[str, Network]:
    """Move a recipe to its device and put a wrapped network, with its Adam, in place of each child.

    A child without a weight that learns (an augmentation, a frozen feature extractor) is moved,
    and otherwise left alone.

    Args:
        fabric: Launched.
        recipe: Changed in place.

    Returns:
        The networks by name, in the recipe's order.
    """
    fabric.to_device(recipe)
    networks = {}
    for name, module in list(recipe.named_children()):
        learning = tuple(weight for weight in module.parameters() if weight.requires_grad)
        if not learning:
            continue
        adam = recipe.adam(name)
        # One fused kernel per step in place of a dozen; no fused kernel for other accelerators.
        fused = fabric.device.type in ("cpu", "cuda")
        optimizer = torch.optim.Adam(learning, lr=adam.lr, betas=adam.betas, fused=fused)
        wrapped, wrapped_optimizer = fabric.setup(module, optimizer)
        setattr(recipe, name, wrapped)
        networks[name] = Network(name, module, learning, wrapped_optimizer, adam.lr)
    return networks


def minimise(
    fabric: Fabric, networks: Collection[Network], loss: Tensor, clip_norm: float
) -> dict[str, Tensor]:
    """zero_grad, backward, clip, step; the gradients' norms before they were clipped.

    Args:
        fabric: Launched.
        networks: What learns.
        loss: A scalar.
        clip_norm: Largest norm of a network's gradient; 0 leaves gradients as they are.
    """
    for net in networks:
        net.optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    norms = {}
    for net in networks:
        norms[f"gradient_norm/{net.name}"] = norm = net.gradient_norm()
        if clip_norm:
            net.clip(clip_norm, norm)
        net.optimizer.step()
    return norms


@contextmanager
def only_training(networks: Mapping[str, Network], trains: Collection[str]) -> Iterator[None]:
    """Freeze every network that is not named in ``trains``, for the length of the block."""
    frozen = [net for name, net in networks.items() if name not in trains]
    try:
        _let_learn(frozen, False)
        yield
    finally:
        _let_learn(frozen, True)


def _let_learn(networks: Collection[Network], learn: bool) -> None:
    for net in networks:
        for weight in net.parameters:
            weight.requires_grad_(learn)

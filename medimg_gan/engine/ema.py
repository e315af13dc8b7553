"""The moving average of the weights: what users sample from."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

if TYPE_CHECKING:
    from medimg_gan.recipes.base import Recipe

RAMP_UP = 0.05
"""The half-life is never longer than this part of the images seen (StyleGAN2-ADA)."""


def decay(batch_size: int, half_life: float, images_seen: float) -> float:
    """Weight of the old average in one update (StyleGAN2-ADA, training_loop.py).

    ``0.5 ** (batch_size / min(half_life, 0.05 images_seen))``; 0 before the first image.

    Args:
        batch_size: Images of one step, over all processes.
        half_life: In images.
        images_seen: Before this step.
    """
    return 0.5 ** (batch_size / max(min(half_life, RAMP_UP * images_seen), 1e-8))


class Ema:
    """A recipe in eval mode whose ``averaged`` networks hold the moving average.

    Made before the networks are wrapped for training, so that one process can use it without the
    others. Its other networks and buffers are copies of the trained ones as of :meth:`refresh`.

    Args:
        recipe: The recipe that will be trained, not yet wrapped.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = copy.deepcopy(recipe).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, nets: Mapping[str, nn.Module], decay: float) -> None:
        """Move the average towards the trained weights; buffers (batch-norm statistics) follow.

        Args:
            nets: The trained networks.
            decay: Weight of the old average, from :func:`decay`; 0 copies.
        """
        for name in self.recipe.averaged:
            average = self.recipe.get_submodule(name)
            old, new = tuple(average.parameters()), tuple(nets[name].parameters())
            get_ema_multi_avg_fn(decay)(old, new, None)
            _copy_buffers(nets[name], average)

    @torch.no_grad()
    def refresh(self, trained: Recipe, nets: Mapping[str, nn.Module]) -> None:
        """Bring the networks that are not averaged, and the recipe's buffers, up to date.

        Args:
            trained: The recipe in training.
            nets: Its trained networks.
        """
        for name in nets.keys() - set(self.recipe.averaged):
            self.recipe.get_submodule(name).load_state_dict(nets[name].state_dict())
        for name, value in trained.state_buffers().items():
            setattr(self.recipe, name, value.clone())


def _copy_buffers(source: nn.Module, target: nn.Module) -> None:
    for new, old in zip(source.buffers(), target.buffers(), strict=True):
        old.copy_(new)

"""What the critic of a finished training says of single slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from medimg_gan.data.number import Number, draw_numbers, standardised
from medimg_gan.engine.checkpoint import Checkpoints, fill, read_tensors
from medimg_gan.engine.loop import CHECKPOINTS
from medimg_gan.errors import RunError
from medimg_gan.recipes.base import device_of
from medimg_gan.recipes.game import GameRecipe
from medimg_gan.runs import MANIFEST, read_json
from medimg_gan.synthesis.load import build_recipe

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

ROWS_AT_ONCE = 64
POSES = 8
"""How many values of the numbers (slice position, say) a slice is tried at."""
WITHOUT = "leave the filter 'critic' away, or train with --recipe cgan"


@dataclass(frozen=True)
class Critic:
    """The critic as the training left it; made by :func:`load_critic`.

    Attributes:
        recipe: Holds the critic, in evaluation mode.
        numbers: What the training was conditioned on besides the class.
    """

    recipe: GameRecipe
    numbers: tuple[Number, ...] = ()

    @torch.inference_mode()
    def __call__(self, images: FloatArray, label: int) -> FloatArray:
        """Scores float64 (N,) of slices (N, C, H, W) in [-1, 1] as ones of a class.

        Larger means more real; the scale is the training's own. Where the GAN knew numbers of its
        slices, each slice is judged at the one of some usual values that suits it best, so that
        real and synthetic slices are asked alike.
        """
        device = device_of(self.recipe)
        poses = POSES if self.numbers else 1
        values = draw_numbers(self.numbers, np.full(poses, label), seed=0)
        told = torch.from_numpy(standardised(self.numbers, values)).to(device)
        scores = []
        for begin in range(0, len(images), ROWS_AT_ONCE):
            rows = np.require(images[begin : begin + ROWS_AT_ONCE], np.float32, ["C", "W"])
            batch = {
                "image": torch.from_numpy(rows).to(device),
                "label": torch.full((len(rows),), label, device=device),
            }
            each = [
                self.recipe.scores_of({**batch, "numbers": one.expand(len(rows), -1)})
                for one in told
            ]
            scores.append(torch.stack(each).amax(dim=0).double().cpu())
        return torch.cat(scores).numpy() if scores else np.zeros(0)


def load_critic(folder: str | Path, device: str = "cpu") -> Critic:
    """The critic of a run, from its newest checkpoint.

    Raises:
        RunError: If the recipe has no critic that judges one slice of a class, or no checkpoint is
            left.
        CheckpointError: If the checkpoint is damaged.
    """
    folder = Path(folder)
    facts = read_json(folder / MANIFEST)
    recipe = build_recipe(facts)
    if not isinstance(recipe, GameRecipe):
        raise RunError(
            f"{folder}: {facts['recipe']} has no critic that judges a slice for its class",
            fix=WITHOUT,
        )
    if recipe.config.pack > 1 or recipe.config.minibatch != "none":
        raise RunError(
            f"{folder}: its critic judges several slices together, a single one has no score",
            observed=f"pack={recipe.config.pack}, minibatch={recipe.config.minibatch}",
            fix=WITHOUT,
        )
    path = Checkpoints(folder / CHECKPOINTS, keep=1).last
    if path is None:
        raise RunError(
            f"{folder}: no checkpoint is left, and the weights to sample from hold no critic",
            fix=WITHOUT,
        )
    states = read_tensors(path)["nets"]
    fill(path, {"critic": recipe.critic}, {"critic": states["critic"]})
    recipe = recipe.to(device).eval().requires_grad_(False)
    return Critic(recipe, tuple(Number.from_plain(one) for one in facts.get("numbers", [])))

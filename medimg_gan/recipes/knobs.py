"""Knobs of a trained generator: truncation, and directions found in closed form.

Both act on every noise recipe in the same way, through two steps that each generator has:
``style`` (what noise and condition have become before the first block) and ``from_style``.

====================================  ========================  ====================
generator                             style                     directions move
====================================  ========================  ====================
``cgan`` ``stylegan3`` ``vae``        w, of the mapping         w
``vae-gan``
``fastgan`` ``progressive``           features of 4x4 pixels    the noise
``dcgan`` ``wgan-gp``
====================================  ========================  ====================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from medimg_gan.recipes.base import NoiseRecipe
    from medimg_gan.types import Batch

CENTRE_SAMPLES = 1024
"""Noises whose mean style is the centre that truncation pulls towards."""
CENTRE_PAIRS = 32
"""Noises for it, each with its opposite, where every image has numbers and so a centre of its own;
what is linear in the noise cancels out."""


@dataclass(frozen=True)
class Knobs:
    """How samples are to differ from plain ones."""

    truncation: float = 1.0
    """psi: 1 leaves samples alone; below, they are more typical of their class and less diverse;
    0 gives the mean style's image."""
    moves: tuple[tuple[int, float], ...] = ()
    """(direction, amount) pairs: directions count from 1, the strongest; amounts are in standard
    deviations of what is moved."""


AT_REST = Knobs()
"""Plain samples."""


@dataclass(frozen=True)
class Directions:
    """Where a generator changes most: eigenvectors of A^T A (SeFa, Shen & Zhou 2021, eq. 3 to 7).

    A maps what is moved (noise or style) to the first thing that the generator computes of it.

    Attributes:
        of: "noise" or "style".
        vectors: (K, length), of length 1, strongest first.
        strengths: (K,) |A v|.
        unit: Standard deviation of what is moved: an amount of 1 moves so far.
    """

    of: str
    vectors: Tensor
    strengths: Tensor
    unit: float


@torch.no_grad()
def directions_of(recipe: NoiseRecipe) -> Directions:
    """All directions of a generator, strongest first; equal weights give equal signs."""
    readers = recipe.readers()
    vectors, strengths = factorised(readers.weights)
    vectors = vectors.to(readers.weights)
    unit = 1.0
    if readers.of == "style":
        count = max(1, len(recipe.spec.classes))
        label = torch.arange(CENTRE_SAMPLES, device=vectors.device) % count
        numbers = torch.zeros(CENTRE_SAMPLES, len(recipe.spec.numbers), device=vectors.device)
        noise = _fixed_noise(recipe, vectors.device)
        styles = recipe.style_like({"label": label, "numbers": numbers}, noise)
        unit = float(styles.float().var(dim=0).mean().sqrt())
    return Directions(readers.of, vectors, strengths, unit)


def factorised(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors of A^T A and the square roots of their values, largest first.

    Args:
        weights: A, (M, d).

    Returns:
        (d, d) rows of length 1 whose largest component is positive, and (d,); float64.
    """
    weights = weights.detach().double().cpu()
    values, columns = torch.linalg.eigh(weights.T @ weights)
    vectors = columns.T.flip(0)
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return vectors * largest.sign(), values.flip(0).clamp(min=0).sqrt()


class TurnedKnobs:
    """A trained generator with its knobs turned.

    What they need is worked out once, for any number of batches: weights must not change meanwhile.

    Args:
        recipe: Trained.
        knobs: Truncation (Karras 2019, appendix B), then moves.

    Raises:
        ConfigError: If there is no direction of a number.
    """

    def __init__(self, recipe: NoiseRecipe, knobs: Knobs) -> None:
        self.recipe, self.knobs = recipe, knobs
        self._of, self._shift = _shift(recipe, knobs)
        self._centres: dict[tuple[float, ...], Tensor] = {}

    def sample(self, told: Batch, noise: Tensor) -> Tensor:
        """Images (N, C, H, W) of ``noise``, under the conditions told.

        With the knobs at rest these are exactly ``recipe.sample_like``'s.

        Args:
            told: ``label`` (N,) and ``numbers`` (N, K), as far as the recipe knows them.
            noise: (N, latent).
        """
        if self.knobs == AT_REST:
            return self.recipe.sample_like(told, noise)
        style = self.recipe.style_like(told, noise + self._shift if self._of == "noise" else noise)
        if self.knobs.truncation != 1:
            style = torch.lerp(self._centre(told, noise), style, self.knobs.truncation)
        return self.recipe.from_style(style + self._shift if self._of == "style" else style)

    def _centre(self, told: Batch, noise: Tensor) -> Tensor:
        """The mean style (N, ...) of each condition, over noise that is always the same."""
        known = {name: told[name] for name in ("label", "numbers") if name in told}
        if not self.recipe.conditional:
            known = {}
        rows: list[tuple[float, ...]] = [()] * len(noise)
        if known:
            columns = [values.float().view(len(noise), -1) for values in known.values()]
            rows = [tuple(row) for row in torch.cat(columns, dim=1).tolist()]
        for place, row in enumerate(rows):
            if row not in self._centres:
                one = {name: values[place : place + 1] for name, values in known.items()}
                self._centres[row] = self._centre_of(one, noise.device)
        return torch.stack([self._centres[row] for row in rows])

    def _centre_of(self, told: Batch, device: torch.device) -> Tensor:
        """The mean style of one condition, or of none; ``told`` is of one image."""
        many = _fixed_noise(self.recipe, device)
        if self.recipe.conditional and self.recipe.spec.numbers:
            many = torch.cat([many[:CENTRE_PAIRS], -many[:CENTRE_PAIRS]])
        alike = {name: values.expand(len(many), *values.shape[1:]) for name, values in told.items()}
        return self.recipe.style_like(alike, many).mean(dim=0)


def _shift(recipe: NoiseRecipe, knobs: Knobs) -> tuple[str, Tensor]:
    """What is moved, and by how much (length,).

    Raises:
        ConfigError: If there is no direction of that number.
    """
    if not knobs.moves:
        return "", torch.zeros(())
    directions = directions_of(recipe)
    shift = torch.zeros_like(directions.vectors[0])
    for number, amount in knobs.moves:
        if not 1 <= number <= len(directions.vectors):
            raise ConfigError(
                f"direction {number}: there is no such direction",
                observed=f"this generator has {len(directions.vectors)}, counted from 1",
            )
        shift += amount * directions.unit * directions.vectors[number - 1]
    return directions.of, shift


def _fixed_noise(recipe: NoiseRecipe, device: torch.device) -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn(CENTRE_SAMPLES, recipe.latent, generator=random).to(device)

"""Which noise makes an image most like a given one? The answer, and whether it is a likeness.

Noise is optimised from several starts (Abdal 2019 does so with styles; noise is what samples are
drawn from, so nothing is found here that the generator would not make by itself), and with it the
numbers that images are conditioned on, within the range that training saw. Whether a
likeness is one is judged beside images that the generator certainly reaches: its own samples,
searched for in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from medimg_gan.latent.conditions import MIDDLE, rendered, told
from medimg_gan.metrics.diversity import distances_among
from medimg_gan.recipes.base import device_of

if TYPE_CHECKING:
    from medimg_gan.synthesis import Generator
    from medimg_gan.types import FloatArray

SCALES = 4
"""Halvings at which images are compared, the full size included."""
CANDIDATES = 256
"""Random noises of which the best are the starts."""
OWN = 4
"""Samples of the generator's own that are searched for beside the image."""
RATE = 0.1
"""Adam's step, in standard deviations of noise; falls to 0."""
PEERS = 64
"""Samples among which the typical distance is taken."""


@dataclass(frozen=True)
class Projection:
    """What was found.

    Attributes:
        label: Class of the likeness; None where there are none.
        noise: (latent,) float32; ``rendered`` makes the same image of it again.
        image: (C, size, size) in [-1, 1].
        distance: Root-mean-square pixel distance of the target.
        own: The largest such distance of the generator's own samples, searched for alike.
        typical: The median distance of two samples of the class.
        numbers: What the likeness is conditioned on besides its class, in the columns' own units.
    """

    label: str | None
    noise: FloatArray
    image: FloatArray
    distance: float
    own: float
    typical: float
    numbers: dict[str, float] = field(default_factory=dict)

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB, of the range [-1, 1]."""
        return float(20 * np.log10(2 / max(self.distance, 1e-12)))

    @property
    def share(self) -> float:
        """0: found as well as its own samples; 1: no more alike than any two samples are."""
        gap = max(self.typical - self.own, 1e-12)
        return float(np.clip((self.distance - self.own) / gap, 0, None))


def project(
    generator: Generator,
    target: FloatArray,
    labels: tuple[str | None, ...],
    *,
    steps: int,
    starts: int,
    seed: int = 0,
    at: Mapping[str, float] = MIDDLE,
    advance: Callable[[], None] = lambda: None,
) -> Projection:
    """Search for the image that is most like ``target``.

    Args:
        generator: Trained.
        target: (C, size, size) in [-1, 1].
        labels: Classes to search in; the best is kept.
        steps: Of the optimiser.
        starts: Noises to start from, in each class.
        seed: Of the noises; equal seeds give equal results.
        at: Numbers that are known, as for :func:`told`; the others are searched for.
        advance: Called after every step: 2 * ``steps`` times.

    Raises:
        LabelError: If a class is unknown.
    """
    search = _Search(generator, steps, starts, seed, at, advance)
    targets = torch.from_numpy(np.repeat(target[None], len(labels), axis=0))
    noise, numbers, images = search.run(targets, labels)
    distances = _distance(images, targets)
    best = int(distances.argmin())
    label = labels[best]
    peers = generator.draw_noise(PEERS + OWN, seed + 1)
    known = told(generator, [label] * len(peers), at)
    known["numbers"] = numbers[best].to(known["numbers"]).repeat(len(peers), 1)
    samples = rendered(generator, peers, known)
    own = torch.from_numpy(samples[PEERS:])
    _, _, again = search.run(own, (label,) * OWN)
    return Projection(
        label=label,
        noise=noise[best].numpy(),
        image=images[best].numpy(),
        distance=float(distances[best]),
        own=float(_distance(again, own).max()),
        typical=float(np.median(distances_among(samples[:PEERS]))),
        numbers={
            one.name: float(one.restored(value))
            for one, value in zip(generator.numbers, numbers[best].numpy(), strict=True)
        },
    )


@dataclass(frozen=True)
class _Search:
    """One way of searching, for the target and for what it is judged beside."""

    generator: Generator
    steps: int
    starts: int
    seed: int
    at: Mapping[str, float]
    advance: Callable[[], None]

    def run(self, targets: Tensor, labels: tuple[str | None, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """The best noise (M, latent) and numbers (M, K) for targets (M, C, H, W), and its images.

        Each target is of its class. All targets and starts are optimised as one batch.
        """
        recipe = self.generator.recipe
        begun = [self._begin(*pair) for pair in zip(targets, labels, strict=True)]
        noise = torch.cat([one for one, _ in begun]).to(device_of(recipe))
        numbers = torch.cat([one for _, one in begun]).to(device_of(recipe))
        wanted = targets.repeat_interleave(self.starts, dim=0).to(noise)
        known = told(self.generator, [one for one in labels for _ in range(self.starts)], self.at)
        known["numbers"] = numbers
        free = self._free.to(noise)
        searched = [noise, *([numbers] if free.any() else [])]
        for one in searched:
            one.requires_grad_(True)
        adam = torch.optim.Adam(searched, RATE, (0.9, 0.99))
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(adam, self.steps)
        length = recipe.latent**0.5
        for _ in range(self.steps):
            loss = unlikeness(recipe.sample_like(known, noise), wanted)
            adam.zero_grad()
            loss.sum().backward()
            if numbers.grad is not None:
                numbers.grad *= free
            adam.step()
            decay.step()
            with torch.no_grad():  # back to the sphere that normal noise lies near
                noise.mul_(length / noise.norm(dim=1, keepdim=True))
                numbers.clamp_(-1, 1)  # where training slices are
            self.advance()
        noise, numbers = noise.detach(), numbers.detach()
        found = torch.from_numpy(rendered(self.generator, noise, known | {"numbers": numbers}))
        best = unlikeness(found, wanted.cpu()).view(-1, self.starts).argmin(dim=1)
        rows = torch.arange(len(targets)) * self.starts + best
        return noise.cpu()[rows], numbers.cpu()[rows], found[rows]

    @property
    def _free(self) -> Tensor:
        """(K,) whether each number is searched for."""
        return torch.tensor(
            [one.name not in self.at for one in self.generator.numbers], dtype=torch.bool
        )

    def _begin(self, target: Tensor, label: str | None) -> tuple[Tensor, Tensor]:
        """The ``starts`` best of many noises, and of numbers drawn with them."""
        count = max(CANDIDATES, self.starts)
        noise = self.generator.draw_noise(count, self.seed)
        known = told(self.generator, [label] * count, self.at)
        random = torch.Generator().manual_seed(self.seed)
        drawn = 2 * torch.rand(known["numbers"].shape, generator=random) - 1
        numbers = torch.where(self._free, drawn, known["numbers"].cpu())
        known["numbers"] = numbers.to(known["numbers"])
        images = rendered(self.generator, noise, known)
        found = unlikeness(torch.from_numpy(images), target.expand(count, -1, -1, -1))
        best = found.argsort()[: self.starts]
        return noise[best], numbers[best]


def unlikeness(images: Tensor, wanted: Tensor) -> Tensor:
    """Mean square error, the mean over several scales: anatomy first, then detail; (N,).

    Args:
        images: (N, C, H, W) in [-1, 1].
        wanted: Same shape.
    """
    difference = images - wanted
    errors = [
        F.avg_pool2d(difference, 2**scale).square().flatten(1).mean(dim=1) * 2**scale
        for scale in range(SCALES)
    ]
    return torch.stack(errors).mean(dim=0)


def _distance(images: Tensor, wanted: Tensor) -> Tensor:
    """Root mean square over the pixels of each image."""
    return (images - wanted).square().flatten(1).mean(dim=1).sqrt()

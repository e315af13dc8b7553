"""One look at a generator: its images beside held-out and training slices, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from medimg_gan.metrics.diversity import distances_to_peers
from medimg_gan.metrics.images import LIVE, PIXELS, ImageSet, Score, compare
from medimg_gan.metrics.neighbours import COPY_QUANTILE, closest_real, distances_to_earlier, nearest
from medimg_gan.recipes.base import NoiseRecipe, device_of
from medimg_gan.slices import middle_slice, spread_over

if TYPE_CHECKING:
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.types import Batch, FloatArray, IntArray

CHUNK = 32
"""Images at once through the generator and the critic."""
SEARCHED_SIDE = 64
"""Neighbours are sought among slices of at most this side, where copies show as well."""
SHOWN = 8
"""Columns of the strip of neighbours."""
TWINS = 4
"""Samples of each held-out slice's condition among which duplicates are sought."""
FEWEST_OF_CLASS = 4
"""Images below which a class has no diversity of its own."""


@dataclass(frozen=True)
class Reference:
    """The real slices that samples are held against.

    Attributes:
        held_out: Slices that training never sees (or, if not ``unseen``, that it does).
        patients: (N,) whose they are, as numbers that mean nothing elsewhere.
        training: As many training slices, of the same classes.
        searched: (T, 1, h, w) training slices among which neighbours are sought, :func:`shrunk`.
        extractors: By name; the first one's kernel distance chooses the best weights.
        unseen: Whether ``held_out`` are other patients' than the training's.
    """

    held_out: Batch
    patients: IntArray
    training: Batch
    searched: FloatArray
    extractors: Mapping[str, Extractor]
    unseen: bool = True


class Looker:
    """Figures of a generator against one reference, always from the same noise.

    Args:
        reference: Real slices.
        classes: Names of the classes that the generator can be asked for.
        numbers: Names of the numbers that it can be asked for.
        seed: Of the noise.
    """

    def __init__(
        self, reference: Reference, classes: tuple[str, ...], numbers: tuple[str, ...], seed: int
    ) -> None:
        self.reference, self.classes, self.seed = reference, classes, seed
        told, none = reference.held_out, torch.zeros(len(reference.held_out["image"]), 0)
        self.labels: IntArray = (told["label"] if classes else none.sum(dim=1)).long().numpy()
        self.numbers: FloatArray = (told["numbers"] if numbers else none).numpy()

    def figures(self, recipe: NoiseRecipe) -> dict[str, float]:
        """How samples compare with held-out slices, how varied they are, how near to training.

        Args:
            recipe: ``Ema.recipe``, refreshed.

        Returns:
            ``live/...``, and ``floor/...``: the same of training slices in place of samples.
        """
        made, again = self._sampled(recipe)
        scores = compare(self._real, self._described(made), LIVE)
        found = _named(scores, "live") | _named(self._floor, "floor")
        alike, usual = (found.get(f"{kind}/similarity_{PIXELS}") for kind in ("live", "floor"))
        if alike is not None and usual is not None and usual < 1:
            found["live/variety"] = (1 - alike) / (1 - usual)
        found |= self._diversity(made, again)
        found |= self._duplicates(recipe, np.concatenate([made, again]))
        if self.reference.unseen:
            found |= self._nearness(made) | self._critic(recipe)
        return found

    def strip(self, samples: Tensor) -> dict[str, Tensor]:
        """Some of the samples (N, C, H, W), each above its nearest training slice and distance."""
        shown = shrunk(_hosted(samples[spread_over(len(samples), SHOWN)]))
        distances, indices = nearest(shown, self.reference.searched)
        neighbours = self.reference.searched[indices]
        numbers = np.stack([_written(f"{d:.3f}", shown.shape[-1]) for d in distances])
        rows = {"sample": shown, "neighbour": neighbours, "distance": numbers}
        return {name: torch.from_numpy(row).float() for name, row in rows.items()}

    @torch.no_grad()
    def _sampled(self, recipe: NoiseRecipe, turn: int = 0) -> tuple[FloatArray, FloatArray]:
        """Two samples for every held-out slice, of its condition, from different noise.

        Other turns have other noise.
        """
        random = torch.Generator().manual_seed(self.seed + turn)
        count = len(self.labels)
        noise = torch.randn(2, count, recipe.latent, generator=random).to(device_of(recipe))
        one, other = (
            np.concatenate([
                _hosted(recipe.sample_like(part, some).clamp(-1, 1))
                for part, some in zip(_parts(self.reference.held_out, recipe), each.split(CHUNK),
                                      strict=True)
            ])
            for each in noise
        )  # fmt: skip
        return one, other

    def _described(self, images: FloatArray) -> ImageSet:
        features = {name: of(images) for name, of in self.reference.extractors.items()}
        return ImageSet({PIXELS: images, **features}, self.labels)

    @cached_property
    def _real(self) -> ImageSet:
        return self._described(_hosted(self.reference.held_out["image"]))

    @cached_property
    def _floor(self) -> list[Score]:
        """What training slices, which are real, score in place of samples."""
        return compare(self._real, self._described(_hosted(self.reference.training["image"])), LIVE)

    @cached_property
    def _real_spread(self) -> dict[int, float]:
        """Class -> mean distance of its held-out slices to their peers."""
        images, spread = self._real.spaces[PIXELS], {}
        for label in np.unique(self.labels):
            some = self.labels == label
            if some.sum() >= FEWEST_OF_CLASS:
                peers = images[some], self.numbers[some], self.reference.patients[some]
                spread[int(label)] = float(distances_to_peers(*peers).mean())
        return spread

    def _diversity(self, made: FloatArray, again: FloatArray) -> dict[str, float]:
        """Distance between two samples of one condition, over that of two patients' real slices.

        The two samples differ in their noise alone, so it is 0 for a generator that ignores it,
        whatever else it is conditioned on. The real slices are of one class and as near in numbers
        as held-out slices come; what they still differ by in numbers makes it a little too low.
        """
        distances = np.sqrt(((made - again) ** 2).mean(axis=(1, 2, 3)))
        parts = {
            label: float(distances[self.labels == label].mean()) / max(spread, 1e-9)
            for label, spread in self._real_spread.items()
        }
        if not parts:
            return {}
        found = {"live/diversity": float(np.mean(list(parts.values())))}
        for label, part in parts.items() if self.classes else ():
            found[f"live/diversity/{self.classes[label]}"] = part
        return found

    @cached_property
    def _closest_real(self) -> float:
        """Distance of the two training slices that are most alike and yet two."""
        return closest_real(self.reference.searched)

    def _duplicates(self, recipe: NoiseRecipe, made: FloatArray) -> dict[str, float]:
        """How many samples are nearer to another than any two training slices are.

        A generator that mostly varies but often comes back to the same images shows here, and not
        in mean distances. Of samples alike to real slices, as many pairs as among these would hold
        less than one such; so no more samples are looked at than there are training slices.
        """
        more = [self._sampled(recipe, turn) for turn in range(1, TWINS // 2)]
        every = shrunk(np.concatenate([made, *(one for pair in more for one in pair)]))
        every = every[: len(self.reference.searched)]
        earlier = distances_to_earlier(every)
        return {"live/duplicates": float((earlier < self._closest_real).sum())}

    @cached_property
    def _usual(self) -> FloatArray:
        """Distances of held-out slices to their nearest training slices."""
        return nearest(shrunk(self._real.spaces[PIXELS]), self.reference.searched)[0]

    def _nearness(self, made: FloatArray) -> dict[str, float]:
        """Are samples nearer to training slices than new patients' slices are?

        ``too_close`` is what ``evaluate`` reports. Samples without the noise of real slices are
        somewhat nearer to anything; copies are far nearer, which the other two ask for.
        """
        distances = nearest(shrunk(made), self.reference.searched)[0]
        limit = float(np.quantile(self._usual, COPY_QUANTILE))
        return {
            "live/nearness": float(np.median(distances) / max(np.median(self._usual), 1e-9)),
            "live/too_close": float((distances < limit).mean()),
            "live/copies": float((distances < limit / 2).mean()),
        }

    @torch.no_grad()
    def _critic(self, recipe: NoiseRecipe) -> dict[str, float]:
        """How well the critic tells training and held-out slices from fakes, and its overfitting.

        That is (E[D(train)] - E[D(held-out)]) / (E[D(train)] - E[D(fake)]) (Karras 2020, ADA,
        eq. 1): 0 without, 1 when held-out slices look as false as fakes.
        """
        trained, held_out = (
            _mean_scores(recipe, batch)
            for batch in (self.reference.training, self.reference.held_out)
        )
        if "critic/accuracy" not in trained:
            return {}
        found = {
            "live/critic_accuracy": trained["critic/accuracy"],
            "live/critic_accuracy_held_out": held_out["critic/accuracy"],
        }
        gap = trained["critic/real"] - trained["critic/fake"]
        if gap > 0:
            found["live/critic_overfitting"] = (
                trained["critic/real"] - held_out["critic/real"]
            ) / gap
        return found


def shrunk(images: FloatArray) -> FloatArray:
    """Images (N, C, H, W) at :data:`SEARCHED_SIDE` pixels at most, by the mean of blocks."""
    count, channels, side, _ = images.shape
    factor = max(1, side // SEARCHED_SIDE)
    blocks = images.reshape(count, channels, side // factor, factor, side // factor, factor)
    return blocks.mean(axis=(3, 5))


def _hosted(images: Tensor) -> FloatArray:
    """(N, 1, H, W): of adjacent slices the middle one."""
    return middle_slice(images).detach().float().cpu().numpy()


def _parts(batch: Batch, recipe: NoiseRecipe) -> list[Batch]:
    """The batch in chunks, on the recipe's device."""
    device, count = device_of(recipe), len(batch["image"])
    return [
        {name: values[begin : begin + CHUNK].to(device) for name, values in batch.items()}
        for begin in range(0, count, CHUNK)
    ]


def _mean_scores(recipe: NoiseRecipe, batch: Batch) -> dict[str, float]:
    parts = _parts(batch, recipe)
    weights = np.array([len(part["image"]) for part in parts])
    scores = [recipe.scores(part) for part in parts]
    return {
        name: float(np.average([float(one[name]) for one in scores], weights=weights))
        for name in scores[0]
    }


def _named(scores: list[Score], kind: str) -> dict[str, float]:
    """Scores as figures: ``live/kid_efficientnet-lite0``, and ``..._error`` where there is one."""
    found = {f"{kind}/{one.metric}_{one.space}": one.value for one in scores}
    found |= {f"{kind}/{one.metric}_{one.space}_error": one.standard_error for one in scores}
    return {name: value for name, value in found.items() if value is not None}


def _written(text: str, side: int) -> FloatArray:
    """A picture (1, side, side) in [-1, 1] that shows ``text``."""
    picture = Image.new("L", (side, side))
    ImageDraw.Draw(picture).text((2, side // 2 - 6), text, fill=255)
    return np.asarray(picture, np.float32)[None] / 127.5 - 1

"""Batches of source and target for translators: in pairs, or unpaired with like priors.

Each item is a pure function of (seed, its number in the endless row), so batches follow from
their position alone, and processes that take turns see what one would with a larger batch. All
give ``{"source": (N, C, H, W), "target": (N, C', H, W)}`` in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.data.dataset import SliceDataset, Stream
from medimg_gan.errors import LabelError

if TYPE_CHECKING:
    from medimg_gan.types import Batch, IntArray

JITTER = 0.05
"""Half width of the uniform noise on a matched position, as a share of the volume: the published
5 slices of volumes of about 100 (MaskGAN, Phan et al. 2023), alike for thin and thick slices."""


@dataclass(frozen=True)
class PairedStream:
    """One slice of a patient in both domains; item n of either dataset shows the same."""

    source: Stream
    target: SliceDataset

    def __call__(self, position: int) -> Batch:
        """The batch at ``position``."""
        return _gathered(self.source, self.target, position, self.source.items(position))


@dataclass(frozen=True)
class PositionMatchedStream:
    """Source slices in shuffled epochs, each with a target slice from about the same height.

    T = round(p (K - 1)) + U[-5, 5] (MaskGAN, Phan et al. 2023) with p the source's position in
    [0, 1] and the noise as ``JITTER``, in a target stack of another patient drawn by its number
    of slices. So a critic cannot tell fakes by which heights are common, and no patient's own slice
    is offered as its counterpart (unless the target has one patient only). Positions are shares
    of what was scanned: both domains should cover about the same.
    """

    source: Stream
    target: SliceDataset

    def __call__(self, position: int) -> Batch:
        """The batch at ``position``."""
        items = self.source.items(position)
        first = position * self.source.batch_size
        chosen = [self._match(int(item), first + n) for n, item in enumerate(items)]
        return _gathered(self.source, self.target, position, np.array(chosen))

    def _match(self, item: int, number: int) -> int:
        rng = np.random.default_rng([self.source.seed, 1, number])
        members, patients = self._volumes
        own = self.source.dataset.patients[item]
        others = np.flatnonzero(patients != own)
        others = others if len(others) else np.arange(len(members))
        counts = np.array([len(members[int(volume)]) for volume in others])
        volume = members[int(rng.choice(others, p=counts / counts.sum()))]
        wanted = self.source.dataset.position[item] + rng.uniform(-JITTER, JITTER)
        return int(volume[np.abs(self.target.position[volume] - wanted).argmin()])

    @cached_property
    def _volumes(self) -> tuple[Sequence[IntArray], np.ndarray]:
        """The items of each target stack, and its patient."""
        stack = self.target.table["stack"].to_numpy()
        members = [np.flatnonzero(stack == number) for number in np.unique(stack)]
        return members, np.array([self.target.patients[own[0]] for own in members])


@dataclass(frozen=True)
class LabelMatchedStream:
    """Both domains with one mix of classes: the mean of their own, of classes that both have.

    A critic whose two sets differ in prior teaches the generator to add or remove lesions (Cohen
    et al. 2018). Slices of a class are drawn in each domain independently of the other, with
    replacement; slices of a class that one domain lacks are not drawn.

    Raises:
        LabelError: If there are no labels, or no class is in both domains.
    """

    source: SliceDataset
    target: SliceDataset
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        classes = self.source.classes
        if len(classes) > 1 and self.shares.any():
            return
        raise LabelError(
            "--balance-prior label: no class is in both domains"
            if len(classes) > 1
            else "--balance-prior label: the data have no labels to balance by",
            observed=f"classes: {', '.join(classes) or 'none'}",
            fix="label both (labels.csv, or --mask), or --balance-prior position",
        )

    @cached_property
    def shares(self) -> np.ndarray:
        """(classes,) chance of each class in a batch; 0 for one that a domain lacks."""
        number = len(self.source.classes)
        counts = [np.bincount(d.labels, minlength=number) for d in (self.source, self.target)]
        mean = sum(count / count.sum() for count in counts) * np.all(counts, axis=0)
        return mean / max(mean.sum(), np.finfo(float).tiny)

    def __call__(self, position: int) -> Batch:
        """The batch at ``position``."""
        first = position * self.batch_size
        drawn = np.array([self._draw(first + n) for n in range(self.batch_size)])
        return {
            "source": self.source.gather(drawn[:, 0])["image"],
            "target": self.target.gather(drawn[:, 1])["image"],
        }

    def _draw(self, number: int) -> tuple[int, int]:
        rng = np.random.default_rng([self.seed, 2, number])
        label = rng.choice(len(self.shares), p=self.shares)
        source, target = (rng.choice(own[label]) for own in self._members)
        return int(source), int(target)

    @cached_property
    def _members(self) -> Sequence[Sequence[IntArray]]:
        """Of each domain, the items of each class."""
        return [
            [np.flatnonzero(domain.labels == label) for label in range(len(self.shares))]
            for domain in (self.source, self.target)
        ]


def from_volumes(dataset: SliceDataset) -> bool:
    """Whether slices come from volumes, and so have neighbours and a height."""
    return bool((dataset.table.groupby("scan").size() > 1).any())


def has_heights(dataset: SliceDataset) -> bool:
    """Whether slices come from volumes, or from pictures of which a patient has several."""
    return bool((dataset.table.groupby("stack").size() > 1).any())


def _gathered(source: Stream, target: SliceDataset, position: int, items: IntArray) -> Batch:
    return {"source": source(position)["image"], "target": target.gather(items)["image"]}

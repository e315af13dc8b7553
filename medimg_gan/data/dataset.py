"""Slices of a cache as batches: whole batches are gathered at once, never one by one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

from medimg_gan.data.cache import SliceCache
from medimg_gan.data.conditions import column_of
from medimg_gan.data.number import Number, standardised
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.errors import LabelError
from medimg_gan.modalities.nyul import COLUMNS, StandardScale

if TYPE_CHECKING:
    import pandas as pd

    from medimg_gan.types import Batch, IntArray


class SliceDataset(Dataset["Batch"]):
    """Some rows of a cache, with labels as numbers.

    Works in any torch or MONAI ``DataLoader``, which fetches a whole batch by one gather
    (``__getitems__``); pass ``collate_fn=SliceDataset.collate``.

    Args:
        cache: Decoded slices.
        rows: Row numbers of the cache, in the dataset's order: (N,), or (N, S) where an image holds
            the slices of S scans as channels, scan by scan; all else is known by the first.
        classes: Class names in index order; empty when unlabelled.
        adjacent: Slices in one image: 1, or an odd number for 2.5D with the neighbours above and
            below as channels (at a volume's end, the last slice again).
        standard: Maps MR slices to the training patients' standard histogram, if one was learnt.
        numbers: What images are conditioned on besides the class; their columns are in the cache.
    """

    def __init__(
        self,
        cache: SliceCache,
        rows: IntArray,
        classes: tuple[str, ...] = (),
        adjacent: int = 1,
        standard: StandardScale | None = None,
        numbers: tuple[Number, ...] = (),
    ) -> None:
        assert adjacent % 2 == 1, "an odd number of slices has a middle"
        self.cache = cache
        of_scans = np.asarray(rows, np.int64)
        of_scans = of_scans[:, None] if of_scans.ndim == 1 else of_scans
        assert standard is None or of_scans.shape[1] == 1, "one standard serves one sequence"
        self.rows = of_scans[:, 0]
        self.classes = classes
        self.table: pd.DataFrame = cache.rows.iloc[self.rows].reset_index(drop=True)
        self.patients: np.ndarray = self.table["patient"].to_numpy(str)
        self.labels = _label_numbers(self.table["label"].to_list(), classes)
        self.members = [np.flatnonzero(self.labels == c) for c in np.unique(self.labels)]
        self.position = self.table["position"].to_numpy(np.float32)
        values = self.table[[column_of(number.name) for number in numbers]].to_numpy(float)
        self.numbers = torch.from_numpy(standardised(numbers, values)) if numbers else None
        self.standard = standard
        if standard is not None:
            self.landmarks = torch.from_numpy(self.table[list(COLUMNS)].to_numpy(np.float32).copy())
        neighbours = _neighbours(cache.rows["scan"].to_numpy(), adjacent)[of_scans]
        places = cache.rows["picture"].to_numpy(np.int64)[neighbours]
        self.places = places.reshape(len(rows), of_scans.shape[1] * adjacent)

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return self.cache.pictures.shape[-1]

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, indices: IntArray) -> Batch:
        """The batch of these items: image (n, C, size, size), label (n,), position (n,).

        Where images are conditioned on numbers, numbers (n, K) too, standardised.
        """
        indices = np.asarray(indices)
        stored = self.cache.pictures[self.places[indices]]
        # numpy in one thread: scaling while it converts beats torch's two passes, and a busy
        # machine does not hold up a team of threads.
        image = torch.from_numpy(np.multiply(stored, np.float32(1 / STORED_MAX)))
        if self.standard is not None:
            image = self.standard.apply(image, self.landmarks[indices])
        batch = {
            "image": image,
            "label": torch.from_numpy(self.labels[indices]),
            "position": torch.from_numpy(self.position[indices]),
        }
        return batch if self.numbers is None else batch | {"numbers": self.numbers[indices]}

    def __getitem__(self, index: int) -> Batch:
        return {name: values[0] for name, values in self.gather(np.array([index])).items()}

    def __getitems__(self, indices: list[int]) -> Batch:
        return self.gather(np.array(indices))

    @staticmethod
    def collate(batch: Batch) -> Batch:
        """What ``__getitems__`` gives is a batch already."""
        return batch

    def images(self) -> np.ndarray:
        """All images at once, (N, C, size, size) float32; for sets that fit in memory."""
        return self.gather(np.arange(len(self)))["image"].numpy()


@dataclass(frozen=True)
class Stream:
    """An endless, shuffled sequence of batches that can start anywhere.

    The batch at a position is a pure function of (seed, position): every epoch is a permutation
    of its own seed. Several processes take turns (the engine gives each its own positions), so
    two of them see together what one would with twice the batch.

    Attributes:
        dataset: Where the slices come from.
        batch_size: Images in a batch.
        seed: Of the order.
        balanced: Draw classes with equal chance, then a slice of the class, with replacement.
    """

    dataset: SliceDataset
    batch_size: int
    seed: int
    balanced: bool = False

    def __call__(self, position: int) -> Batch:
        """The batch at ``position``, as CPU tensors."""
        return self.dataset.gather(self.items(position))

    def items(self, position: int) -> IntArray:
        """The items (batch_size,) of the batch at ``position``."""
        if self.balanced:
            return self._drawn_by_class(position)
        return self._shuffled(position * self.batch_size)

    def _shuffled(self, first: int) -> IntArray:
        """A batch from place ``first`` of the endless row of shuffled epochs."""
        length = len(self.dataset)
        parts: list[IntArray] = []
        missing = self.batch_size
        epoch, place = divmod(first, length)
        while missing:
            parts.append(_order(self.seed, epoch, length)[place : place + missing])
            missing -= len(parts[-1])
            epoch, place = epoch + 1, 0
        return np.concatenate(parts)

    def _drawn_by_class(self, position: int) -> IntArray:
        rng = np.random.default_rng([self.seed, position])
        members = self.dataset.members
        drawn = rng.integers(len(members), size=self.batch_size)
        return np.array([rng.choice(members[number]) for number in drawn])


@dataclass(frozen=True)
class UnpairedStream:
    """Source and target slices drawn independently of each other."""

    source: Stream
    target: Stream

    def __call__(self, position: int) -> Batch:
        """``{"source": ..., "target": ...}`` at ``position``."""
        return {"source": self.source(position)["image"], "target": self.target(position)["image"]}


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, length: int) -> IntArray:
    """The permutation of one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(length)


def _label_numbers(labels: list[str], classes: tuple[str, ...]) -> np.ndarray:
    if not classes:
        return np.zeros(len(labels), np.int64)
    number = {name: place for place, name in enumerate(classes)}
    unknown = sorted(set(labels) - number.keys())
    if unknown:
        raise LabelError(
            f"labels without a class: {', '.join(map(repr, unknown))}",
            observed=f"classes: {', '.join(classes)}",
        )
    return np.array([number[label] for label in labels], np.int64)


def _neighbours(scan: np.ndarray, adjacent: int) -> np.ndarray:
    """(rows, adjacent) row numbers of each slice's neighbours within its own scan."""
    here = np.arange(len(scan))
    first = np.searchsorted(scan, scan, side="left")
    last = np.searchsorted(scan, scan, side="right") - 1
    offsets = np.arange(adjacent) - adjacent // 2
    return np.clip(here[:, None] + offsets, first[:, None], last[:, None])

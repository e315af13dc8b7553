"""Real training slices and synthetic ones in one dataset, for a training of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import torch
from monai.data.dataloader import DataLoader
from torch import Tensor
from torch.utils.data import Dataset

from medimg_gan.console import say
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.data.known_patients import KnownPatients
from medimg_gan.data.ratio import count_to_add
from medimg_gan.data.synthetic_set import SyntheticSet
from medimg_gan.errors import ConfigError, DataError, LabelError, SplitError

if TYPE_CHECKING:
    from medimg_gan.types import IntArray


class Sample(TypedDict):
    """One item: what a network needs, and where it comes from. It names no patient."""

    image: Tensor
    """(C, H, W) float32 in [-1, 1]."""
    label: int
    """Index into the classes."""
    synthetic: bool
    source: str
    """"real 17": item 17 of the real dataset; else run, seed, number and file of the slice."""


class MixedDataset(Dataset[Sample]):
    """All real training slices, then synthetic ones, as many as a ratio or a number asks for.

    Works in torch's and MONAI's ``DataLoader`` and can be sent to worker processes. Which
    synthetic slices are taken is a pure function of the arguments; a larger ratio keeps those of a
    smaller one.

    Args:
        real: The training slices: ``Prepared.dataset("train")``, or any dataset whose items are
            mappings with ``image`` (C, H, W) in [-1, 1] and ``label``, an index into ``classes``.
        synthetic: What is mixed in.
        minority: The rare class, where a ratio is asked for.
        ratio: Minority slices after mixing over those of the largest other class, as the study
            defines it: 1 balances the two, and 0.5 fills up to the half.
        counts: In place of a ratio: class -> how many synthetic slices.
        classes: Names of the classes; default: those of ``real``.
        seed: Of the choice among the synthetic slices.

    Attributes:
        classes: Names, in the order of the labels.
        labels: (N,) int64, index into the classes.
        synthetic: (N,) bool.

    Raises:
        SplitError: If real slices are of validation or test patients, or the GAN knows some.
        LabelError: If a class is unknown.
        DataError: If there are too few synthetic slices, or they do not fit the real ones.
        ConfigError: If neither or both of ratio and counts are given, or no such mix can be.
    """

    def __init__(
        self,
        real: Dataset[Any],
        synthetic: SyntheticSet,
        *,
        minority: str = "",
        ratio: float | None = None,
        counts: Mapping[str, int] | None = None,
        classes: tuple[str, ...] = (),
        seed: int = 0,
    ) -> None:
        self.real, self._made = real, synthetic
        self.classes = tuple(classes or getattr(real, "classes", ()))
        real_labels = _labels_of(real)
        _refuse_held_out(real, synthetic)
        _refuse_misfits(real, synthetic)
        wanted = _wanted(real_labels, self.classes, minority, ratio, counts)
        self._chosen = _choose(synthetic, wanted, seed)
        number = {name: place for place, name in enumerate(self.classes)}
        chosen = [number[str(synthetic.labels[place])] for place in self._chosen]
        self.labels: IntArray = np.r_[real_labels, np.array(chosen, np.int64)]
        self.synthetic = np.arange(len(self.labels)) >= len(real_labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Sample:
        index = range(len(self))[index]  # counts from the end, and ends, as a list does
        if self.synthetic[index]:
            place = self._chosen[index - (len(self) - len(self._chosen))]
            image, source = torch.from_numpy(self._made.images[place]), self._made.sources[place]
        else:
            image, source = self.real[index]["image"], f"real {index}"
        return {
            "image": image,
            "label": int(self.labels[index]),
            "synthetic": bool(self.synthetic[index]),
            "source": source,
        }

    def counts(self) -> dict[str, dict[str, int]]:
        """Real and synthetic slices of each class."""
        parts = {"real": self.labels[~self.synthetic], "synthetic": self.labels[self.synthetic]}
        return {
            part: {name: int((labels == place).sum()) for place, name in enumerate(self.classes)}
            for part, labels in parts.items()
        }


def mixed_loader(
    dataset: MixedDataset, *, batch_size: int = 16, seed: int = 0, workers: int = 0
) -> DataLoader:
    """A MONAI loader of shuffled batches.

    A batch holds image (n, C, H, W), label (n,), synthetic (n,) as tensors and source as a list.

    Args:
        dataset: What to draw from.
        batch_size: Slices in a batch; the last of an epoch may have fewer.
        seed: Of the order; every epoch has its own.
        workers: Processes that fetch batches.
    """
    order = torch.Generator().manual_seed(seed)
    return DataLoader(
        dataset, batch_size=batch_size, shuffle=True, generator=order, num_workers=workers
    )


def _labels_of(real: Any) -> IntArray:
    """The labels of a dataset: its own column, or those of its items, one by one."""
    labels = getattr(real, "labels", None)
    if labels is None:
        labels = [int(real[place]["label"]) for place in range(len(real))]
    return np.asarray(labels, np.int64)


def _wanted(
    labels: IntArray,
    classes: tuple[str, ...],
    minority: str,
    ratio: float | None,
    counts: Mapping[str, int] | None,
) -> dict[str, int]:
    """Class -> how many synthetic slices."""
    if (ratio is None) == (counts is None) or (ratio is None) != (not minority):
        raise ConfigError(
            "mixing takes a minority class with a ratio, or counts",
            fix='minority="tumor", ratio=1.0 or counts={"tumor": 200}',
        )
    unknown = sorted(set(counts or (minority,)) - set(classes))
    if unknown:
        raise LabelError(
            f"mixing: unknown class {', '.join(map(repr, unknown))}",
            observed=f"the real slices have: {', '.join(classes) or 'no classes'}",
        )
    if counts is not None:
        if min(counts.values(), default=0) < 0:
            raise ConfigError(f"mixing: counts {dict(counts)} must not be negative")
        return dict(counts)
    if ratio is None or not ratio > 0:
        raise ConfigError(f"mixing: ratio {ratio} must be positive, such as 0.5 or 1")
    number = count_to_add(labels, classes.index(minority), ratio)
    if not number:
        say(f"  note: the real slices reach a ratio of {ratio:g} already; nothing is mixed in")
    return {minority: number}


def _choose(synthetic: SyntheticSet, wanted: Mapping[str, int], seed: int) -> IntArray:
    """Places of the slices that are taken, without repetition, class by class."""
    chosen = [np.zeros(0, np.int64)]
    for name, number in wanted.items():
        members = np.flatnonzero(synthetic.labels == name)
        if number > len(members):
            raise DataError(
                f"mixing: {number} synthetic slices of {name!r} wanted, {len(members)} are there",
                observed=f"classes there: {', '.join(sorted(set(synthetic.labels))) or 'none'}",
                fix=f"synthesize.py --label {name} --count {number}, or mix in fewer",
            )
        chosen.append(np.random.default_rng(seed).permutation(members)[:number])
    return np.concatenate(chosen)


def _refuse_held_out(real: Dataset[Any], synthetic: SyntheticSet) -> None:
    """No slice of a patient who judges, and no GAN that knows one.

    Only slices of this package's own caches say whose they are; others are the user's word.
    """
    if not isinstance(real, SliceDataset) or "split" not in real.cache.rows:
        return
    strange = real.table["split"][real.table["split"] != "train"]
    if len(strange):
        parts = strange.value_counts().items()
        found = ", ".join(f"{count} {part or 'of no split'}" for part, count in parts)
        raise SplitError(
            "mixing: synthetic slices belong to training slices only",
            observed=f"{found} among {len(real)} real slices",
            fix='mix into prepared.dataset("train"); judge on "val" and "test" as they are',
        )
    if synthetic.gan_split is None:
        say("  note: the GAN's split is not at hand; nobody checked which patients it knows")
        return
    rows, known = real.cache.rows, KnownPatients.of(synthetic.gan_split)
    val, test = (set(rows.loc[rows["split"] == part, "patient"]) for part in ("val", "test"))
    known.refuse(
        "mixing: the GAN",
        foreign=val | test,
        tested=test,
        fix="prepare with the seed and data of the GAN, and folder= its run",
    )


def _refuse_misfits(real: Dataset[Any], synthetic: SyntheticSet) -> None:
    here, made = tuple(real[0]["image"].shape), synthetic.images.shape[1:]
    if here != made:
        raise DataError(
            "mixing: synthetic slices do not fit the real ones",
            observed=f"shape {made}, real ones {here}",
            fix="prepare with size=synthetic.size and adjacent=1",
        )
    modalities = set(real.table.get("modality", ())) if isinstance(real, SliceDataset) else set()
    if synthetic.modality and modalities - {synthetic.modality}:
        raise DataError(
            f"mixing: synthetic slices are {synthetic.modality}",
            observed=f"the real ones are {', '.join(sorted(modalities))}",
        )

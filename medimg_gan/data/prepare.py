"""The first half of every verb: folder -> index -> slice cache -> labels -> split by patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.as_indexed import as_indexed
from medimg_gan.data.cache import SliceCache, build_cache
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.conditions import learn_numbers
from medimg_gan.data.copies import settle_copies
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.data.index import Index, build_index, say_what_is_wrong
from medimg_gan.data.labelled_rows import label_rows
from medimg_gan.data.number import Number
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.split import SPLITS
from medimg_gan.data.split_column import split_column
from medimg_gan.data.split_file import SPLIT_FILE, save_split
from medimg_gan.data.thinning import Thinned, Thinning
from medimg_gan.errors import DataError
from medimg_gan.modalities.nyul import COLUMNS, StandardScale

PATIENTS_UNKNOWN = "  note: nothing names the patients; every file counts as a patient of its own"


@dataclass(frozen=True)
class Prepared:
    """Slices with a label and a split each, ready to be drawn from.

    Attributes:
        cache: All slices; ``cache.rows`` has the columns label and split filled in.
        classes: Class names in index order; empty when unlabelled.
        patients_known: False where files stand for patients that nobody named.
        standard: MR's standard scale, learnt from the training patients where the chain asks.
        numbers: What images are conditioned on besides the class.
        thinned: What was taken from the training split to make a class rarer, where asked for.
    """

    cache: SliceCache
    classes: tuple[str, ...]
    patients_known: bool
    standard: StandardScale | None = None
    numbers: tuple[Number, ...] = ()
    thinned: Thinned | None = None

    def dataset(self, split: str, *, modality: str = "", adjacent: int = 1) -> SliceDataset:
        """The slices of one split, and of one modality where several were prepared."""
        rows = self.cache.rows
        chosen = rows["split"] == split
        if modality:
            chosen &= rows["modality"] == modality
        return SliceDataset(
            self.cache, np.flatnonzero(chosen), self.classes, adjacent, self.standard, self.numbers
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Slices by split and class ("slices" when unlabelled), and patients by split."""
        rows = self.cache.rows
        result = {}
        for split in SPLITS:
            part = rows[rows["split"] == split]
            by_class = {name: int((part["label"] == name).sum()) for name in self.classes}
            by_class = by_class or {"slices": len(part)}
            result[split] = {**by_class, "patients": int(part["patient"].nunique())}
        return result


def prepare(
    config: DataConfig,
    modalities: tuple[str, ...],
    *,
    size: int,
    seed: int,
    folder: Path,
    labelled: bool = True,
    must_have: str = "",
    chain: ChainConfig = DEFAULT_CHAIN,
    condition: tuple[str, ...] = (),
    keep: float = 1.0,
    dealt: Mapping[str, str] | None = None,
) -> Prepared:
    """Read a folder once and give every slice a label and a split.

    Args:
        config: Where the data are.
        modalities: What is wanted; () takes the only one there is.
        size: Side of the pictures.
        seed: Of the split.
        folder: The run's folder; the split is saved there, and checked when the run resumes.
        labelled: Whether labels are wanted; then slices without one are left out, unless none
            has one.
        must_have: A class that every split needs; implies that there must be labels.
        chain: How scans become pictures.
        condition: Names of numbers that images are conditioned on (see ``data.conditions``).
        keep: Share of the training patients with ``must_have`` who keep these slices; below 1,
            the class is made rarer (see ``data.thinning``).
        dealt: Patient -> split of an earlier run, which then goes before everything else; whom it
            does not name is a test patient.

    Raises:
        ConfigError: If a setting of the chain is for a modality of which there is no scan.
        DataError, LabelError, SplitError: See the functions that this calls.
    """
    ready = read_labelled(config, modalities, size, labelled, must_have, chain, condition)
    stratum = "label" if ready.classes else "modality"
    if dealt is None:
        split = split_column(ready.rows, stratum, seed, must_have)
    else:
        split = ready.split_as(dealt)
    thinning = Thinning(must_have, keep, seed)
    prepared = ready.split_by(split, chain, condition, thinning)
    # By their own names: who is joined to another by a copy here may come alone another time.
    own = prepared.cache.rows.assign(patient=ready.cache.rows["patient"])
    save_split(own, folder / SPLIT_FILE)
    for split, counts in prepared.counts().items():
        say(f"  {split:5} " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    for number in prepared.numbers:
        say(f"  conditioned on {number.name}: {number.low:g} to {number.high:g}")
    if not prepared.patients_known:
        say(PATIENTS_UNKNOWN)
    return prepared


@dataclass(frozen=True)
class Labelled:
    """Slices with a label each, not yet split.

    Attributes:
        cache: All slices.
        index: Their scans.
        rows: Those that have a label (all, where there are none at all).
        classes: As in :class:`Prepared`.
    """

    cache: SliceCache
    index: Index
    rows: pd.DataFrame
    classes: tuple[str, ...]

    def split_as(self, dealt: Mapping[str, str]) -> pd.Series:
        """The split of each row in an earlier run.

        Of patients joined by a copy, training goes before val, val before test: who shares a
        picture with a training patient was trained on.
        """
        own = self.cache.rows.loc[self.rows.index, "patient"].map(dealt).fillna("test")
        first = own.map(SPLITS.index).groupby(self.rows["patient"]).transform("min")
        return first.map(dict(enumerate(SPLITS)))

    def split_by(
        self,
        split: pd.Series,
        chain: ChainConfig,
        condition: tuple[str, ...],
        thinning: Thinning,
    ) -> Prepared:
        """The slices with the split of each, and what is learnt from training patients alone."""
        rows = self.cache.rows.copy()
        named, thinned = thinning.of(self.rows.assign(split=split))
        rows.loc[self.rows.index, "patient"] = self.rows["patient"]  # copies join their patients
        rows[["label", "split"]] = named[["label", "split"]].reindex(rows.index).fillna("")
        known = all(scan.patient_known for scan in self.index.scans)
        numbers = learn_numbers(condition, self.index.scans, rows, self.classes)
        cache = replace(self.cache, rows=rows)
        return Prepared(cache, self.classes, known, standard_of(rows, chain), numbers, thinned)


def read_labelled(
    config: DataConfig,
    modalities: tuple[str, ...],
    size: int,
    labelled: bool,
    must_have: str,
    chain: ChainConfig,
    condition: tuple[str, ...],
) -> Labelled:
    """Index, decode and label a folder; arguments and errors are those of :func:`prepare`."""
    config = as_indexed(config)
    index = _wanted(build_index(config, condition), modalities)
    cache = decoded_cache(config, index, size, chain)
    rows, classes = cache.rows, ()
    if labelled:
        rows, classes = label_rows(cache.rows, index, config, must_have)
    rows = settle_copies(
        rows, cache.pictures, index, labelled=bool(classes), drop=config.drop_duplicates
    )
    return Labelled(cache, index, rows, classes)


def decoded_cache(config: DataConfig, index: Index, size: int, chain: ChainConfig) -> SliceCache:
    """The slices of an index, after saying what of it is left out.

    Raises:
        ConfigError: If a setting of the chain is for a modality of which there is no scan.
        DataError: As :func:`medimg_gan.data.cache.build_cache`.
    """
    say_what_is_wrong(index)
    chain.refuse_what_does_nothing({scan.modality for scan in index.scans})
    return build_cache(
        index, size, config.cache, strict=config.strict, workers=config.workers, chain=chain
    )


def standard_of(rows: pd.DataFrame, chain: ChainConfig) -> StandardScale | None:
    """The standard scale of the training patients' MR volumes, each counted once."""
    train = rows[(rows["split"] == "train") & (rows["modality"] == "mri")]
    if chain.intensity != "nyul" or train.empty:
        return None
    return StandardScale.fit(train.drop_duplicates("scan")[list(COLUMNS)].to_numpy(np.float32))


def _wanted(index: Index, modalities: tuple[str, ...]) -> Index:
    for modality in modalities:
        index.of_modality(modality)  # says what is missing
    found = {scan.modality for scan in index.scans}
    if not modalities:
        if len(found) > 1:
            counts = Counter(scan.modality or "unknown" for scan in index.scans)
            raise DataError(
                f"{index.root}: holds several modalities",
                observed=", ".join(f"{name}: {count} scans" for name, count in counts.items()),
                fix="choose one with --only, or point --data at its folder",
            )
        if "" in found:
            raise DataError(
                f"{index.root}: neither headers nor folder names tell the modality",
                fix="--modality ct, mri, xray or picture",
            )
    chosen = [scan for scan in index.scans if not modalities or scan.modality in modalities]
    return replace(index, scans=chosen)

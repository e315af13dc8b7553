"""Pictures that are there more than once: kept in one split, or once, or refused.

A copy in the test set of what was trained on is an answer that was read beforehand, whoever it is
said to show. Blank pictures are all alike and say nothing; they are passed over.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from medimg_gan.console import say
from medimg_gan.data.split import SPLITS
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.errors import SplitError

if TYPE_CHECKING:
    from medimg_gan.data.index import Index

BLANK = 0.01
"""Standard deviation, as a share of half the value range, below which a picture shows nothing."""
FOREMOST = ("test", "val", "train")
"""Which of several copies stays: the one that figures come from."""
NAMED = 3


def settle_copies(
    rows: pd.DataFrame, pictures: np.ndarray, index: Index, *, labelled: bool, drop: bool
) -> pd.DataFrame:
    """Rows in which no picture can come to stand in two splits.

    Patients (or files, where nobody named the patients) that share a picture become one patient,
    so that they are dealt out, drawn and counted together.

    Args:
        rows: Slices with the columns picture, scan, patient, label, split.
        pictures: (M, size, size) int16; ``rows["picture"]`` numbers them.
        index: For the paths of scans.
        labelled: Whether labels count.
        drop: Keep each picture once (of the given test split before val before train), and none
            that has two labels.

    Raises:
        SplitError: If the user's own split has copies in two parts, and ``drop`` is not set.
    """
    content = pd.Series(_hashes(pictures, rows["picture"].to_numpy()), rows.index)
    copied = rows[content.duplicated(keep=False) & (content != "")]
    if copied.empty:
        return rows
    content = content[copied.index]
    labels = copied.groupby(content)["label"].nunique() if labelled else None
    conflicting = content.map(labels > 1) if labels is not None else content.map(lambda _: False)
    if conflicting.any():
        done = "left out" if drop else "kept: --drop-duplicates leaves them out"
        say(
            f"  note: {int(conflicting.sum())} slices are exact copies of slices with another "
            f"label ({done})"
        )
    if drop:
        return _each_once(rows, copied, content, conflicting)
    _refuse_across_splits(rows, copied, content, index)
    return _as_one_patient(rows, copied, content)


def _hashes(pictures: np.ndarray, places: np.ndarray) -> list[str]:
    """A hash of each picture; "" for blank ones."""
    found = []
    for place in places:
        picture = np.asarray(pictures[place])
        blank = picture.std() < BLANK * STORED_MAX
        found.append(
            "" if blank else hashlib.blake2b(picture.tobytes(), digest_size=16).hexdigest()
        )
    return found


def _each_once(
    rows: pd.DataFrame, copied: pd.DataFrame, content: pd.Series, conflicting: pd.Series
) -> pd.DataFrame:
    rank = copied["split"].map({name: place for place, name in enumerate(FOREMOST)}).fillna(0)
    order = rank.sort_values(kind="stable").index
    again = content[order].duplicated()
    gone = copied.index[again.reindex(copied.index) | conflicting]
    parts = rows.loc[gone, "split"].value_counts()
    by_split = ", ".join(f"{parts[name]} {name}" for name in SPLITS if name in parts)
    say(
        f"  left out: {len(gone)} slices that are exact copies of others"
        + (f" ({by_split})" if by_split else "")
    )
    return rows.drop(gone)


def _refuse_across_splits(
    rows: pd.DataFrame, copied: pd.DataFrame, content: pd.Series, index: Index
) -> None:
    """Refuse a split of the user's own that has copies in two parts."""
    where = {part: copied.index[copied["split"] == part] for part in SPLITS}
    told, pairs = [], []
    for held, source in (("test", "train"), ("val", "train"), ("test", "val")):
        sources = pd.Series(where[source], index=content[where[source]])
        shared = [row for row in where[held] if content[row] in sources.index]
        if shared:
            whole = int((rows["split"] == held).sum())
            told.append(f"{len(shared)} of {whole} {held} slices are exact copies of {source} ones")
            pairs += [(row, np.atleast_1d(sources[content[row]])[0]) for row in shared]
    if not told:
        return
    scans = copied["scan"]
    named = [
        " = ".join(index.scans[int(scans[row])].path for row in pair) for pair in pairs[:NAMED]
    ]
    raise SplitError(
        f"{index.root}: the given split has the same pictures in two parts",
        observed="; ".join(told) + f". For example {', '.join(named)}",
        cause="files were copied between the folders, or the set was split with its copies",
        fix="--drop-duplicates keeps each picture once (the test copy before the training copy); "
        "or remove the split column (or folders): copies are then dealt out together",
    )


def _as_one_patient(rows: pd.DataFrame, copied: pd.DataFrame, content: pd.Series) -> pd.DataFrame:
    """Rows in which patients that share a picture bear the name of the first of them."""
    patients, names = pd.factorize(copied["patient"])
    contents, _ = pd.factorize(content)
    count = len(names) + int(contents.max()) + 1
    links = coo_matrix((np.ones(len(patients)), (patients, len(names) + contents)), (count, count))
    group = connected_components(links, directed=False)[1][: len(names)]
    first = {number: names[np.flatnonzero(group == number)[0]] for number in np.unique(group)}
    said = f"  note: {int(content.duplicated().sum())} slices are exact copies of others"
    if len(first) == len(names):
        say(f"{said}, all within their own patient")
        return rows
    say(
        f"{said}: {len(names)} patients (or files) that share some count as {len(first)}, "
        "and stay in one split; --drop-duplicates keeps each picture once"
    )
    joined = {name: first[number] for name, number in zip(names, group, strict=True)}
    return rows.assign(patient=rows["patient"].map(lambda name: joined.get(name, name)))

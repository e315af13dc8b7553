"""A folder read once, its patients split anew for each of several folds."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.prepare import PATIENTS_UNKNOWN, Prepared, read_labelled
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.split import SPLITS, split_into_folds
from medimg_gan.data.split_column import classes_of_patients
from medimg_gan.data.split_file import keep_or_compare
from medimg_gan.data.thinning import Thinning
from medimg_gan.errors import SplitError

FOLDS_FILE = "folds.csv"


def prepare_folds(
    config: DataConfig,
    modalities: tuple[str, ...],
    *,
    size: int,
    seed: int,
    folder: Path,
    folds: int,
    must_have: str,
    chain: ChainConfig,
    condition: tuple[str, ...] = (),
    keep: float = 1.0,
) -> list[Prepared]:
    """As :func:`medimg_gan.data.prepare.prepare`, for each of several folds (2 or more).

    What is learnt from training patients (MR's standard scale, ranges of numbers) is each fold's
    own; pictures are decoded once. The folds are saved in ``folder/folds.csv``, and checked when
    the run resumes.

    Raises:
        SplitError: If the table gives a split of its own, or patients are too few; besides what
            ``prepare`` raises.
    """
    ready = read_labelled(config, modalities, size, True, must_have, chain, condition)
    given = sorted(set(ready.rows["split"]) & set(SPLITS))
    if given:
        raise SplitError(
            "the table (or folders) give a split: folds deal the patients out anew",
            observed=f"--folds {folds}, and scans marked {', '.join(given)}",
            fix="--folds 1 keeps the given split; without the column (or folders) patients are "
            "dealt out whole, if a column names them",
        )
    patients = classes_of_patients(ready.rows, "label")
    assignments = split_into_folds(patients, seed, folds, must_have=must_have)
    table = pd.DataFrame(
        {f"fold_{fold}": assigned for fold, assigned in enumerate(assignments, start=1)}
    ).sort_index()
    table["slices"] = pd.Series({name: sum(counts.values()) for name, counts in patients.items()})
    text = io.StringIO()
    table.to_csv(text, index_label="patient")
    keep_or_compare(folder / FOLDS_FILE, text.getvalue())
    thinning = Thinning(must_have, keep, seed)
    prepared = [
        ready.split_by(ready.rows["patient"].map(assigned), chain, condition, thinning)
        for assigned in assignments
    ]
    _tell(prepared)
    return prepared


def _tell(folds: list[Prepared]) -> None:
    for number, prepared in enumerate(folds, start=1):
        parts = [
            f"{split} " + ", ".join(f"{count} {name}" for name, count in counts.items())
            for split, counts in prepared.counts().items()
        ]
        say(f"  fold {number}: {'; '.join(parts)}")
    if not folds[0].patients_known:
        say(PATIENTS_UNKNOWN)

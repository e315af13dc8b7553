"""The split of each slice: the user's own, checked, else dealt out by patient."""

from __future__ import annotations

from collections import Counter

import pandas as pd

from medimg_gan.console import say
from medimg_gan.data.split import SPLITS, split_patients
from medimg_gan.errors import SplitError


def split_column(rows: pd.DataFrame, stratum: str, seed: int, must_have: str = "") -> pd.Series:
    """The split of each row: the user's own, checked, else dealt out by patient.

    Args:
        rows: With the columns patient, split, label and ``stratum``.
        stratum: The column by which patients are dealt out evenly.
        seed: Of the deal.
        must_have: A class (label) that every split needs.

    Raises:
        SplitError: If there are too few patients, or the user's split leaks or lacks a part.
    """
    given = rows["split"].isin(SPLITS)
    if given.any():
        return _given_split(rows, given, stratum, seed, must_have)
    dealt = split_patients(classes_of_patients(rows, stratum), seed, must_have=must_have)
    return rows["patient"].map(dealt)


def classes_of_patients(rows: pd.DataFrame, stratum: str) -> dict[str, Counter[str]]:
    """Patient -> slices of each class, in the order of the files."""
    groups = rows.groupby("patient", sort=False)
    return {str(patient): Counter(part[stratum]) for patient, part in groups}


def _given_split(
    rows: pd.DataFrame, given: pd.Series, stratum: str, seed: int, must_have: str
) -> pd.Series:
    """The user's own split, checked; a missing val part is taken from the training patients."""
    if not given.all():
        others = sorted(set(rows.loc[~given, "split"]))
        raise SplitError(
            "the table (or folders) give a split to some scans only",
            observed=f"{int((~given).sum())} slices have {others} in place of {SPLITS}",
            fix="fill in the column for all scans, or for none",
        )
    splits_of = rows.groupby("patient")["split"].nunique()
    both = int((splits_of > 1).sum())
    if both:
        raise SplitError(
            "the given split puts slices of one patient in two parts",
            observed=f"{both} of {len(splits_of)} patients",
            cause="a split by slices, which leaks test patients into training",
            fix="remove the split column (or folders): patients are then dealt out whole",
        )
    split = rows["split"].copy()
    if "val" not in set(split):
        training = rows[split == "train"]
        classes_of = classes_of_patients(training, stratum)
        dealt = split_patients(classes_of, seed, fractions=(0.8, 0.2, 0.0))
        split[training.index] = training["patient"].map(dealt)
        say("  the given split has no val part: a fifth of the training patients becomes it")
    for part in SPLITS:
        labels = set(rows.loc[split == part, "label"])
        if not labels or (must_have and must_have not in labels):
            raise SplitError(
                f"the given split has no {must_have or 'slices'} in {part}",
                fix="change it, or remove the column (or folders) and let patients be dealt out",
            )
    return split

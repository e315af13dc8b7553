"""Make a class rarer on purpose, by patients, in training only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from medimg_gan.console import say


@dataclass(frozen=True)
class Thinned:
    """What was taken away from the training split.

    Attributes:
        patients: Training patients who keep their slices of the class.
        of_patients: Training patients who have any.
        slices: Slices of the class that are left.
        of_slices: Slices of the class before.
    """

    patients: int
    of_patients: int
    slices: int
    of_slices: int

    def __str__(self) -> str:
        return (
            f"{self.patients} of {self.of_patients} training patients keep these slices, "
            f"{self.slices} of {self.of_slices}"
        )


def thin_class(
    rows: pd.DataFrame, label: str, keep: float, seed: int
) -> tuple[pd.DataFrame, Thinned]:
    """Leave a class to a share of the training patients who have it.

    A patient's slices of the class all stay or all go; slices of other classes, and the other
    splits, are untouched. With one seed, the patients of a smaller share are among those of a
    larger one.

    Args:
        rows: Slices with the columns patient, label and split.
        label: The class.
        keep: Share of those patients, in (0, 1]; rounded, and one stays at the least.
        seed: Chooses them.

    Returns:
        The rows that are left, and what was done.
    """
    thinned = (rows["split"] == "train") & (rows["label"] == label)
    patients = rows.loc[thinned, "patient"].unique()  # in the order of the files
    order = np.random.default_rng([seed, 5]).permutation(len(patients))
    staying = patients[order[: max(1, round(keep * len(patients)))]]
    gone = thinned & ~rows["patient"].isin(staying)
    done = Thinned(len(staying), len(patients), int((thinned & ~gone).sum()), int(thinned.sum()))
    return rows[~gone].copy(), done


@dataclass(frozen=True)
class Thinning:
    """What is asked for: of which class, which share of its training patients keeps it, by what.

    Attributes:
        label: The class.
        keep: Share in (0, 1]; 1 takes nothing away.
        seed: Chooses the patients.
    """

    label: str
    keep: float
    seed: int

    def of(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, Thinned | None]:
        """The rows that are left, and what was done, said in the console; None if nothing was."""
        if self.keep == 1:
            return rows, None
        rows, thinned = thin_class(rows, self.label, self.keep, self.seed)
        say(f"  {self.label} is made rarer: {thinned}")
        return rows, thinned

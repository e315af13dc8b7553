"""Numbers that images are conditioned on: found by name, checked, standardised, summed up.

A name is a column of the user's table, else a fact of every slice (``FACTS``). The scale is learnt
from training slices alone. What a run keeps of a column are its range and deciles, rounded to a
twentieth of the range or more: enough to sample by.

The user's own columns may be a patient's age, so they are rounded to :data:`UNITS` of the units
that they are written in at least (a reader learns the oldest one's age to two or three years),
unless none of their values is one patient's alone. Columns of fewer than
:data:`FEWEST_PATIENTS` training patients are refused, and a class of fewer is drawn like all
classes together. Facts of slices are rounded to a twentieth of their range and no more: they tell
how a slice was taken, and how large the mask's part in it is, but nothing that is known of a
patient elsewhere. Of ``position``, which goes from 0 to 1 in every patient, each class keeps its
own deciles.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.data.number import Number
from medimg_gan.data.settings import AUTO
from medimg_gan.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from medimg_gan.data.scan import Scan
    from medimg_gan.types import FloatArray

POSITION = "position"

FACTS = {
    POSITION: "the slice's height in its scan, from 0 to 1",
    "pixel_mm": "side of a pixel",
    "slice_mm": "the largest of the scan's three spacings",
    "area": "what the mask marks in the slice, in mm2",
}
"""What is known of slices without a table, and what it means."""

STEPS = 20
"""Steps of the rounding in a column's range, about."""
MOST_DIGITS = 6
"""After the decimal point, that count as written by somebody."""
FEWEST_PATIENTS = 5
"""Training patients of a column, or of a class, below which nothing is kept of it alone."""
FAR = 3.0
"""Times the range of all other values, that a value lies beyond them if it is no measurement."""
UNITS = 5
"""Of the last digit that a column is written with, how many rounding takes together."""


def column_of(name: str) -> str:
    """The column of a number among the rows of a cache."""
    return f"number {name}"


def learn_numbers(
    names: tuple[str, ...], scans: list[Scan], rows: pd.DataFrame, classes: tuple[str, ...]
) -> tuple[Number, ...]:
    """Fill in the columns of the numbers asked for, and learn their scales.

    Args:
        names: Columns of the table or ``FACTS``; ``AUTO`` alone takes what fits the data.
        scans: Of the index; ``rows["scan"]`` counts them.
        rows: Of the cache, with splits; ``column_of(name)`` is added for each name.
        classes: Class names.

    Raises:
        DataError: If a column is unknown, is no number, or lacks values in slices that are used
            (or a code such as -999 in training slices), or does not vary over training slices, or
            is the user's own and of too few patients.
    """
    used = (rows["split"] != "").to_numpy()
    if names == (AUTO,):
        positions = _fact(POSITION, scans, rows)[used]
        vary = not np.isnan(positions).any() and len(np.unique(positions)) > 1
        names = (POSITION,) if vary else ()
    train = (rows["split"] == "train").to_numpy()
    patients = np.array([scan.patient for scan in scans])[rows["scan"].to_numpy()]
    numbers = []
    for name in names:
        values = _values(name, scans, rows)
        _refuse_missing(name, values[used], rows["scan"][used])
        if name not in FACTS:
            _refuse_codes(name, values[train], patients[train])
        rows[column_of(name)] = values
        groups = [train & (rows["label"] == label).to_numpy() for label in classes] or [train]
        fewest = 1 if name == POSITION else FEWEST_PATIENTS  # every patient has every position
        of_classes = [
            values[group if len(np.unique(patients[group])) >= fewest else train]
            for group in groups
        ]
        step = 0.0 if name in FACTS else _least_step(name, values[train], patients[train])
        numbers.append(_learn(name, values[train], of_classes, step))
    return tuple(numbers)


def _values(name: str, scans: list[Scan], rows: pd.DataFrame) -> FloatArray:
    """(rows,) values, NaN where missing; a table's word goes before our own."""
    if not any(name in scan.numbers for scan in scans):
        return _fact(name, scans, rows)
    told = _told(name, scans)[rows["scan"].to_numpy()]
    return np.where(np.isnan(told), _fact(name, scans, rows), told) if name in FACTS else told


def _told(name: str, scans: list[Scan]) -> FloatArray:
    """(scans,) what the table says, NaN where it says nothing."""
    texts = [scan.numbers.get(name, "") for scan in scans]
    parsed = [_parsed(text) for text in texts]
    wrong = [number for number, value in enumerate(parsed) if value is None]
    if wrong:
        patients: dict[str, set[str]] = {}
        for number in wrong:
            patients.setdefault(texts[number], set()).add(scans[number].patient)
        # What several patients have in common names none of them.
        shared = [text for text, whose in patients.items() if len(whose) > 1]
        seen = ", ".join(map(repr, shared[:3])) or "texts that no two patients share"
        raise DataError(
            f"--condition {name}: a column of words, not of numbers",
            observed=f"{len(wrong)} of {len(scans)} scans have: {seen}",
            fix="write numbers with a decimal point (0 and 1 for two kinds), or make it the label",
        )
    return np.array(parsed, float)


def _fact(name: str, scans: list[Scan], rows: pd.DataFrame) -> FloatArray:
    if name not in FACTS:
        near = difflib.get_close_matches(name, FACTS, n=1)
        raise DataError(
            f"--condition {name}: no column of your own in the table, and not known without one",
            observed="known of every slice: "
            + ", ".join(f"{one} ({what})" for one, what in FACTS.items()),
            fix=(f"did you mean {near[0]} ? Or " if near else "")
            + f"add a column {name!r} to labels.csv (columns path or patient, label, {name})",
        )
    numbers = rows["scan"].to_numpy()
    if name == "slice_mm":
        return np.array([max(scan.series.spacing) for scan in scans], float)[numbers]
    values = rows[name].to_numpy(float)
    if name == POSITION:
        single = np.array([1 in scan.series.shape for scan in scans])
        values = np.where(single[numbers], np.nan, values)  # of a single slice nobody knows it
    return values


def _parsed(text: str) -> float | None:
    """A number; NaN where there is none, None where there is something else."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return None if math.isinf(value) else value


def _refuse_missing(name: str, values: FloatArray, scans: pd.Series) -> None:
    missing = np.isnan(values)
    if missing.any():
        raise DataError(
            f"--condition {name}: not known of every slice",
            observed=f"{int(missing.sum())} of {len(values)} slices "
            f"({scans[missing].nunique()} of {scans.nunique()} scans) have no value",
            cause="a scan of one slice has no position in its volume"
            if name == POSITION
            else "empty cells, or scans that the table does not name",
            fix="fill in the column of the table; or delete the rows without a value from "
            "index.csv, and give it as --data",
        )


def _refuse_codes(name: str, values: FloatArray, patients: np.ndarray) -> None:
    """Refuse a number that stands for "not known", such as -999.

    That is one value at either end, of several patients, further from all others than
    :data:`FAR` times their range. It would stretch the scale until real values look the same. A
    column of two kinds, or of a kind and one more, has no range to measure by.
    """
    known = np.unique(values)
    for code, others in ((known[0], known[1:]), (known[-1], known[:-1])):
        if len(others) < 3 or np.abs(others - code).min() <= FAR * np.ptp(others):
            continue
        whose = len(np.unique(patients[values == code]))
        if whose > 1:  # one patient's own value is not shown, and may be true
            raise DataError(
                f"--condition {name}: {code:g} looks like a code for a missing value",
                observed=f"{whose} training patients ({int((values == code).sum())} of "
                f"{len(values)} slices) have it; no other value lies nearer than {FAR:g} times "
                "the range of all others",
                cause="some programs write -999, 0 or 9999 where nothing was measured",
                fix="fill in what was measured; or delete these rows from index.csv, and give it "
                "as --data. If the value is true, condition on its logarithm or rank instead",
            )


def _least_step(name: str, values: FloatArray, patients: np.ndarray) -> float:
    """What a column of patients' own values must be rounded to at least.

    Raises:
        DataError: If there are too few patients to hide one among.
    """
    count = len(np.unique(patients))
    if count < FEWEST_PATIENTS:
        raise DataError(
            f"--condition {name}: of too few training patients",
            observed=f"{count} training patients, expected {FEWEST_PATIENTS} or more",
            cause="what a run keeps of the column, its range, would be one patient's own",
            fix="add patients, or leave it away (position needs no table)",
        )
    if all(len(np.unique(patients[values == value])) > 1 for value in np.unique(values)):
        return 0.0
    digits = (n for n in range(MOST_DIGITS) if np.allclose(values, values.round(n), 0, 1e-9))
    step = UNITS * 10.0 ** -next(digits, MOST_DIGITS)
    if 0 < np.ptp(values) < step:
        raise DataError(
            f"--condition {name}: some of its few values are one patient's alone",
            observed=f"all values of {count} training patients lie within {step:g}",
            fix="give rare values and their neighbours one number, or leave the column away",
        )
    return step


def _learn(name: str, values: FloatArray, groups: list[FloatArray], least_step: float) -> Number:
    ends = np.percentile(values, [1, 99])
    if ends[0] == ends[1]:
        ends = np.array([values.min(), values.max()])
    if ends[0] == ends[1]:
        raise DataError(
            f"--condition {name}: the same in all training slices",
            observed=f"{len(values)} slices",
            fix="leave it away: there is nothing to learn from it",
        )
    step = _round_step(max((ends[1] - ends[0]) / STEPS, least_step))
    low, high = math.floor(ends[0] / step) * step, math.ceil(ends[1] / step) * step
    deciles = [
        np.clip(np.round(np.percentile(group, np.arange(0, 101, 10)) / step) * step, low, high)
        for group in groups
    ]
    tidy = [tuple(_tidy(value) for value in one) for one in deciles]
    whole = bool((values == np.round(values)).all())
    return Number(name, _tidy(low), _tidy(high), tuple(tidy), whole)


def _round_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _tidy(value: float) -> float:
    """Without the last digits of binary fractions: 0.3 for 0.30000000000000004."""
    return float(f"{value:.10g}")

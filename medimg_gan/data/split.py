"""Patients -> train, val, test: by patient, stratified, seeded, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from medimg_gan.errors import SplitError

SPLITS = ("train", "val", "test")
FRACTIONS = (0.6, 0.2, 0.2)
LEAST_PARTS = 5
"""Of several folds, where patients are enough: a part is then a fifth, as in ``FRACTIONS``."""


def split_patients(
    classes_of: Mapping[str, Counter[str]],
    seed: int,
    *,
    must_have: str = "",
    fractions: tuple[float, float, float] = FRACTIONS,
) -> dict[str, str]:
    """Assign every patient to one split.

    A patient's stratum is ``must_have`` if the patient has it, else the rarest class (over all
    slices) that the patient has; each stratum is shuffled and dealt out by ``fractions``, so that
    rare classes reach every split.

    Args:
        classes_of: Patient -> how many slices of each class; the order (of the files) counts.
        seed: Equal seeds and patients give equal splits.
        must_have: A class that every split needs (the minority class of a study).
        fractions: Shares of train, val and test.

    Raises:
        SplitError: If fewer than three patients are there, or fewer than three have ``must_have``.
    """
    _refuse_too_few(classes_of, must_have)
    assignment: dict[str, str] = {}
    for patients in _strata(classes_of, must_have):
        order = np.random.default_rng([seed, len(assignment)]).permutation(len(patients))
        for patient, split in zip(order, _deal(len(patients), fractions), strict=True):
            assignment[patients[patient]] = split
    return assignment


def split_into_folds(
    classes_of: Mapping[str, Counter[str]], seed: int, folds: int, *, must_have: str = ""
) -> list[dict[str, str]]:
    """Assign every patient to one split in each of several folds; none is tested by two.

    Patients are dealt out in equal parts, stratum by stratum as in :func:`split_patients`. Each
    fold tests one part, validates on the next and trains on the rest. There are at least
    :data:`LEAST_PARTS` parts where enough patients have ``must_have``, so that few folds train on
    as much as :func:`split_patients` leaves; with fewer folds than parts, some are never tested.

    Args:
        classes_of: As for :func:`split_patients`.
        seed: Of the deal.
        folds: How many, 2 at the least.
        must_have: A class that every split of every fold needs.

    Raises:
        SplitError: If there are too few patients.
    """
    _refuse_too_few(classes_of, must_have)
    having = sum(1 for classes in classes_of.values() if classes[must_have])
    enough = having if must_have else len(classes_of)
    parts = max(folds, min(LEAST_PARTS, enough))
    if parts > enough:
        raise SplitError(
            f"{folds} folds: too few patients",
            observed=f"{enough} patients{f' with {must_have}' if must_have else ''}; every fold "
            "tests one of them at the least",
            fix=f"--folds {enough}, or add patients",
        )
    part_of: dict[str, int] = {}
    for patients in _strata(classes_of, must_have):
        # The deal goes on where the stratum before ended, or the first parts would be the largest.
        for patient in np.random.default_rng([seed, len(part_of)]).permutation(len(patients)):
            part_of[patients[patient]] = len(part_of) % parts
    return [
        {
            patient: "test" if part == fold else "val" if part == (fold + 1) % parts else "train"
            for patient, part in part_of.items()
        }
        for fold in range(folds)
    ]


def _strata(classes_of: Mapping[str, Counter[str]], must_have: str) -> list[list[str]]:
    """Patients by their rarest class, or ``must_have``; the rarest stratum first."""
    total: Counter[str] = sum(classes_of.values(), Counter())
    strata: dict[str, list[str]] = {}
    for patient in classes_of:
        present = +classes_of[patient]  # without counts of zero
        rarest = min(present, key=lambda name: (total[name], name), default="")
        strata.setdefault(must_have if present[must_have] else rarest, []).append(patient)
    order = sorted(strata, key=lambda name: (name != must_have, total[name], name))
    return [strata[name] for name in order]


def _deal(count: int, fractions: tuple[float, float, float]) -> list[str]:
    """How ``count`` patients of one stratum fall: val and test get one each before train a third.

    With one patient it trains; with two, one trains and one tests (if there is a test share).
    """
    test = max(round(count * fractions[2]), 1 if count >= 2 and fractions[2] else 0)
    val = max(round(count * fractions[1]), 1 if count >= (3 if fractions[2] else 2) else 0)
    return ["test"] * test + ["val"] * val + ["train"] * (count - test - val)


def _refuse_too_few(classes_of: Mapping[str, Counter[str]], must_have: str) -> None:
    having = sum(1 for classes in classes_of.values() if classes[must_have]) if must_have else None
    if having is not None and having < 3:
        raise SplitError(
            f"class {must_have!r}: too few patients for an honest trial",
            observed=f"{having} patient{'s' * (having != 1)} with it; train, validation and test "
            "need one each at the least",
            cause="a split by slices would leak: slices of one patient are near-copies",
            fix="collect more patients, or name the patients if the table lacks a patient column",
        )
    if len(classes_of) < 3:
        raise SplitError(
            "too few patients to split",
            observed=f"{len(classes_of)} found, at least 3 needed",
            fix="add patients, or give a column 'patient' in index.csv if they were taken for one",
        )

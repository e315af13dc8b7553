"""Patients -> train, val, test: by patient, stratified, seeded, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from medimg_gan.errors import SplitError

SPLITS = ("train", "val", "test")
FRACTIONS = (0.6, 0.2, 0.2)


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
    total: Counter[str] = sum(classes_of.values(), Counter())
    _refuse_too_few(classes_of, must_have)
    strata: dict[str, list[str]] = {}
    for patient in classes_of:
        present = +classes_of[patient]  # without counts of zero
        rarest = min(present, key=lambda name: (total[name], name), default="")
        strata.setdefault(must_have if present[must_have] else rarest, []).append(patient)
    assignment: dict[str, str] = {}
    for name in sorted(strata, key=lambda name: (name != must_have, total[name], name)):
        patients = strata[name]
        order = np.random.default_rng([seed, len(assignment)]).permutation(len(patients))
        for patient, split in zip(order, _deal(len(patients), fractions), strict=True):
            assignment[patients[patient]] = split
    return assignment


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

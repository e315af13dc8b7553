"""A class made rarer on purpose: by patients, in training only."""

from __future__ import annotations

import pandas as pd
import pytest

from medimg_gan.data.thinning import thin_class


@pytest.fixture
def rows() -> pd.DataFrame:
    """Patients 0 to 19 train, 20 to 23 validate, 24 to 27 test; five slices each, two of tumor.

    Every third patient has no other slices than tumor's, every fourth none of it.
    """
    table = [
        (f"p{patient}", "tumor" if tumor else "rest", split)
        for patient in range(28)
        for split in ["train" if patient < 20 else "val" if patient < 24 else "test"]
        for tumor in ([True] * 2 + [False] * 3 if patient % 3 else [True] * 5)
        if not (tumor and patient % 4 == 1)
    ]
    return pd.DataFrame(table, columns=["patient", "label", "split"])


def tumor_patients(rows: pd.DataFrame, split: str = "train") -> dict[str, int]:
    chosen = rows[(rows["split"] == split) & (rows["label"] == "tumor")]
    return chosen.groupby("patient").size().to_dict()


@pytest.mark.parametrize(("keep", "patients"), [(0.01, 1), (0.2, 3), (0.5, 8), (1.0, 15)])
def test_a_patients_slices_of_the_class_all_stay_or_all_go(rows, keep, patients):
    left, done = thin_class(rows, "tumor", keep, seed=0)
    before, after = tumor_patients(rows), tumor_patients(left)
    assert len(after) == patients
    assert all(after[patient] == before[patient] for patient in after)
    assert (done.patients, done.of_patients) == (patients, 15)
    assert (done.slices, done.of_slices) == (sum(after.values()), sum(before.values()))


def test_other_classes_and_other_splits_are_left_alone(rows):
    left, _ = thin_class(rows, "tumor", 0.1, seed=0)
    for part in (rows["label"] != "tumor", rows["split"] != "train"):
        assert left[part.reindex(left.index)].equals(rows[part])


def test_the_seed_chooses_and_a_smaller_share_is_part_of_a_larger_one(rows):
    few, more = (set(tumor_patients(thin_class(rows, "tumor", k, 0)[0])) for k in (0.2, 0.6))
    assert few < more
    assert few == set(tumor_patients(thin_class(rows, "tumor", 0.2, 0)[0]))
    assert any(few != set(tumor_patients(thin_class(rows, "tumor", 0.2, s)[0])) for s in (1, 2, 3))

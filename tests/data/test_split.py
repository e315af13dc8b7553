from collections import Counter

import pytest

from medimg_gan.data.split import SPLITS, split_into_folds, split_patients
from medimg_gan.errors import SplitError


def patients(count: int, with_tumour: int) -> dict[str, Counter[str]]:
    return {
        f"p{number:03d}": Counter({"no-tumor": 20, "tumor": 5 if number < with_tumour else 0})
        for number in range(count)
    }


def test_every_patient_lands_in_exactly_one_split():
    found = split_patients(patients(50, 20), seed=0)
    assert len(found) == 50
    assert Counter(found.values()) == {"train": 30, "val": 10, "test": 10}


def test_the_rare_class_is_dealt_out_in_proportion():
    found = split_patients(patients(100, 10), seed=3, must_have="tumor")
    with_tumour = Counter(found[f"p{number:03d}"] for number in range(10))
    assert with_tumour == {"train": 6, "val": 2, "test": 2}


@pytest.mark.parametrize("with_tumour", [3, 4, 5, 11])
def test_every_split_gets_the_class_it_must_have(with_tumour):
    found = split_patients(patients(20, with_tumour), seed=1, must_have="tumor")
    assert {found[f"p{number:03d}"] for number in range(with_tumour)} == set(SPLITS)


def test_equal_seeds_give_equal_splits_and_others_do_not():
    assert split_patients(patients(40, 10), 7) == split_patients(patients(40, 10), 7)
    assert split_patients(patients(40, 10), 7) != split_patients(patients(40, 10), 8)


@pytest.mark.parametrize("with_tumour", [0, 1, 2])
def test_too_few_patients_of_the_class_are_refused(with_tumour):
    with pytest.raises(SplitError, match=f"{with_tumour} patient"):
        split_patients(patients(30, with_tumour), 0, must_have="tumor")


def test_two_patients_cannot_be_split():
    with pytest.raises(SplitError, match="2 found"):
        split_patients(patients(2, 0), 0)


def test_the_class_that_is_needed_counts_before_a_rarer_one():
    classes_of = {
        "p1": Counter(A=9, B=1), "p2": Counter(A=9, B=1), "p3": Counter(A=9, C=1),
        "p4": Counter(D=9), "p5": Counter(D=9), "p6": Counter(D=9),
    }  # fmt: skip
    found = split_patients(classes_of, seed=0, must_have="A")
    assert {found[name] for name in ("p1", "p2", "p3")} == set(SPLITS)


def test_without_a_test_share_nobody_tests():
    found = split_patients(patients(10, 4), seed=0, fractions=(0.8, 0.2, 0.0))
    assert Counter(found.values()) == {"train": 8, "val": 2}


@pytest.mark.parametrize(("folds", "with_tumour"), [(2, 7), (5, 5), (5, 12), (7, 9), (3, 3)])
def test_folds_test_every_patient_once_at_the_most(folds, with_tumour):
    given = patients(24, with_tumour)
    found = split_into_folds(given, 3, folds, must_have="tumor")
    tested = [name for fold in found for name, split in fold.items() if split == "test"]
    assert len(tested) == len(set(tested))
    assert (len(tested) == 24) == (folds >= min(5, with_tumour))
    for fold in found:
        assert fold.keys() == given.keys()
        assert {fold[f"p{number:03d}"] for number in range(with_tumour)} == set(SPLITS)
        sizes = Counter(fold.values())
        assert abs(sizes["test"] - sizes["val"]) <= 1


def test_few_folds_train_on_as_much_as_one_split_does():
    sizes = [Counter(fold.values()) for fold in split_into_folds(patients(50, 20), 0, 2)]
    assert sizes == [{"train": 30, "val": 10, "test": 10}] * 2


def test_more_folds_than_patients_of_the_class_are_refused():
    with pytest.raises(SplitError, match="--folds 4"):
        split_into_folds(patients(20, 4), 0, 5, must_have="tumor")

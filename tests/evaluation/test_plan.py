"""Equal counts, and no patient on both sides."""

import dataclasses

import numpy as np
import pytest

from medimg_gan.errors import SplitError
from medimg_gan.evaluation.plan import FEWEST, RealSlices, halves_by_patient, make_plan


def slices(patients: int = 20, each: int = 10, rare: float = 0.3, trained: float = 0.6):
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(patients), each)
    part = np.where(np.arange(patients) < trained * patients, "train", "test")
    return RealSlices(
        images=np.zeros((len(owner), 1, 8, 8), np.float32),
        labels=(rng.random(len(owner)) < rare).astype(int),
        patients=np.char.add("p", owner.astype(str)),
        split=part[owner],
        classes=("common", "rare"),
    )


def by_class(real: RealSlices, rows: np.ndarray) -> list[int]:
    return np.bincount(real.labels[rows], minlength=2).tolist()


def test_every_set_has_the_same_counts_and_its_own_patients():
    real = slices()
    plan = make_plan(real, most=1000, seed=0)
    for rows in (plan.held_out, plan.training, *(half for pair in plan.halves for half in pair)):
        assert by_class(real, rows) == plan.counts
        assert len(np.unique(rows)) == len(rows)
    assert not real.trained[plan.held_out].any()
    assert real.trained[plan.training].all()
    for one, other in plan.halves:
        assert not set(real.patients[one]) & set(real.patients[other])


def test_no_slice_is_left_out_without_need():
    real = slices()
    plan = make_plan(real, most=1000, seed=0)
    held_out = by_class(real, np.flatnonzero(~real.trained))
    assert all(n > 0.75 * there for n, there in zip(plan.counts, held_out, strict=True))


def test_the_upper_bound_keeps_the_mix_of_classes():
    real = slices(patients=60)
    plan = make_plan(real, most=50, seed=0)
    assert 35 <= sum(plan.counts) <= 50
    assert plan.counts[1] / sum(plan.counts) == pytest.approx(0.3, abs=0.1)


def test_data_without_training_patients_are_compared_with_their_own_halves_only():
    real = slices(trained=0)
    plan = make_plan(real, most=1000, seed=0)
    assert len(plan.training) == 0
    assert plan.halves
    assert by_class(real, plan.held_out) == plan.counts


def test_too_few_slices_are_refused_with_the_counts():
    with pytest.raises(SplitError, match="0 held-out"):
        make_plan(slices(trained=1), most=100, seed=0)
    with pytest.raises(SplitError, match=f"needs {FEWEST}"):
        make_plan(slices(patients=3, each=4), most=100, seed=0)


def test_a_class_of_one_patient_is_not_halved():
    real = slices()
    only = np.where(np.isin(real.patients, ["p0", "p15"]), 1, 0)
    one_each = RealSlices(real.images, only, real.patients, real.split, real.classes)
    plan = make_plan(one_each, most=1000, seed=0)
    assert plan.counts[1] >= FEWEST


def test_halves_share_no_patient_and_are_even_by_class():
    rng = np.random.default_rng(0)
    patients = np.repeat([f"p{n}" for n in range(20)], rng.integers(2, 12, 20))
    labels = (rng.random(len(patients)) < 0.2).astype(int)
    for seed in range(3):
        one, other = halves_by_patient(patients, labels, seed)
        assert not set(patients[one]) & set(patients[other])
        assert sorted([*one, *other]) == list(range(len(patients)))
        for label in (0, 1):
            counts = [(labels[half] == label).sum() for half in (one, other)]
            assert min(counts) > 0.75 * max(counts)


@pytest.mark.parametrize(("tested", "kept_apart"), [(5, True), (0, False)])
def test_patients_who_chose_the_weights_are_not_measured_on_if_others_suffice(tested, kept_apart):
    real = slices()
    patients = np.unique(real.patients)
    held_out = np.unique(real.patients[~real.trained])
    chose = np.isin(real.patients, held_out[tested:])
    assert len(patients) > len(held_out) > tested
    real = dataclasses.replace(
        real, split=np.where(chose, "val", real.split), chosen_on_validation=True
    )
    plan = make_plan(real, most=1000, seed=0)
    assert (not real.validation[plan.held_out].any()) == kept_apart
    assert real.flattered == (not kept_apart)
    by_last = dataclasses.replace(real, chosen_on_validation=False)
    assert by_last.validation[make_plan(by_last, most=1000, seed=0).held_out].any()
    assert not by_last.flattered

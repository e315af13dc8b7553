"""The study: equal arms, honest mixing, resuming."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_study import MARK, TINY, split

from medimg_gan.data.ratio import count_to_add, ratio_of
from medimg_gan.errors import ConfigError, DataError, LabelError, SplitError
from medimg_gan.study import ARMS, planned_fits
from medimg_gan.study import jobs as jobs_module
from medimg_gan.study import trainers as trainers_module
from medimg_gan.study.arms import build
from medimg_gan.study.fits import run_fits
from medimg_gan.study.jobs import job_for, train_job


def test_ratio_is_minority_over_the_largest_other_class():
    labels = np.array([1] * 6 + [0] * 20 + [2] * 12)
    assert ratio_of(labels, 1) == pytest.approx(0.3)
    assert count_to_add(labels, 1, 1.0) == 14
    assert count_to_add(labels, 1, 0.5) == 4
    assert count_to_add(labels, 1, 2.0) == 34
    assert count_to_add(labels, 1, 0.25) == 0
    assert ratio_of(labels, 1, added=14) == 1.0


def test_duplicates_match_the_synthetic_count_and_are_real_minority_slices(data):
    duplicate = build(ARMS["duplicate"], data, 1.0, seed=0)
    synthetic = build(ARMS["synthetic"], data, 1.0, seed=0)
    assert len(duplicate.labels) == len(synthetic.labels)
    assert (duplicate.labels == 1).sum() == (duplicate.labels == 0).sum()
    added = duplicate.images[len(data.train.labels) :]
    real = data.train.of_class(1)
    which = [int(np.flatnonzero((real == one).all(axis=(1, 2, 3)))[0]) for one in added]
    times = np.bincount(which, minlength=len(real))
    assert times.max() - times.min() <= 1
    assert not duplicate.synthetic.any()


def test_synthetic_slices_are_flagged_and_only_they(data):
    training = build(ARMS["synthetic"], data, 1.0, seed=0)
    is_marked = (training.images == np.float32(MARK)).all(axis=(1, 2, 3))
    assert is_marked.sum() == 14
    assert (training.synthetic == is_marked).all()
    assert (training.labels[is_marked] == 1).all()


@pytest.mark.parametrize("name", [name for name, arm in ARMS.items() if arm.role == "baseline"])
def test_baselines_never_ask_for_a_synthetic_slice(data, name):
    def refuse(count: int, label: int, seed: int) -> np.ndarray:
        raise AssertionError("a baseline asked for synthetic slices")

    assert not build(ARMS[name], replace(data, synthesise=refuse), 1.0, 0).synthetic.any()


def test_weighted_sampling_draws_every_class_equally_often(data):
    sampling = build(ARMS["weighted"], data, 0.3, seed=0).sampling
    assert sampling is not None
    assert sampling.sum() == pytest.approx(1)
    assert [sampling[data.train.labels == c].sum() for c in range(3)] == pytest.approx([1 / 3] * 3)


def test_synthetic_alone_holds_no_real_slice(data):
    training = build(ARMS["tstr"], data, 0.3, seed=0)
    assert (training.images == np.float32(MARK)).all()
    assert training.synthetic.all()
    assert np.bincount(training.labels).tolist() == np.bincount(data.train.labels).tolist()


def test_synthetic_slices_of_another_size_are_refused(data):
    wrong = replace(data, synthesise=lambda count, label, seed: np.zeros((count, 1, 8, 8)))
    with pytest.raises(DataError, match="do not fit"):
        build(ARMS["synthetic"], wrong, 1.0, seed=0)


# --- equal treatment ---


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_gets_the_same_number_of_steps(data, name):
    config = replace(TINY, arms=tuple(ARMS), seeds=1)
    fit = next(fit for fit in planned_fits(data, config) if fit.arm == name)
    steps = []
    train_job(job_for(data, config, fit), lambda: steps.append(1))
    assert len(steps) == TINY.classifier.steps


def test_validation_and_test_hold_real_slices_only(data, monkeypatch):
    seen = []
    train, ask = jobs_module.fit_classifier, jobs_module.predict

    def spy_train(training, images, labels, **settings):
        seen.append(images)
        return train(training, images, labels, **settings)

    def spy_ask(classifier, images):
        seen.append(images)
        return ask(classifier, images)

    monkeypatch.setattr(jobs_module, "fit_classifier", spy_train)
    monkeypatch.setattr(jobs_module, "predict", spy_ask)
    fit = next(fit for fit in planned_fits(data, TINY) if fit.arm == "synthetic")
    train_job(job_for(data, TINY, fit))
    assert [id(images) for images in seen] == [
        id(data.val.images), id(data.val.images), id(data.test.images)
    ]  # fmt: skip
    assert not any((images == np.float32(MARK)).any() for images in seen)


# --- plans and refusals ---


def test_plan_has_every_arm_ratio_and_seed_once(data):
    names = [fit.name for fit in planned_fits(data, replace(TINY, ratios=(0.25, 0.5, 1.0)))]
    assert len(names) == len(set(names)) == 2 * (3 + 2 * 2)
    assert "real-0.3-seed1" in names
    assert "synthetic-0.5-seed0" in names
    assert not any(name.startswith("synthetic-0.25") for name in names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ("real", "magic")}, "'magic' is not known"),
        ({"arms": ("real", "weighted")}, "kind 'synthetic'"),
        ({"arms": ("synthetic",)}, "kind 'baseline'"),
        ({"ratios": (0.1, 0.2)}, "no ratio adds"),
        ({"seeds": 0}, "at least one seed"),
        ({"specificity": 1.0}, "between 0 and 1"),
    ],
)
def test_plans_that_compare_nothing_are_refused(data, change, message):
    with pytest.raises(ConfigError, match=message):
        planned_fits(data, replace(TINY, **change))


def test_a_patient_in_two_splits_is_refused(data):
    leaking = replace(data.test, patients=np.r_[data.train.patients[:2], data.test.patients[2:]])
    with pytest.raises(SplitError, match="1 patients are in both the train and the test"):
        replace(data, test=leaking)
    replace(data, test=leaking, patients_known=False)


def test_a_split_without_the_minority_is_refused(data):
    with pytest.raises(SplitError, match="val split has no slice of meningioma"):
        replace(data, val=split("b", 0, 12, 6))


def test_labels_and_pixels_are_checked(data):
    with pytest.raises(LabelError, match="minority class 3"):
        replace(data, minority=3)
    with pytest.raises(LabelError, match="test split"):
        replace(data, test=replace(data.test, labels=data.test.labels + 1))
    broken = data.val.images.copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match="not finite"):
        replace(data, val=replace(data.val, images=broken))


# --- resuming ---


@pytest.fixture
def counted(monkeypatch):
    trained = []
    original = trainers_module.train_job

    def count(job, advance):
        trained.append(job)
        return original(job, advance)

    monkeypatch.setattr(trainers_module, "train_job", count)
    return trained


def test_only_what_is_missing_is_trained_again(data, tmp_path, counted):
    (first,) = run_fits([data], TINY, tmp_path)
    assert len(counted) == len(first) == 10
    counted.clear()
    (tmp_path / "fits" / "duplicate-1-seed0.npz").unlink()
    (tmp_path / "fits" / "real-0.3-seed1.npz").write_bytes(b"torn")
    (again,) = run_fits([data], TINY, tmp_path)
    assert [(job.seed, len(job.training.labels)) for job in counted] == [(1, 38), (0, 52)]
    assert list(again) == list(first), "the order pairs the seeds of the arms"
    for fit, result in first.items():
        assert (again[fit].test == result.test).all()
        assert (again[fit].validation == result.validation).all()


@pytest.mark.parametrize("what", ["steps", "source", "labels"])
def test_kept_results_of_other_settings_or_data_are_not_used(data, tmp_path, counted, what):
    config = replace(TINY, arms=("real", "synthetic"), seeds=1)
    run_fits([data], config, tmp_path)
    counted.clear()
    if what == "steps":
        config = replace(config, classifier=replace(config.classifier, steps=2))
    elif what == "source":
        data = replace(data, source="another checkpoint")
    else:
        swapped = data.test.labels.copy()
        swapped[[0, -1]] = swapped[[-1, 0]]
        data = replace(data, test=replace(data.test, labels=swapped))
    run_fits([data], config, tmp_path)
    assert len(counted) == 2

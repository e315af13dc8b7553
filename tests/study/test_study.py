"""The study: equal arms, honest mixing, resuming, and verdicts that follow planted effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medimg_gan.classify import ClassifierConfig
from medimg_gan.errors import ConfigError, DataError, LabelError, SplitError
from medimg_gan.metrics.neighbours import CopyCheck
from medimg_gan.study import ARMS, Split, StudyConfig, StudyData, planned_fits, run_study
from medimg_gan.study import fits as fits_module
from medimg_gan.study.analysis import analyse
from medimg_gan.study.arms import build, count_to_add, ratio_of
from medimg_gan.study.exchange import exchange
from medimg_gan.study.fits import FitResult, run_fit, run_fits
from medimg_gan.study.rows import gather_rows, patient_rule, rows_by_patient
from medimg_gan.study.verdict import caveats, verdict

MARK = 0.777
"""Every pixel of a synthetic slice, so that one is known wherever it turns up."""
CLEAN = CopyCheck(synthetic=1.0, held_out=1.0, limit=0.9, too_close=0.05)
TINY = StudyConfig(
    seeds=2,
    resamples=300,
    classifier=ClassifierConfig(width=4, steps=3, batch_size=8, device="cpu"),
)


SEEDED = replace(TINY, seeds=5)
"""Enough trainings for a claim: with two there is one degree of freedom."""


def marked(count: int, label: int, seed: int) -> np.ndarray:
    return np.full((count, 1, 16, 16), MARK, dtype=np.float32)


def split(name: str, rare: int, common: int, other: int, slices: int = 2) -> Split:
    """So many patients of each class, each with some slices; class 1 is rare."""
    labels = np.repeat([1] * rare + [0] * common + [2] * other, slices)
    patients = np.repeat([f"{name}{p}" for p in range(rare + common + other)], slices)
    generator = np.random.default_rng(len(labels))
    images = generator.uniform(-1, 0.5, size=(len(labels), 1, 16, 16)).astype(np.float32)
    return Split(images, labels.astype(np.int64), patients)


@pytest.fixture
def data() -> StudyData:
    return StudyData(
        train=split("a", 3, 10, 6),
        val=split("b", 8, 12, 6),
        test=split("c", 12, 20, 8),
        classes=("glioma", "meningioma", "pituitary"),
        minority=1,
        synthesise=marked,
    )


def planted(data: StudyData, config: StudyConfig, strength: dict[str, float]) -> dict:
    """Results in which the minority's score in an arm has so many standard deviations of lift."""
    results = {}
    for fit in planned_fits(data, config):
        parts = []
        for number, part in enumerate((data.val, data.test)):
            noise = np.random.default_rng([fit.seed, number]).normal(size=len(part.labels))
            logit = noise + strength[fit.arm] * (part.labels == 1)
            chance = 1 / (1 + np.exp(-logit))
            parts.append(np.stack([0.6 * (1 - chance), chance, 0.4 * (1 - chance)], axis=1))
        results[fit] = FitResult(parts[0], parts[1], step=1)
    return results


def judge(data: StudyData, config: StudyConfig, strength: dict[str, float]) -> tuple[str, str]:
    return verdict(data, config, analyse(data, config, planted(data, config, strength)))


# --- what is mixed ---


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


def test_weighted_arms_give_every_class_equal_weight(data):
    sampling = build(ARMS["weighted"], data, 0.3, seed=0).sampling
    assert sampling is not None
    assert sampling.sum() == pytest.approx(1)
    assert [sampling[data.train.labels == c].sum() for c in range(3)] == pytest.approx([1 / 3] * 3)
    weights = build(ARMS["weighted-loss"], data, 0.3, seed=0).loss_weights
    assert weights is not None
    assert weights * np.bincount(data.train.labels) == pytest.approx([38 / 3] * 3)


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
    run_fit(data, config, fit, lambda: steps.append(1))
    assert len(steps) == TINY.classifier.steps


def test_validation_and_test_hold_real_slices_only(data, monkeypatch):
    seen = []
    train, ask = fits_module.fit_classifier, fits_module.predict

    def spy_train(training, images, labels, **settings):
        seen.append(images)
        return train(training, images, labels, **settings)

    def spy_ask(classifier, images):
        seen.append(images)
        return ask(classifier, images)

    monkeypatch.setattr(fits_module, "fit_classifier", spy_train)
    monkeypatch.setattr(fits_module, "predict", spy_ask)
    fit = next(fit for fit in planned_fits(data, TINY) if fit.arm == "synthetic")
    run_fit(data, TINY, fit, lambda: None)
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
    original = fits_module.run_fit

    def count(data, config, fit, advance):
        trained.append(fit.name)
        return original(data, config, fit, advance)

    monkeypatch.setattr(fits_module, "run_fit", count)
    return trained


def test_only_what_is_missing_is_trained_again(data, tmp_path, counted):
    first = run_fits(data, TINY, tmp_path)
    assert len(counted) == len(first) == 10
    counted.clear()
    (tmp_path / "fits" / "duplicate-1-seed0.npz").unlink()
    (tmp_path / "fits" / "real-0.3-seed1.npz").write_bytes(b"torn")
    again = run_fits(data, TINY, tmp_path)
    assert counted == ["real-0.3-seed1", "duplicate-1-seed0"]
    assert list(again) == list(first), "the order pairs the seeds of the arms"
    for fit, result in first.items():
        assert (again[fit].test == result.test).all()
        assert (again[fit].validation == result.validation).all()


@pytest.mark.parametrize("what", ["steps", "source", "labels"])
def test_kept_results_of_other_settings_or_data_are_not_used(data, tmp_path, counted, what):
    config = replace(TINY, arms=("real", "synthetic"), seeds=1)
    run_fits(data, config, tmp_path)
    counted.clear()
    if what == "steps":
        config = replace(config, classifier=replace(config.classifier, steps=2))
    elif what == "source":
        data = replace(data, source="another checkpoint")
    else:
        swapped = data.test.labels.copy()
        swapped[[0, -1]] = swapped[[-1, 0]]
        data = replace(data, test=replace(data.test, labels=swapped))
    run_fits(data, config, tmp_path)
    assert len(counted) == 2


# --- verdicts ---

NULL = dict.fromkeys(ARMS, 1.0)


def test_identical_predictions_give_no_evidence_and_a_difference_of_zero(data):
    analysis = analyse(data, TINY, planted(data, TINY, NULL))
    for found in analysis.by_slice.differences[analysis.decision.candidate.key].values():
        assert (found.mean, found.low, found.high) == (0, 0, 0)
    outcome, sentence = verdict(data, TINY, analysis)
    assert outcome == "no evidence"
    assert sentence.startswith("No evidence that synthetic slices helped: ")
    assert "+0.0 points" in sentence
    assert "12 test patients with meningioma" in sentence


def test_a_planted_gain_is_found(data):
    outcome, sentence = judge(data, SEEDED, {**NULL, "synthetic": 4.0})
    assert outcome == "helped"
    assert sentence.startswith("Synthetic slices helped: meningioma sensitivity at 90 % ")


def test_a_planted_harm_is_found(data):
    outcome, sentence = judge(data, SEEDED, {**dict.fromkeys(ARMS, 4.0), "synthetic": 0.0})
    assert outcome == "hurt"
    assert sentence.startswith("Synthetic slices hurt: ")


def test_too_few_patients_cannot_carry_a_claim(data):
    small = replace(data, test=split("c", 5, 20, 8))
    outcome, sentence = judge(small, TINY, {**NULL, "synthetic": 8.0})
    assert outcome == "cannot tell"
    assert "fewer than 6 such test patients" in sentence


def test_one_training_cannot_carry_a_claim(data):
    outcome, _ = judge(data, replace(TINY, seeds=1), {**NULL, "synthetic": 8.0})
    assert outcome == "cannot tell"


def test_choices_are_made_on_validation_not_on_test(data):
    """Weighted is best on validation and worst on test: it must be the reference all the same."""
    results = planted(data, TINY, NULL)
    good = (data.val.labels == 1).astype(float)
    for fit, result in results.items():
        if fit.arm == "weighted":
            perfect = np.stack([1 - good, good, 0 * good], axis=1)
            results[fit] = replace(result, validation=perfect, test=result.test[::-1].copy())
    analysis = analyse(data, TINY, results)
    assert analysis.decision.reference.arm == "weighted"
    baselines = [row for row in analysis.rows if row.role == "baseline"]
    scores = {row.arm: analysis.by_slice.scores[row.key]["auroc"].mean for row in baselines}
    assert scores["weighted"] == min(scores.values())


def test_caveats_say_what_weakens_the_verdict(data):
    config = replace(TINY, arms=("real", "synthetic"), seeds=1, ratios=(0.2, 1.0))
    small = replace(data, test=split("c", 1, 20, 8), patients_known=False)
    analysis = analyse(small, config, planted(small, config, NULL))
    said = " ".join(caveats(small, config, analysis, replace(CLEAN, too_close=0.4)))
    for part in (
        "Patients are unknown",
        "Only 1 slice with meningioma in the test split",
        "One training per arm",
        "ratio 0.2",
        "duplicates of real slices was not run",
        "40 % of the synthetic slices",
    ):
        assert part in said
    config = replace(TINY, seeds=5)
    large = replace(data, train=split("a", 10, 30, 6), val=split("b", 10, 12, 6))
    analysis = analyse(large, config, planted(large, config, NULL))
    assert caveats(large, config, analysis, CLEAN) == []


def test_a_study_from_arrays_to_a_judgement(data, tmp_path, capsys):
    """End to end on slices where the rare class has a bright corner."""
    for part in (data.train, data.val, data.test):
        part.images[part.labels == 1, :, :6, :6] = 1.0
    config = replace(TINY, arms=("real", "duplicate", "synthetic", "tstr"))
    result = run_study(data, config, tmp_path)
    assert {arm["name"]: arm["added"] for arm in result.report["arms"]} == {
        "real": 0, "duplicate": 14, "synthetic": 14, "tstr": 0
    }  # fmt: skip
    assert result.report["counts"]["test"]["patients"] == {
        "glioma": 20, "meningioma": 12, "pituitary": 8
    }  # fmt: skip
    assert result.report["candidate"]["name"] == "synthetic"
    assert result.report["reference"]["name"] in ("real", "duplicate")
    shapes = {images.shape[1:] for images in result.pictures.values()}
    assert shapes == {(1, 16, 16)}
    assert "8 classifiers" in capsys.readouterr().out


def test_train_on_one_kind_test_on_the_other(data, tmp_path):
    """TRTS asks the real arm about as many synthetic slices as test has; kept like the rest."""
    config = replace(TINY, arms=("real", "synthetic", "tstr"))
    results = run_fits(data, config, tmp_path)
    for kept in (results, run_fits(data, config, tmp_path)):
        for fit, result in kept.items():
            assert (result.synthetic is not None) == (fit.arm == "real")
            if result.synthetic is not None:
                assert result.synthetic.shape == (len(data.test.labels), 3)
    found = exchange(data, config, results)
    assert list(found) == ["trtr", "tstr", "trts"]
    # Every synthetic slice is the same, so nothing tells the classes apart.
    assert found["trts"]["metrics"]["auroc"]["mean"] == pytest.approx(0.5)


def test_a_patient_with_slices_of_both_kinds_is_judged_by_its_highest(data):
    assert patient_rule(data) == "mean"
    mixed = data.train.labels.copy()
    mixed[0] = 0
    assert patient_rule(replace(data, train=replace(data.train, labels=mixed))) == "max"


def test_by_patient_needs_patients_without_the_class(data):
    rows = gather_rows(data, TINY, planted(data, TINY, NULL))
    whole = rows_by_patient(data, TINY, rows)
    assert whole is not None
    assert len(whole[0].test[0].labels) == 40
    assert rows_by_patient(replace(data, patients_known=False), TINY, rows) is None

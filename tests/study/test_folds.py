"""Several folds: each chooses for itself, all are pooled; who trains changes nothing."""

from __future__ import annotations

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest
from small_study import NULL, SEEDED, TINY, marked, planted, split

from medimg_gan.errors import ConfigError, RunError, SplitError
from medimg_gan.metrics.comparison import holm
from medimg_gan.study import ARMS, StudyData, Trainers, planned_fits, run_study
from medimg_gan.study.analysis import analyse
from medimg_gan.study.curves import decisions
from medimg_gan.study.fits import common_ratios, missing_fits, run_fits, train_share
from medimg_gan.study.jobs import job_for
from medimg_gan.study.rows import PRIMARY
from medimg_gan.study.run import _method
from medimg_gan.study.verdict import selection, verdict

TWO_ARMS = replace(TINY, arms=("real", "synthetic"), seeds=1)


def fold(name: str, rare: int = 12, trained: int = 3) -> StudyData:
    return StudyData(
        train=split(f"{name}a", trained, 10, 6),
        val=split(f"{name}b", 8, 12, 6),
        test=split(f"{name}c", rare, 20, 8),
        classes=("glioma", "meningioma", "pituitary"),
        minority=1,
        synthesise=marked,
        source=f"gan {name}",
    )


@pytest.fixture
def folds() -> list[StudyData]:
    return [fold("x"), fold("y", rare=10)]


def praised(data: StudyData, results: dict, arm: str) -> dict:
    """The same results, but validation finds one arm perfect."""
    good = (data.val.labels == 1).astype(float)
    perfect = np.stack([1 - good, good, 0 * good], axis=1)
    return {
        fit: replace(result, validation=perfect) if fit.arm == arm else result
        for fit, result in results.items()
    }


def test_each_fold_chooses_on_its_own_validation_patients_only(folds):
    """The folds prefer different references: the verdict is about each fold's own."""
    results = [
        praised(data, planted(data, SEEDED, NULL), arm)
        for data, arm in zip(folds, ("weighted", "duplicate"), strict=True)
    ]
    analysis = analyse(folds, SEEDED, results)
    reference = analysis.decision.reference
    names = [row.arm for row in analysis.rows]
    assert [names[place] for place in reference.places] == ["weighted", "duplicate"]
    assert [one["name"] for one in selection(reference, analysis.rows)["by_fold"]] == [
        "weighted", "duplicate"
    ]  # fmt: skip
    found = analysis.by_slice.scores[reference.key][PRIMARY].mean
    alone = [analyse([data], SEEDED, [result]) for data, result in zip(folds, results, strict=True)]
    own = [one.by_slice.scores[one.decision.reference.key][PRIMARY].mean for one in alone]
    positives = np.array([24, 20])
    assert found == pytest.approx(own @ positives / 44)
    patients = np.concatenate([data.test.patients for data in folds])
    drawn = {
        row.arm
        for row in analysis.rows
        if "roc" in decisions(row, analysis.decision, patients, TINY)
    }
    assert drawn == {"real", "weighted", "synthetic"}, "those that most folds chose"
    _, sentence = verdict(folds, SEEDED, analysis)
    assert "as each fold's validation chose; weighted sampling in 1 of 2" in sentence
    assert "22 test patients with meningioma of 2 folds" in sentence


def test_a_choice_that_differs_and_the_row_that_most_folds_chose_are_both_corrected(folds):
    """Each arm is good in one fold only: what the folds chose is better than either."""
    arms = ("synthetic", "synthetic-classical")
    config = replace(SEEDED, arms=("real", *arms))
    results = [
        praised(data, planted(data, config, {**dict.fromkeys(ARMS, -1.0), arm: 2.0}), arm)
        for data, arm in zip(folds, arms, strict=True)
    ]
    analysis = analyse(folds, config, results)
    decision = analysis.decision
    assert not decision.candidate.agreed
    row, other = (analysis.by_slice.differences[name, 1.0][PRIMARY].p for name in arms)
    assert decision.difference.p < min(row, other)
    assert decision.adjusted_p == pytest.approx(holm([row, other])[0])


def test_arms_and_ratios_are_those_that_all_folds_have(folds):
    poorer = [folds[0], fold("z", trained=6)]
    config = replace(TINY, ratios=(0.5, 1.0))
    assert common_ratios(folds, config) == (0.5, 1.0)
    assert common_ratios(poorer, config) == (1.0,)
    with pytest.raises(ConfigError, match="no ratio adds"):
        common_ratios(poorer, replace(TINY, ratios=(0.5,)))


def test_a_patient_is_tested_once(folds, tmp_path):
    with pytest.raises(SplitError, match="40 patients are tested in two folds"):
        run_study([folds[0], folds[0]], TINY, tmp_path)


def test_a_study_of_folds_from_arrays_to_a_judgement(folds, tmp_path):
    report = run_study(folds, TWO_ARMS, tmp_path).report
    assert report["folds"] == 2
    assert report["counts"]["test"]["patients"]["meningioma"] == 22
    assert report["counts"]["val"]["patients"]["meningioma"] == 8
    assert report["synthetic_source"] == "gan x; gan y"
    assert "largest other class (20); 1 is" in report["method"]["ratio"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold-1", "fold-2"]
    assert len(list(tmp_path.rglob("*.npz"))) == 4


def test_another_process_gives_the_same_bytes(folds, tmp_path):
    run_fits(folds, TWO_ARMS, tmp_path)
    (path,) = tmp_path.glob("fold-2/fits/synthetic-*.npz")
    before = path.read_bytes()
    path.unlink()
    with Trainers(2) as trainers:  # one job: a second process never starts
        trainers.begin(float("inf"))
        assert trainers.side_by_side == 2
        run_fits(folds, TWO_ARMS, tmp_path, trainers)
    assert path.read_bytes() == before


def test_shares_of_several_processes_make_up_the_whole(folds, tmp_path):
    """As torchrun's ranks do it: each takes every third, the first gathers from the files."""
    missing = missing_fits(folds, TWO_ARMS, tmp_path)
    assert len(missing) == 2 * len(planned_fits(folds[0], TWO_ARMS))
    for rank in range(3):
        assert missing_fits(folds, TWO_ARMS, tmp_path) != []
        train_share(folds, TWO_ARMS, tmp_path, missing[rank::3])
    assert missing_fits(folds, TWO_ARMS, tmp_path) == []


def test_a_process_that_dies_is_told_while_speeds_are_measured_and_while_jobs_are_trained(folds):
    class Dying:
        def submit(self, *_: object) -> Future:
            future: Future = Future()
            future.set_exception(BrokenProcessPool())
            return future

    trainers = Trainers(2)
    trainers._pool = Dying()  # type: ignore[assignment]
    job = job_for(folds[0], TINY, planned_fits(folds[0], TINY)[0])
    with pytest.raises(RunError, match="ended by itself"):
        trainers.seconds_per_step(TINY.classifier, (16, 16), 3)
    with pytest.raises(RunError, match="ended by itself"):
        list(trainers.train([(0, job)], lambda steps: None))


def test_little_work_starts_no_processes():
    with Trainers(2) as trainers:
        trainers.begin(seconds=5)
        assert trainers.side_by_side == 1


def test_the_method_names_the_largest_class_of_each_fold_where_they_differ(folds):
    train = split("w", 3, 12, 6)
    ratio = _method([folds[0], replace(folds[1], train=train)], TWO_ARMS)["ratio"]
    assert "largest other class (fold by fold 20, 24); 1 is balance" in ratio

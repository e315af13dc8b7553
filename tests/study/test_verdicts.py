"""Verdicts that follow planted effects, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_study import CLEAN, NULL, SEEDED, TINY, judge, planted, split

from medimg_gan.study import ARMS, run_study
from medimg_gan.study.analysis import analyse
from medimg_gan.study.exchange import exchange
from medimg_gan.study.fits import run_fits
from medimg_gan.study.rows import gather_rows, patient_rule, rows_by_patient
from medimg_gan.study.verdict import caveats, verdict


def test_identical_predictions_give_no_evidence_and_a_difference_of_zero(data):
    analysis = analyse([data], TINY, [planted(data, TINY, NULL)])
    for found in analysis.by_slice.differences[analysis.decision.candidate.key].values():
        assert (found.mean, found.low, found.high) == (0, 0, 0)
    outcome, sentence = verdict([data], TINY, analysis)
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


def test_harm_has_to_survive_the_choice_of_the_reference_too(data):
    """Of four arms without synthetic slices one is the best by luck; help is harder by itself."""
    for strength, corrected in ((1.5, 4), (2.5, 1)):
        planned = {**dict.fromkeys(ARMS, 2.0), "synthetic": strength}
        analysis = analyse([data], SEEDED, [planted(data, SEEDED, planned)])
        decision = analysis.decision
        assert 0 < decision.difference.p < 0.25
        assert decision.adjusted_p == pytest.approx(corrected * decision.difference.p)
        _, sentence = verdict([data], SEEDED, analysis)
        assert ("after correction for 5 arms and ratios, 4 without" in sentence) == (corrected == 4)


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
    analysis = analyse([data], TINY, [results])
    assert analysis.decision.reference.row.arm == "weighted"
    baselines = [row for row in analysis.rows if row.role == "baseline"]
    scores = {row.arm: analysis.by_slice.scores[row.key]["auroc"].mean for row in baselines}
    assert scores["weighted"] == min(scores.values())


def test_a_gain_that_another_arm_without_synthetic_slices_has_too_is_told(data):
    """All arms are equal; were the reference worse, the gain over it would be its bad luck."""
    analysis = analyse([data], TINY, [planted(data, TINY, NULL)])
    ahead = replace(analysis.decision, difference=replace(analysis.decision.difference, mean=0.1))
    told = "finds as much without synthetic slices"
    assert told not in " ".join(caveats([data], TINY, analysis, CLEAN))
    assert told in " ".join(caveats([data], TINY, replace(analysis, decision=ahead), CLEAN))


def test_caveats_say_what_weakens_the_verdict(data):
    config = replace(TINY, arms=("real", "synthetic"), seeds=1, ratios=(0.2, 1.0))
    small = replace(data, test=split("c", 1, 20, 8), patients_known=False)
    analysis = analyse([small], config, [planted(small, config, NULL)])
    said = " ".join(caveats([small], config, analysis, replace(CLEAN, too_close=0.4)))
    for part in (
        "Patients are unknown",
        "Only 1 slice with meningioma in the test split",
        "One training per arm",
        "ratio 0.2",
        "duplicates of real slices was not run",
        "40 % of the synthetic slices",
    ):
        assert part in said
    assert "independent (their patients are unknown)" in verdict([small], config, analysis)[1]
    config = replace(TINY, seeds=5)
    large = replace(data, train=split("a", 10, 30, 6), val=split("b", 10, 12, 6))
    analysis = analyse([large], config, [planted(large, config, NULL)])
    assert caveats([large], config, analysis, CLEAN) == []
    assert "independent" not in verdict([large], config, analysis)[1]


def test_unequal_specificity_is_told_with_the_difference_at_an_equal_one(data):
    """Validation misleads one arm's threshold; ranks on test are equal, and so is sensitivity."""
    config = replace(SEEDED, arms=("real", "synthetic"))
    results = planted(data, config, {**NULL, "real": 2.0, "synthetic": 2.0})
    for fit, result in results.items():
        if fit.arm == "synthetic":
            bolder = result.validation * np.array([1.0, 0.8, 1.0])
            results[fit] = replace(result, validation=bolder)
    analysis = analyse([data], config, [results])
    assert analysis.decision.difference.mean > 0.03
    (said,) = [one for one in caveats([data], config, analysis, CLEAN) if "equal specif" in one]
    assert said.endswith("By their ROC curves on test, the difference at 90 % is +0.0 points.")


def test_a_gain_of_synthetic_and_classical_needs_an_arm_that_differs_by_synthetic_slices_only(data):
    """Balance and augmentation stand in no other arm together, unless duplicate-classical runs."""
    for arms, said in (((), 1), (("duplicate-classical",), 0)):
        config = replace(
            SEEDED, arms=("real", "duplicate", "classical", *arms, "synthetic-classical")
        )
        results = planted(data, config, {**NULL, "synthetic-classical": 4.0})
        analysis = analyse([data], config, [results])
        found = caveats([data], config, analysis, CLEAN)
        assert sum("may come from these two together" in caveat for caveat in found) == said


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
    (results,) = run_fits([data], config, tmp_path)
    for kept in (results, *run_fits([data], config, tmp_path)):
        for fit, result in kept.items():
            assert (result.synthetic is not None) == (fit.arm == "real")
            if result.synthetic is not None:
                assert result.synthetic.shape == (len(data.test.labels), 3)
    found = exchange([data], config, [results])
    assert list(found) == ["trtr", "tstr", "trts"]
    # Every synthetic slice is the same, so nothing tells the classes apart.
    assert found["trts"]["metrics"]["auroc"]["mean"] == pytest.approx(0.5)


def test_a_patient_with_slices_of_both_kinds_is_judged_by_its_highest(data):
    assert patient_rule([data]) == "mean"
    mixed = data.train.labels.copy()
    mixed[0] = 0
    assert patient_rule([replace(data, train=replace(data.train, labels=mixed))]) == "max"


def test_by_patient_needs_patients_without_the_class(data):
    rows = gather_rows(data, TINY, planted(data, TINY, NULL))
    whole = rows_by_patient([data], TINY, [rows])
    assert whole is not None
    assert len(whole[0][0].test[0].labels) == 40
    assert rows_by_patient([replace(data, patients_known=False)], TINY, [rows]) is None


def test_an_interval_that_was_cut_says_so(data):
    """Two trainings of a small study: t reaches past what shares can differ by."""
    fits = planted(data, TINY, NULL)
    seeds = {fit: fit.seed for fit in fits if fit.arm == "synthetic"}
    for fit, seed in seeds.items():  # one finds all of the minority, one none
        said = np.eye(3)[np.where(data.test.labels == 1, 1 if seed else 0, 0)]
        fits[fit] = replace(fits[fit], test=said)
    analysis = analyse([data], TINY, [fits])
    outcome, sentence = verdict([data], TINY, analysis)
    assert outcome == "no evidence"
    assert "-100.0 to +100.0 (cut there: shares cannot differ by more)" in sentence
    assert "found no difference, however large" in sentence
    assert "cut there" not in judge(data, SEEDED, NULL)[1]

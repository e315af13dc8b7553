"""Each reason rings where the figures say so, and is silent on the other side of its limit."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from medimg_gan.study.reasons import reasons

MEASURE = "minority_sensitivity"


def between(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": mean, "low": low, "high": high}


def arm(name: str, mean: float, difference: dict[str, float]) -> dict[str, Any]:
    return {
        "name": name, "title": name.capitalize(), "ratio": 1.0, "seeds": 5,
        "metrics": {MEASURE: {"mean": mean}}, "difference_to_reference": {MEASURE: difference},
    }  # fmt: skip


def figure(name: str, synthetic: float, real: float) -> dict[str, Any]:
    return {"group": "rare", "name": name, "images": 50, "synthetic": synthetic, "real": real}


def exchange(tstr: tuple[float, float, float]) -> dict[str, Any]:
    return {
        "trtr": {"metrics": {"auroc": between(0.9, 0.86, 0.94)}},
        "tstr": {"metrics": {"auroc": between(*tstr)}},
    }


def stage(name: str, asked: int, kept: int) -> dict[str, Any]:
    return {
        "name": name, "title": f"why {name}", "asked": asked, "kept": kept, "dropped": asked - kept
    }  # fmt: skip


SILENT: dict[str, Any] = {
    "outcome": "no evidence",
    "primary_metric": MEASURE,
    "minority": "rare",
    "patients_known": True,
    "arms": [
        arm("real", 0.70, between(-0.02, -0.05, 0.01)),
        arm("duplicate", 0.72, between(0, 0, 0)),
        arm("classical", 0.71, between(-0.01, -0.05, 0.03)),
        arm("synthetic", 0.73, between(0.01, -0.02, 0.04)),
    ],
    "reference": {"name": "duplicate", "title": "Duplicate", "ratio": 1.0},
    "candidate": {"name": "synthetic", "title": "Synthetic", "ratio": 1.0},
    "difference": {MEASURE: between(0.01, -0.02, 0.06), "auroc": between(0, -0.01, 0.01)},
    "smallest_visible_difference": 0.05,
    "exchange": exchange((0.84, 0.80, 0.88)),
    "fidelity": {
        "features": "toy",
        "figures": [
            figure("coverage", 0.45, 0.8),
            figure("kid", 0.02, 0.01),
            figure("similarity", 0.35, 0.25),
            figure("precision", 0.7, 0.8),
            figure("recall", 0.6, 0.8),
        ],
    },
    "filters": {"stages": [stage("copies", 100, 90), stage("agreement", 90, 60)]},
    "counts": {
        name: {"slices": {"rare": 120}, "patients": {"rare": 12}} for name in ("train", "test")
    },
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SILENT), **changes}


def fidelity(*figures: dict[str, Any]) -> dict[str, Any]:
    named = {one["name"]: one for one in SILENT["fidelity"]["figures"]}
    return {
        "features": "toy",
        "figures": list({**named, **{f["name"]: f for f in figures}}.values()),
    }


def with_reference(score: float) -> list[dict[str, Any]]:
    arms = copy.deepcopy(SILENT["arms"])
    arms[1]["metrics"][MEASURE]["mean"] = score
    return arms


def with_loss(low: float, high: float) -> list[dict[str, Any]]:
    """Real only stays below the reference by 10 points."""
    return [arm("real", 0.62, between(-0.10, low, high)), *SILENT["arms"][1:]]


def train(slices: int, patients: int) -> dict[str, Any]:
    count = {"slices": {"rare": slices}, "patients": {"rare": patients}}
    return {"train": count, "test": SILENT["counts"]["test"]}


def test_figures_without_a_reason_give_none():
    assert reasons(SILENT) == []


@pytest.mark.parametrize(
    ("rings", "silent", "words"),
    [
        pytest.param(
            {"smallest_visible_difference": 0.14},
            {"smallest_visible_difference": 0.14,
             "difference": {MEASURE: between(0.01, -0.02, 0.04)}},
            "too small for a small effect: a gain of 5 points lies within the interval, but with "
            "12 test patients with rare and 5 trainings per arm only a difference of 14 points",
            id="an interval without the gain needs no more patients",
        ),
        pytest.param(
            {"arms": with_reference(0.97)}, {"arms": with_reference(0.94)},
            "already finds 97 % of rare, so less than 5 points are left", id="ceiling",
        ),
        pytest.param(
            {"arms": with_loss(-0.15, -0.05), "difference": {MEASURE: between(-0.02, -0.05, 0.01)}},
            {"arms": with_loss(-0.21, 0.01), "difference": {MEASURE: between(-0.02, -0.05, 0.01)}},
            "duplicate gains 10 points over the real slices alone (95 % interval +5.0 to +15.0), "
            "the arm with synthetic slices 8: balance", id="balance explains it",
        ),
        pytest.param(
            {"fidelity": fidelity(figure("coverage", 0.35, 0.8))},
            {"fidelity": fidelity(figure("coverage", 0.35, 0.8) | {"images": 19})},
            "near 35 % of the test slices of rare (coverage), training slices near 80 %; the "
            "kernel distance to them is 0.02, between real slices 0.01", id="far; too few to say",
        ),
        pytest.param(
            {"fidelity": fidelity(figure("similarity", 0.45, 0.25))},
            {"fidelity": fidelity(figure("similarity", 0.39, 0.25))},
            "MS-SSIM within rare is 0.45, of real slices 0.25", id="alike",
        ),
        pytest.param(
            {"fidelity": fidelity(figure("recall", 0.3, 0.8))},
            {"fidelity": fidelity(figure("recall", 0.3, 0.8), figure("precision", 0.1, 0.8))},
            "30 % of the test slices of rare lie among them (recall)",
            id="a low recall of slices far from real is no lack of variety",
        ),
        pytest.param(
            {"exchange": exchange((0.7, 0.6, 0.8))}, {"exchange": exchange((0.7, 0.5, 0.9))},
            "reaches AUROC 0.70 on real test slices; trained on real ones, 0.90", id="tstr",
        ),
        pytest.param(
            {"filters": {"stages": [stage("copies", 100, 80), stage("agreement", 80, 40)]}},
            {"filters": {"stages": [stage("copies", 100, 80), stage("k-centre", 80, 40)]}},
            "threw 60 % of them away, most for this: why agreement",
            id="k-centre chooses and does not reject",
        ),
        pytest.param(
            {"counts": train(99, 12)}, {"counts": train(100, 10)},
            "99 training slices of 12 patients with rare", id="few slices",
        ),
        pytest.param(
            {"counts": train(300, 9)}, {"counts": train(300, 9), "patients_known": False},
            "300 training slices of 9 patients", id="few patients, where they are known",
        ),
    ],
)  # fmt: skip
def test_each_reason_rings_alone_and_only_past_its_limit(rings, silent, words):
    (said,) = reasons(changed(**rings))
    assert words in said
    assert reasons(changed(**silent)) == []


def test_classical_augmentation_is_no_matter_of_balance():
    chosen = {"name": "classical", "title": "Classical", "ratio": 1.0}
    folds = [{"name": "classical", "ratio": 1.0}, {"name": "duplicate", "ratio": 1.0}]
    found = {"arms": with_loss(-0.15, -0.05), "difference": {MEASURE: between(-0.02, -0.05, 0)}}
    (said,) = reasons(changed(**found, reference=chosen))
    assert "new views of the real slices, not new slices" in said
    (said,) = reasons(changed(**found, reference={**chosen, "by_fold": folds}))
    assert "classical (in most folds) gains" in said


@pytest.mark.parametrize(("mean", "place"), [(0.01, 0), (-0.01, -1)])
def test_a_small_study_is_the_likeliest_reason_only_where_the_estimate_is_a_gain(mean, place):
    said = reasons(
        changed(
            smallest_visible_difference=0.2,
            difference={MEASURE: between(mean, -0.1, 0.12)},
            exchange=exchange((0.6, 0.5, 0.7)),
            counts=train(20, 4),
        )
    )
    assert len(said) == 3
    assert "too small" in said[place]


def test_more_than_all_there_is_cannot_be_claimed():
    (said,) = reasons(changed(smallest_visible_difference=6.77))
    assert "5 trainings per arm no difference would be claimed 8 times in 10" in said


def test_figures_of_slices_before_filters_say_so():
    far = fidelity(figure("coverage", 0, 0.8))
    assert reasons(changed(fidelity=far))[0].startswith("The synthetic slices (before filters) are")
    assert reasons(changed(fidelity=far, filters=None))[0].startswith(
        "The synthetic slices are far"
    )


def test_help_has_reasons_only_where_they_are_true():
    gain = {MEASURE: between(0.08, 0.02, 0.14), "auroc": between(0.03, 0.01, 0.05)}
    said = reasons(changed(outcome="helped", difference=gain))
    assert [words.partition(":")[0] for words in said] == [
        "It is not the balance alone",
        "Classical augmentation does not do the same",
        "It is not where the threshold fell",
        "The synthetic slices hold what tells rare from the rest",
    ]
    assert "duplicate stays 8 points below" in said[0]
    assert "AUROC rises by 3 points (95 % interval +1.0 to +5.0)" in said[2]
    unsure = changed(outcome="helped", difference={**gain, "auroc": between(0.03, -0.01, 0.05)})
    unsure["arms"][1]["difference_to_reference"][MEASURE] = between(0.01, -0.07, 0.09)
    unsure["arms"][2]["difference_to_reference"][MEASURE] = between(0.01, -0.07, 0.09)
    unsure["exchange"] = {}
    assert reasons(unsure) == []


def test_slices_of_all_folds_count_together():
    few = changed(fidelity=fidelity(figure("coverage", 0.35, 0.8) | {"images": 19}))
    assert not any("coverage" in said for said in reasons(few))
    assert any("coverage" in said for said in reasons({**few, "folds": 2}))

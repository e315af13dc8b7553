"""Bands, confusion, changed patients, fidelity: what a report shows besides scores."""

from dataclasses import replace

import numpy as np
import pytest
from small_study import TINY, split

from medimg_gan.metrics import Outcome
from medimg_gan.metrics.operating import sensitivity_at
from medimg_gan.metrics.statistics import draw
from medimg_gan.study import StudyData
from medimg_gan.study.changes import changed_patients
from medimg_gan.study.curves import POINTS, band, confusion
from medimg_gan.study.fidelity import fidelity

LABELS = np.array([1, 1, 0, 0, 2, 1])
PATIENTS = np.array(["doe", "doe", "doe", "roe", "poe", "moe"])


def said(*chances: float) -> Outcome:
    chance = np.array(chances)
    probabilities = np.stack([0.6 * (1 - chance), chance, 0.4 * (1 - chance)], axis=1)
    return Outcome(probabilities, LABELS, 1, 0.5)


def test_confusion_is_the_mean_over_seeds():
    found = confusion([said(0.9, 0.1, 0.1, 0.9, 0.1, 0.9), said(0.9, 0.9, 0.1, 0.1, 0.1, 0.9)])
    assert found["confusion_at_threshold"] == [[2.5, 0.5], [0.5, 2.5]]
    # Rows: 2 of class 0, 3 of class 1, 1 of class 2, which is always taken for class 0.
    assert found["confusion"] == [[1.5, 0.5, 0], [0.5, 2.5, 0], [1, 0, 0]]


def test_changed_patients_have_shares_and_numbers_but_no_names():
    before = [said(0.9, 0.1, 0.1, 0.1, 0.1, 0.9)] * 2
    after = [said(0.9, 0.9, 0.1, 0.9, 0.1, 0.9), said(0.9, 0.1, 0.1, 0.9, 0.1, 0.9)]
    changes = changed_patients(before, after, PATIENTS, known=True)
    assert [(c["minority"], c["slices"], c["reference"], c["candidate"]) for c in changes] == [
        (False, 1, 0.0, 1.0), (True, 2, 0.5, 0.75)
    ]  # fmt: skip
    assert {c["patient"] for c in changes} <= {f"test patient {n}" for n in range(1, 5)}
    assert changes[0]["patient"] != changes[1]["patient"]
    renamed = np.array([f"{name}-{k}" for k, name in enumerate(PATIENTS)])
    assert changed_patients(before, after, renamed, known=False)[0]["patient"].startswith("test sl")
    assert changed_patients(before, before, PATIENTS, known=True) == []


def test_a_band_holds_its_mean_and_widens_with_fewer_patients():
    generator = np.random.default_rng(0)

    def found(patients: int) -> dict:
        labels = np.arange(patients) % 2
        outcomes = []
        for _ in range(3):
            chance = np.clip(generator.normal(0.4 + 0.2 * labels, 0.2), 0, 1)
            outcomes.append(Outcome(np.stack([1 - chance, chance], axis=1), labels, 1, 0.5))
        draws = draw(np.arange(patients), 3, resamples=100, seed=0, positive=labels == 1)
        return {k: np.array(v) for k, v in band(sensitivity_at, outcomes, draws).items()}

    few, many = found(20), found(400)
    assert np.allclose(few["x"], POINTS)
    for one in (few, many):
        assert (one["low"] <= one["mean"] + 0.02).all()
        assert (one["mean"] <= one["high"] + 0.02).all()
    assert (few["high"] - few["low"]).mean() > 2 * (many["high"] - many["low"]).mean()


@pytest.fixture(scope="module")
def figures() -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medimg_gan.study.fidelity.MOST", 18)
        return measured()


def measured() -> dict:
    train, test = split("a", 8, 10, 6), split("c", 9, 20, 8)
    data = StudyData(
        train, split("b", 8, 12, 6), test, ("glioma", "meningioma", "pituitary"), 1,
        synthesise=lambda count, label, seed: train.of_class(label)[:count],
    )  # fmt: skip
    still = replace(data, synthesise=lambda count, label, seed: np.zeros((count, 1, 16, 16)))
    found = {}
    for name, folds in (("copies", [data]), ("still", [still]), ("both", [data, still])):
        for figure in fidelity(folds, TINY)["figures"]:
            found[name, figure["group"], figure["name"]] = figure
    return found


def test_copies_of_training_slices_reach_the_floor_and_one_picture_does_not(figures):
    copies, still = (figures[name, "meningioma", "frechet"] for name in ("copies", "still"))
    assert copies["images"] == 16
    assert copies["synthetic"] == pytest.approx(copies["real"], rel=1e-4)
    assert still["synthetic"] > 2 * still["real"] == pytest.approx(2 * copies["real"])
    assert figures["still", "meningioma", "similarity"]["synthetic"] > 0.99
    assert figures["still", "meningioma", "similarity"]["higher_is_better"] is None


def test_figures_are_means_over_folds_of_the_minority_and_of_all(figures):
    for group in ("meningioma", "all classes"):
        parts = [figures[name, group, "coverage"]["synthetic"] for name in ("copies", "still")]
        assert figures["both", group, "coverage"]["synthetic"] == pytest.approx(np.mean(parts))

"""Filters of synthetic slices: each throws away what was planted, and knows training only."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_kinds import CONFIG, KINDS, RARE, data_of_kinds, drawn, flat_features
from small_study import TINY

from medimg_gan.errors import ConfigError, DataError
from medimg_gan.study import Split, StudyData, filter_fits, planned_fits
from medimg_gan.study.arms import build, find_arm, stages_of
from medimg_gan.study.filter_report import joined, report_filters
from medimg_gan.study.filters import Sieve, check_needs, filtered
from medimg_gan.study.kept import Kept


@pytest.fixture(scope="module", autouse=True)
def flat():
    with flat_features():
        yield


@pytest.fixture(scope="module")
def data() -> StudyData:
    return data_of_kinds()


@pytest.fixture(scope="module")
def sieve(data) -> Sieve:
    return Sieve(data, CONFIG, RARE)


def kinds_kept(sieve: Sieve, stage: str) -> dict[str, float]:
    """The share of each kind that a stage keeps."""
    some = sieve._batch(0, 0)
    kept = sieve._scores(stage, some, np.arange(64)) >= sieve.fitted(stage).least
    return {kind: float(kept[place::4].mean()) for place, kind in enumerate(KINDS)}


def test_copies_throws_away_copies(sieve):
    kept = kinds_kept(sieve, "copies")
    assert kept["copy"] == 0
    assert min(kept["fresh"], kept["noise"]) >= 0.8


def test_density_throws_away_what_lies_off_the_manifold(sieve):
    kept = kinds_kept(sieve, "density")
    assert kept["noise"] == 0
    assert kept["fresh"] >= 0.8


def test_agreement_throws_away_slices_of_another_class(sieve):
    kept = kinds_kept(sieve, "agreement")
    assert kept["other class"] == 0
    assert kept["fresh"] >= 0.8


def test_critic_keeps_what_it_scores_like_three_quarters_of_the_training_slices(data):
    def brightness(images: np.ndarray, label: int) -> np.ndarray:
        return images.mean(axis=(1, 2, 3)) + label

    least = np.quantile(brightness(data.train.of_class(RARE), RARE), 0.25)
    passed = Sieve(replace(data, critique=brightness), CONFIG, RARE).draw(("critic",), 20, 0)
    assert (brightness(passed.images, RARE) >= least).all()
    assert (brightness(passed.tallies[0].thrown, RARE) < least).all()
    with pytest.raises(ConfigError, match="needs the critic"):
        Sieve(data, CONFIG, RARE).draw(("critic",), 5, 0)


def test_stages_are_asked_in_the_order_given(sieve):
    """The same slices pass; each is thrown away by the first stage that refuses it."""
    one = sieve.draw(("copies", "density"), 12, seed=0)
    other = sieve.draw(("density", "copies"), 12, seed=0)
    assert (one.images == other.images).all()
    for passed, first in ((one, "copies"), (other, "density")):
        before, after = passed.tallies
        assert (before.stage, before.asked) == (first, passed.drawn)
        assert after.asked == before.asked - len(before.thrown)


def test_equal_arguments_give_equal_slices_whatever_was_drawn_before(data, sieve):
    chain = ("copies", "agreement", "density", "k-centre")
    used = sieve.draw(chain, 10, seed=1).images
    fresh = Sieve(data, CONFIG, RARE)
    assert (fresh.draw(chain, 10, seed=1).images == used).all()
    assert not (fresh.draw(chain, 10, seed=2).images == used).all()


def test_k_centre_chooses_as_many_as_needed_from_twice_as_many(sieve):
    passed = sieve.draw(("density", "k-centre"), 20, seed=0)
    choice = passed.tallies[-1]
    assert choice.asked >= 40
    assert len(choice.thrown) == choice.asked - 20
    assert passed.different == len(np.unique(passed.images, axis=0)) == 20


def test_too_few_are_repeated_evenly_and_none_is_told(data):
    random = np.random.default_rng(0)
    noise = random.uniform(-1, 1, (64, 1, 16, 16)).astype(np.float32)
    mostly = replace(data, synthesise=lambda *_: np.r_[drawn(np.ones(1), 7), noise[1:]])
    passed = Sieve(mostly, CONFIG, RARE).draw(("density",), 25, 0)
    assert passed.drawn == 256  # the first whole batches beyond ten times as many
    assert passed.different == 4
    assert len(passed.images) == 25
    none = Sieve(replace(data, synthesise=lambda *_: noise), CONFIG, RARE).draw(("density",), 5, 0)
    assert (none.different, len(none.images), none.losses) == (
        0,
        0,
        "thrown away by density: 64 of 64",
    )


def test_validation_and_test_slices_are_never_read(data):
    class Closed:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"a filter read {name} of a split that is not training")

    closed = replace(data, critique=lambda images, label: np.zeros(len(images)))
    for name in ("val", "test"):
        object.__setattr__(closed, name, Closed())
    everything = ("critic", "copies", "agreement", "density", "k-centre")
    assert len(Sieve(closed, CONFIG, RARE).draw(everything, 5, 0).images) == 5


def test_neighbouring_slices_of_a_patient_do_not_narrow_the_manifold(data):
    """Six almost equal slices per patient: a new patient must still lie among the training's."""
    rare = data.train.of_class(RARE)[::2]
    random = np.random.default_rng(3)
    near = np.repeat(rare, 6, axis=0)
    near = (near + random.normal(0, 0.002, near.shape)).clip(-1, 1).astype(np.float32)
    common = data.train.of_class(0)
    patients = np.r_[np.repeat(np.arange(12), 6), 100 + np.arange(len(common))]
    labels = np.r_[np.ones(len(near), np.int64), np.zeros(len(common), np.int64)]
    train = Split(np.concatenate([near, common]), labels, patients)
    kept = kinds_kept(Sieve(replace(data, train=train), CONFIG, RARE), "density")
    assert kept["fresh"] >= 0.5  # radii within a patient would let none pass
    assert kept["noise"] == 0


def test_what_a_filter_needs_is_told_before_there_is_a_generator(data):
    """The training slices of the class are all of one patient; nobody synthesises."""
    patients = np.where(data.train.labels == RARE, "one", data.train.patients)
    alone = replace(data, train=replace(data.train, patients=patients), synthesise=None)
    needs = {"density": "of one patient", "copies": "of one patient", "agreement": "holds training"}
    for stage, told in needs.items():
        config = replace(CONFIG, arms=("real", "filtered"), filters=(stage, "k-centre"))
        check_needs(data, config)
        with pytest.raises(DataError, match=told):
            check_needs(alone, config)
    check_needs(alone, replace(CONFIG, arms=("real", "synthetic")))


def test_the_classifier_of_agreement_is_the_same_on_any_number_of_cores(data, monkeypatch):
    threads = []
    monkeypatch.setattr(filter_fits, "fit_classifier", lambda *_, **__: threads.append(count()))
    count, before = torch.get_num_threads, torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        Sieve(data, CONFIG, RARE).fitted("agreement")
        assert (threads, count()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


# --- arms ---


def test_a_filtered_arm_adds_as_many_slices_as_the_others(data):
    config = replace(CONFIG, filters=("copies", "density"))
    plain = build(find_arm("synthetic"), filtered(data, config, "synthetic"), 1.0, 0)
    sifted = build(find_arm("filtered"), filtered(data, config, "filtered"), 1.0, 0)
    assert len(sifted.labels) == len(plain.labels)
    assert (sifted.synthetic == plain.synthetic).all()
    assert filtered(data, config, "synthetic") is data


def test_arms_name_their_stages():
    assert stages_of("filtered", ("density",)) == ("density",)
    assert stages_of("filtered-classical:copies+k-centre", ("density",)) == ("copies", "k-centre")
    assert stages_of("synthetic", ("density",)) == ()
    assert find_arm("filtered:copies+k-centre").title == "Filtered: copies, k-centre"


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("filtered:magic", "'magic' is not known"),
        ("filtered:k-centre+copies", "name it last"),
        ("filtered:copies+copies", "each once"),
        ("filtered:", "'' is not known"),
        ("synthetic:copies", "only filtered arms"),
    ],
)
def test_chains_that_cannot_be_are_refused_with_the_plan(data, arm, message):
    with pytest.raises(ConfigError, match=message):
        planned_fits(data, replace(CONFIG, arms=("real", "synthetic", arm)))
    if arm.startswith("filtered:"):
        stages = tuple(arm.removeprefix("filtered:").split("+"))
        with pytest.raises(ConfigError, match=message):
            planned_fits(data, replace(CONFIG, arms=("real", "filtered"), filters=stages))


def test_kept_results_of_another_chain_are_not_used(data, tmp_path):
    config = replace(CONFIG, arms=("real", "filtered", "filtered:copies"), seeds=1)
    other = replace(config, filters=("density",))
    same = {
        fit.arm: Kept(tmp_path, data, config).fingerprint(fit)
        == Kept(tmp_path, data, other).fingerprint(fit)
        for fit in planned_fits(data, config)
    }
    assert same == {"real": True, "filtered": False, "filtered:copies": True}
    assert not any(":" in fit.name for fit in planned_fits(data, config))


# --- the report ---


def test_the_report_shows_what_was_thrown_away_and_why(data):
    chain = ("copies", "agreement", "density")
    config = replace(CONFIG, arms=("real", "synthetic", "filtered"), filters=chain)
    found = report_filters(data, config)
    assert found.figures is not None
    stages = found.figures["stages"]
    assert [stage["name"] for stage in stages] == list(chain)
    assert stages[0]["asked"] == found.figures["made"]
    for before, after in itertools.pairwise(stages):
        assert before["asked"] - before["dropped"] == before["kept"] == after["asked"]
    assert found.figures["kept"] == 24  # as many as balance needs
    assert found.caveats == {}
    assert found.left_out == ()
    copies = found.pictures["Thrown away: nearly a copy of a training slice"]
    nearest = found.pictures[
        "Nearest real training slice to those nearly a copy of a training slice"
    ]
    assert np.abs(copies - nearest).max() < 0.01
    assert len(copies) == 10
    assert any("taken for another class (common 10)" in title for title in found.pictures)
    assert report_filters(data, TINY).figures is None
    both = joined([found, found])
    assert both.figures is not None
    assert both.figures["kept"] == 48
    assert [stage["dropped"] for stage in both.figures["stages"]] == [
        2 * stage["dropped"] for stage in stages
    ]
    assert [row["arm"] for row in both.figures["arms"]] == [
        "filtered (fold 1)",
        "filtered (fold 2)",
    ]

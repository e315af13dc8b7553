"""Arms whose filters let next to nothing pass: they are left out, and the others run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_kinds import CONFIG, RARE, data_of_kinds, drawn, flat_features

from medimg_gan.errors import DataError
from medimg_gan.metrics.comparison import holm
from medimg_gan.metrics.features import FEATURES, Extractor
from medimg_gan.study import StudyData, run_study
from medimg_gan.study.cost import asks_classifier, seconds_per_slice, slices_described
from medimg_gan.study.fidelity import fidelity
from medimg_gan.study.filter_report import sift
from medimg_gan.study.filters import Sieve
from medimg_gan.study.rows import PRIMARY


@pytest.fixture(scope="module", autouse=True)
def flat():
    with flat_features():
        yield


@pytest.fixture(scope="module")
def data() -> StudyData:
    return data_of_kinds()


def rejected(data: StudyData, when=lambda seed: True) -> StudyData:
    """The same generator, but for some seeds of the filters' draws it makes noise."""
    noise = np.random.default_rng(0).uniform(-1, 1, (512, 1, 16, 16)).astype(np.float32)

    def synthesise(count: int, label: int, seed: int) -> np.ndarray:
        return noise[:count] if when(seed) else data.synthesise(count, label, seed)

    return replace(data, synthesise=synthesise)


SOME = replace(
    CONFIG,
    arms=("real", "synthetic", "filtered", "filtered:copies"),
    filters=("density",),
    seeds=2,
    classifier=replace(CONFIG.classifier, steps=2),
)


def test_an_arm_that_nothing_passes_is_left_out_and_the_others_run(data, tmp_path):
    result = run_study(rejected(data), SOME, tmp_path)
    report, ran = result.report, ("real", "synthetic", "filtered:copies")
    assert tuple(arm["name"] for arm in report["arms"]) == ran
    assert {path.name.split("-1-")[0] for path in tmp_path.rglob("*.npz")} == {
        "real-0.5-seed0.npz", "real-0.5-seed1.npz", "synthetic", "filtered-copies"
    }  # fmt: skip
    raw = [report["arms"][place]["difference_to_reference"][PRIMARY]["p"] for place in (1, 2)]
    assert [arm["p_holm"] for arm in report["arms"][1:]] == pytest.approx(holm(raw))
    (said,) = [caveat for caveat in report["caveats"] if "left out" in caveat]
    assert said.startswith("Filtered (filtered) was left out: of 256 synthetic slices drawn")
    assert "0 passed (24 were wanted; thrown away by density: 256 of 256)" in said
    assert [row["left_out"] for row in report["filters"]["arms"]] == [True, False]
    assert len(result.pictures["Thrown away: unlike any training slice"]) == 10
    assert report["config"]["arms"] == list(SOME.arms)  # as asked for


def test_where_no_synthetic_arm_is_left_nothing_is_trained(data, tmp_path):
    alone = replace(SOME, arms=("real", "duplicate", "filtered"))
    with pytest.raises(DataError, match="leave no arm with synthetic slices of rare") as refused:
        run_study(rejected(data), alone, tmp_path)
    assert "density: 256 of 256" in refused.value.observed
    assert not list(tmp_path.rglob("*.npz"))


def test_one_seed_without_a_slice_leaves_the_arm_out(data):
    """Found before it trains, not at its last seed."""
    bad = {int(np.random.SeedSequence([1, 4, n]).generate_state(1)[0]) for n in range(4)}
    report = sift([rejected(data, lambda seed: seed in bad)], SOME)
    assert report.left_out == ("filtered",)
    assert "seed 1, 0 passed" in report.caveats["filtered"]


def test_one_fold_without_a_slice_leaves_the_arm_out_of_all(data):
    report = sift([data, rejected(data)], SOME)
    assert report.left_out == ("filtered",)
    assert report.caveats["filtered, fold 2"].startswith("Fold 2: Filtered (filtered) was left out")
    assert report.of_running(SOME).arms == ("real", "synthetic", "filtered:copies")
    assert sift([data, rejected(data)], SOME).left_out == report.left_out  # of a repetition too


def test_a_hundredth_of_the_slices_and_one_must_pass(data):
    noise = np.random.default_rng(0).uniform(-1, 1, (64, 1, 16, 16)).astype(np.float32)
    one_each = replace(data, synthesise=lambda *_: np.r_[drawn(np.ones(1), 7), noise[1:]])
    sieve = Sieve(one_each, CONFIG, RARE)
    assert sieve.lets_through(("density",), 200, 0)  # two of two batches: there it stops
    assert sorted(sieve._drawn) == [(0, 0), (0, 1)]
    first = np.random.SeedSequence([0, 4, 0]).generate_state(1)[0]
    one = rejected(one_each, lambda seed: seed != first)  # one passes, however many are drawn
    sieve = Sieve(one, CONFIG, RARE)
    assert sieve.lets_through(("density",), 100, 0)
    assert not sieve.lets_through(("density",), 101, 0)


# --- what it costs ---


def test_slices_that_are_described_are_counted_before(data, monkeypatch):
    """All of fidelity's, and the filters' where half pass: 24 training slices, 24 for balance."""
    described = []

    class Counted(Extractor):
        def __call__(self, images: np.ndarray) -> np.ndarray:
            described.append(len(images))
            return super().__call__(images)

    monkeypatch.setitem(FEATURES, "flat", lambda *_: Counted("flat", torch.nn.Flatten()))
    plain = replace(SOME, arms=("real", "synthetic"))
    fidelity([replace(data)], plain)
    assert sum(described) == slices_described(data, plain) == 3 * (24 + 24 + 48)
    expected = 3 * 96 + 24 + 2 * 64  # whole batches, of each of two seeds
    assert slices_described(data, SOME) == expected
    choosy = replace(SOME, filters=("copies", "k-centre"), seeds=1)
    assert slices_described(data, choosy) == 3 * 96 + 24 + 128
    assert seconds_per_slice(data, SOME) > 0
    assert [asks_classifier(replace(SOME, filters=(one,))) for one in ("agreement", "copies")] == [
        True, False
    ]  # fmt: skip

"""Looks at samples: what they leave, what they must not touch, best weights and early stop."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from toy_gan import Signalling, same_bits, weights_of
from watched_gan import (
    NUMBERED,
    SPEC,
    TRAINING,
    WatchedConfig,
    WatchedGan,
    images_of,
    reference,
    stream,
    watched_engine,
)

from medimg_gan.engine import watch as watching
from medimg_gan.engine.alarms import copying
from medimg_gan.engine.checkpoint import load_weights, read_tensors
from medimg_gan.engine.look import Looker, shrunk
from medimg_gan.engine.watch import WEIGHTS_BEST, Plateau, Watch, read_best

LEARNING = WatchedConfig(makes="learnt", generator_rate=0.05, critic_rate=1e-3)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def looks_of(folder):
    return [row for row in rows_of(folder) if "live/kid_pooled" in row]


def test_looking_changes_nothing_of_the_training(tmp_path):
    looked, alone = (
        watched_engine(tmp_path / name, LEARNING, steps=12, every=every)
        for name, every in (("looked", 3), ("alone", None))
    )
    looked.fit()
    alone.fit()
    assert same_bits(weights_of(looked), weights_of(alone))
    one, other = ((tmp_path / n / "weights.pt").read_bytes() for n in ("looked", "alone"))
    assert one == other
    losses = [
        [row["loss/critic"] for row in rows_of(tmp_path / name) if "loss/critic" in row]
        for name in ("looked", "alone")
    ]
    assert losses[0] == losses[1]


def test_a_look_leaves_every_figure_beside_its_floor(tmp_path):
    watched_engine(tmp_path, LEARNING, steps=4, every=2).fit()
    assert [row["step"] for row in looks_of(tmp_path)] == [2, 4]
    names = ("kid_pooled", "precision_pooled", "recall_pooled", "coverage_pooled",
             "similarity_pixels", "spectrum_pixels", "histogram_pixels")  # fmt: skip
    expected = {f"{kind}/{name}" for kind in ("live", "floor") for name in names} | {
        "live/diversity", "live/diversity/left", "live/variety", "live/nearness", "live/too_close",
        "live/copies", "live/critic_accuracy", "live/critic_accuracy_held_out", "live/seconds",
    }  # fmt: skip
    assert expected <= looks_of(tmp_path)[0].keys()


def test_figures_of_a_perfect_generator_are_those_of_real_images():
    recipe = WatchedGan(WatchedConfig(), SPEC).eval()
    found = Looker(reference(), SPEC.classes, (), seed=0).figures(recipe)
    assert found["live/diversity"] == pytest.approx(1, abs=0.15)
    assert found["live/variety"] == pytest.approx(1, abs=0.15)
    assert found["live/nearness"] == pytest.approx(1, abs=0.25)
    assert abs(found["live/kid_pooled"]) < 3 * found["live/kid_pooled_error"]
    again = Looker(reference(), SPEC.classes, (), seed=0).figures(recipe)
    again.pop("live/critic_overfitting", None)  # fakes for the critic are drawn anew
    assert {k: v for k, v in again.items() if "critic" not in k} == {
        k: v for k, v in found.items() if "critic" not in k
    }


def test_numbers_do_not_pass_for_diversity():
    """Eight patients of eight slices each: a patient's own slices are alike, if not in position."""
    recipe = WatchedGan(WatchedConfig(), NUMBERED).eval()
    torch.manual_seed(3)
    patients = torch.arange(64) // 8
    told = {"label": patients % 2, "numbers": torch.linspace(-1, 1, 8).repeat(8)[:, None]}
    noise = torch.randn(8, recipe.latent)[patients]
    held_out = {"image": images_of(noise, told["label"], told["numbers"]), **told}
    seen = replace(reference(), held_out=held_out, training=held_out, patients=patients.numpy())
    by_numbers, without = (
        Looker(seen, SPEC.classes, names, seed=0).figures(recipe)["live/diversity"]
        for names in (NUMBERED.numbers, ())
    )
    assert by_numbers == pytest.approx(1, abs=0.2)
    assert without < 0.8 * by_numbers


def test_critic_overfitting_is_the_share_of_the_way_to_the_fakes():
    recipe = WatchedGan(WatchedConfig(makes="training"), SPEC)
    means = {"train": 3.0, "held out": 1.5, "fake": 1.0}

    def scores(batch):
        seen = torch.equal(batch["image"], TRAINING["image"][: len(batch["image"])])
        real = means["train" if seen else "held out"]
        values = {"critic/real": real, "critic/fake": means["fake"], "critic/accuracy": 1.0}
        return {name: torch.tensor(value) for name, value in values.items()}

    recipe.scores = scores
    found = Looker(reference(), SPEC.classes, (), seed=0).figures(recipe)
    assert found["live/critic_overfitting"] == pytest.approx(0.75)  # (3 - 1.5) / (3 - 1)


def test_the_strip_shows_each_sample_above_its_nearest_training_slice(tmp_path):
    looker = Looker(reference(), SPEC.classes, (), seed=0)
    noisy = TRAINING["image"][:16] + 0.01 * torch.randn(16, 1, 32, 32)
    strip = looker.strip(noisy)
    chosen = np.unique(np.linspace(0, 15, 8).round().astype(int))
    torch.testing.assert_close(strip["neighbour"], TRAINING["image"][chosen])
    torch.testing.assert_close(strip["sample"], noisy[chosen])
    assert all(len(np.unique(number)) > 1 for number in strip["distance"])  # something is written
    watched_engine(tmp_path, LEARNING, steps=2, every=2).fit()
    with Image.open(tmp_path / "samples" / "neighbours_step_000002.png") as picture:
        assert picture.size == (8 * 34 + 2, 3 * 36)  # a grid a row, its own margin around each


def test_slices_are_shrunk_by_the_mean_of_blocks():
    image = np.arange(128 * 128, dtype=np.float32).reshape(1, 1, 128, 128)
    assert shrunk(image).shape == (1, 1, 64, 64)
    assert shrunk(image)[0, 0, 0, 0] == np.mean([0, 1, 128, 129])
    assert shrunk(image[..., :32, :32]).shape == (1, 1, 32, 32)


def test_the_best_weights_are_those_of_the_look_with_the_lowest_distance(tmp_path):
    engine = watched_engine(tmp_path, LEARNING, steps=20, every=4)
    kept = {}
    look = engine.watch.look

    def noted(engine):
        stop = look(engine)
        kept[engine.step] = engine.ema.recipe.generator.weight.clone()
        return stop

    engine.watch.look = noted
    engine.fit()
    distances = {row["step"]: row["live/kid_pooled"] for row in looks_of(tmp_path)}
    repeats = {row["step"]: bool(copying(row)) for row in looks_of(tmp_path)}
    best = min(distances, key=lambda step: (repeats[step], distances[step]))
    facts = read_best(tmp_path)
    assert facts["step"] == best
    assert facts["distance"] == distances[best]
    assert facts["features"] == "pooled"
    fresh = WatchedGan(LEARNING, SPEC)
    load_weights(tmp_path / WEIGHTS_BEST, fresh)
    assert torch.equal(fresh.generator.weight, kept[best])


def test_stopped_and_resumed_the_same_best_weights_are_kept(tmp_path):
    watched_engine(tmp_path / "a", LEARNING, steps=20, every=4).fit()
    stops = Signalling(at=25)

    def disturbed(position):
        stops(position)
        return stream(position)

    with pytest.raises(KeyboardInterrupt):
        watched_engine(tmp_path / "b", LEARNING, steps=20, every=4, stream=disturbed).fit()
    resumed = watched_engine(tmp_path / "b", LEARNING, steps=20, every=4)
    resumed.fit()
    one, other = ((tmp_path / name / WEIGHTS_BEST).read_bytes() for name in "ab")
    assert one == other
    one, other = (
        [{k: v for k, v in row.items() if k != "live/seconds"} for row in looks_of(tmp_path / name)]
        for name in "ab"
    )
    assert one == other


def test_better_weights_of_a_part_that_was_killed_are_not_lost(tmp_path):
    watched_engine(tmp_path, LEARNING, steps=8, every=4).fit()
    facts = read_best(tmp_path)
    content = read_tensors(tmp_path / WEIGHTS_BEST)
    later = {**content, "facts": {**facts, "step": 15, "distance": -1.0}}
    torch.save(later, tmp_path / WEIGHTS_BEST)
    watched_engine(tmp_path, LEARNING, steps=12, every=4).fit()
    assert read_best(tmp_path)["step"] == 15
    # Another extractor's distances are on another scale.
    torch.save({**later, "facts": {**later["facts"], "features": "x"}}, tmp_path / WEIGHTS_BEST)
    watched_engine(tmp_path, LEARNING, steps=16, every=4).fit()
    assert read_best(tmp_path)["step"] == 16


def test_a_plateau_counts_looks_without_more_than_the_standard_error():
    plateau = Plateau(patience=2)
    for step, distance in enumerate((5.0, 4.0, 3.8, 3.5), start=1):
        plateau.see(step, distance, 0.4)
    assert (plateau.best, plateau.at, plateau.waited) == (3.5, 4, 0)  # 3.8 was within the error
    plateau.see(5, 3.4, 0.4)
    assert not plateau.reached
    plateau.see(6, 3.3, 0.4)
    assert plateau.reached
    assert not Plateau(patience=0, waited=9).reached


def test_looks_with_copies_are_no_improvement():
    plateau = Plateau(patience=2)
    plateau.see(1, 5.0, 0.1)
    plateau.see(2, 1.0, 0.1, copies=True)
    plateau.see(3, 0.5, 0.1, copies=True)
    assert plateau.reached
    assert (plateau.best, plateau.at) == (5.0, 1)


COPIES = {"live/duplicates": 9.0}


@pytest.mark.parametrize(
    ("copies", "best", "words"),
    [
        ({12: COPIES}, 8, ""),  # the last look is the nearest to held-out slices, and repeats
        ({4: COPIES, 8: COPIES, 12: COPIES}, 12, "for want of a look without duplicates"),
        ({4: COPIES, 8: COPIES, 12: {"live/nearness": 0.1}}, 12, "without memorisation"),
    ],
)
def test_weights_that_repeat_images_are_best_only_where_all_do(
    tmp_path, monkeypatch, capsys, copies, best, words
):
    engine = watched_engine(tmp_path, LEARNING, steps=12, every=4)
    distances = {4: 0.3, 8: 0.2, 12: 0.1}

    def figures(looker, recipe):
        found = {"live/kid_pooled": distances[engine.step], "live/kid_pooled_error": 0.01}
        return found | copies.get(engine.step, {})

    monkeypatch.setattr(Looker, "figures", figures)
    engine.fit()
    kept = read_best(tmp_path)
    assert kept["step"] == best
    assert bool(kept["copying"]) == bool(words)
    last = [line for line in capsys.readouterr().out.splitlines() if "look at step 12" in line][-1]
    assert (words in last) if words else last.endswith("best so far at step 8")


def test_a_training_that_only_ever_repeats_stops_and_says_why(tmp_path, capsys):
    config = WatchedConfig(makes="training", generator_rate=0.0)
    engine = watched_engine(tmp_path, config, steps=40, every=4, patience=2)
    engine.fit()
    assert engine.step == 8
    assert "stopping: all 2 looks found copies" in capsys.readouterr().out


def test_training_stops_on_a_plateau_and_stays_stopped(tmp_path, capsys):
    config = WatchedConfig(generator_rate=0.0)
    engine = watched_engine(tmp_path, config, steps=40, every=4, patience=2)
    engine.fit()
    assert engine.step == 12  # the first look improves on nothing, two more do not on it
    assert (tmp_path / "weights.pt").exists()
    printed = capsys.readouterr().out
    assert "in 2 looks nothing was better than the" in printed
    assert "of step 4 by more than its standard error" in printed
    again = watched_engine(tmp_path, config, steps=40, every=4, patience=2)
    again.fit()
    assert again.step == 12


def test_a_look_that_fails_is_said_and_training_goes_on(tmp_path, capsys):
    broken = replace(reference(), extractors={"pooled": lambda images: 1 / 0})
    engine = watched_engine(tmp_path, LEARNING, steps=4, every=2, seen=broken)
    engine.fit()
    assert engine.step == 4
    printed = capsys.readouterr().out
    assert "the look at step 2 failed; training goes on\n  ZeroDivisionError" in printed
    assert "the look at step 4 failed" in printed
    assert not (tmp_path / WEIGHTS_BEST).exists()


def test_looks_by_the_clock_take_a_twentieth_of_the_time(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("medimg_gan.engine.watch.time.monotonic", lambda: now[0])
    engine = watched_engine(tmp_path, steps=None, minutes=20, every=1)
    watch, spent, costs = engine.watch, 0.0, iter([12.0] + [4.0] * 99)

    def slow(engine, reference):
        nonlocal spent
        spent += (cost := next(costs))
        now[0] += cost

    watch._look = slow
    watch.start(engine)
    begun, times = now[0], []
    while now[0] - begun < 1200:
        assert not watch.due(1, wanted=False)  # steps do not count
        if watch.due(1, watch.wanted()):
            times.append(now[0] - begun)
            watch.look(engine)
        now[0] += 1
    assert times[0] == watching.FIRST_LOOK_SECONDS / watching.SHARE
    assert len(times) > 8
    assert spent <= watching.SHARE * 1200


def test_looks_by_steps_do_not_ask_the_clock():
    watch = Watch(reference(), every=5)
    assert not watch.wanted()
    assert [step for step in range(1, 12) if watch.due(step, wanted=False)] == [5, 10]

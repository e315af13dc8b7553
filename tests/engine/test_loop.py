import json
import signal
from dataclasses import replace

import pytest
import torch
from toy_gan import (
    FABRIC,
    Signalling,
    ToyConfig,
    ToyGan,
    same_bits,
    toy_batch,
    toy_engine,
    weights_of,
)

from medimg_gan.errors import CheckpointError, DivergenceError


def test_a_stopped_and_resumed_training_ends_with_the_same_bits(tmp_path):
    undisturbed = toy_engine(tmp_path / "a")
    undisturbed.fit()
    for _ in range(2):  # two Ctrl-C, at different moments
        stopped = toy_engine(tmp_path / "b", stream=Signalling(at=8 if _ == 0 else 21))
        with pytest.raises(KeyboardInterrupt):
            stopped.fit()
        assert 0 < stopped.step < 12
    resumed = toy_engine(tmp_path / "b")
    resumed.fit()
    assert same_bits(weights_of(resumed), weights_of(undisturbed))
    assert resumed.batches.position == undisturbed.batches.position == 12 * 3 + 4
    one, other = ((tmp_path / x / "weights.pt").read_bytes() for x in "ab")
    assert one == other


def test_seed_and_random_numbers_matter(tmp_path):
    one, other = toy_engine(tmp_path / "a", steps=3), toy_engine(tmp_path / "b", steps=3)
    other.plan = replace(other.plan, seed=1)
    one.fit()
    other.fit()
    assert not same_bits(weights_of(one), weights_of(other))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_and_saves(tmp_path, number):
    before = signal.getsignal(number)
    engine = toy_engine(tmp_path, stream=Signalling(at=7, number=number))
    with pytest.raises(KeyboardInterrupt):
        engine.fit()
    assert engine.step == 3  # position 7 is the first of the third step (4 batches, then 3, 3)
    assert engine.batches.position == 10
    assert engine.checkpoints.newest() == tmp_path / "checkpoints" / "step_0000003.pt"
    assert signal.getsignal(number) == before


def test_the_recipe_is_told_the_progress_before_the_phases(tmp_path):
    engine, told = toy_engine(tmp_path, steps=4), []
    engine.recipe.begin_step = lambda progress: told.append((progress, engine.batches.position))
    for _ in range(3):
        engine.run_step()
    assert [progress for progress, _ in told] == [0, 0.25, 0.5]
    assert told[0][1] == 0  # no batch was taken yet


def test_a_phase_changes_only_what_it_trains(tmp_path):
    engine = toy_engine(tmp_path)
    for phase in engine.phases:
        before = weights_of(engine)
        engine.run_phase(phase)
        after = weights_of(engine)
        changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
        assert changed - {"history", "brightness"} == set(phase.trains)
    assert all(weight.requires_grad for weight in engine.recipe.parameters())


def test_phases_repeat_on_fresh_batches_and_skip_steps(tmp_path):
    seen = []
    engine = toy_engine(
        tmp_path, stream=lambda position: seen.append(position) or toy_batch(position)
    )
    engine.run_step()
    assert seen == [0, 1, 2, 3]  # critic twice, penalty, generator
    engine.run_step()
    assert seen[4:] == [4, 5, 6]  # no penalty: 1 is not divisible by 3
    assert engine.images_seen == 8


def test_the_learning_rate_follows_the_progress(tmp_path):
    engine = toy_engine(tmp_path, steps=4)
    for expected in (0.01, 0.00875, 0.0075, 0.00625):  # 0.01 (1 - progress / 2)
        engine.run_step()
        for net in engine.networks.values():
            assert net.optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_a_budget_in_minutes_ends_and_is_kept_over_a_stop(tmp_path):
    engine = toy_engine(tmp_path, steps=None, minutes=0.3 / 60, stream=Signalling(at=20))
    with pytest.raises(KeyboardInterrupt):
        engine.fit()
    used = engine.clock.elapsed
    resumed = toy_engine(tmp_path, steps=None, minutes=0.3 / 60)
    resumed.resume()
    assert resumed.clock.elapsed == used > 0
    resumed.fit()
    assert 0.3 <= resumed.clock.elapsed < 1.5
    again = toy_engine(tmp_path, steps=None, minutes=0.3 / 60)
    again.fit()
    assert again.step == resumed.step


def test_a_finished_training_is_left_alone(tmp_path):
    toy_engine(tmp_path, steps=2).fit()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    toy_engine(tmp_path, steps=2).fit()
    assert stamps == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}


def test_a_value_that_is_not_finite_stops_and_names_the_last_good_checkpoint(tmp_path):
    def stream(position):
        batch = toy_batch(position)
        return {**batch, "image": batch["image"] * float("nan")} if position == 20 else batch

    settings = replace(FABRIC, checkpoint_minutes=0.0, log_every=1, keep=1)
    engine = toy_engine(tmp_path, stream=stream, settings=settings)
    with pytest.raises(DivergenceError) as caught:
        engine.fit()
    good = tmp_path / "checkpoints" / "step_0000006.pt"  # 4 + 3 + 3 + 4 + 3 + 3 batches
    assert str(good) in caught.value.observed
    assert "loss/" in caught.value.observed
    assert all(value.isfinite().all() for value in torch.load(good)["nets"]["critic"].values())
    assert caught.value.fix
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 7
    assert last["weights/norm"] is None


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    engine = toy_engine(tmp_path)
    with torch.no_grad():
        next(engine.networks["critic"].module.parameters()).fill_(float("inf"))
    with pytest.raises(DivergenceError, match="none was written yet"):
        engine.save()
    assert not list(tmp_path.rglob("*.pt"))


def test_gradients_are_clipped_to_the_norm_asked_for(tmp_path):
    engine = toy_engine(tmp_path, settings=replace(FABRIC, clip_norm=0.001))
    engine.run_phase(engine.phases[0])
    net = engine.networks["critic"]
    assert net.gradient_norm().item() == pytest.approx(0.001, rel=1e-3)
    assert engine.averages.take()["gradient_norm/critic"] > 0.1  # as it was before


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    toy_engine(tmp_path, steps=2).fit()
    other = toy_engine(tmp_path, steps=4, config=ToyConfig(learning_rate=0.02))
    with pytest.raises(CheckpointError, match=r"recipe.learning_rate: found 0.01, expected 0.02"):
        other.fit()


def test_a_checkpoint_from_before_a_field_of_the_spec_goes_on(tmp_path):
    first = toy_engine(tmp_path, steps=2)
    first.fit()
    path = first.checkpoints.newest()
    state = first.checkpoints.load(path)
    del state["identity"]["dark_bone"]
    first.checkpoints.save(3, {**state, "step": 3})
    resumed = toy_engine(tmp_path, steps=4)
    resumed.recipe.spec = replace(resumed.recipe.spec, dark_bone=True)  # as of MRI to CT now
    resumed.fit()
    assert resumed.step == 4


def test_a_damaged_checkpoint_costs_only_the_steps_since_the_one_before(tmp_path, capsys):
    settings = replace(FABRIC, checkpoint_minutes=0.0)
    undisturbed = toy_engine(tmp_path, settings=settings)
    undisturbed.fit()
    newest = tmp_path / "checkpoints" / "step_0000012.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    (tmp_path / "weights.pt").unlink()
    resumed = toy_engine(tmp_path, settings=settings)
    resumed.resume()
    assert resumed.step == 11
    assert "step_0000012.pt: damaged" in capsys.readouterr().out
    resumed.fit()
    assert same_bits(weights_of(resumed), weights_of(undisturbed))


def test_training_moves_the_fake_mean_towards_the_real_one(tmp_path):
    engine = toy_engine(tmp_path, steps=200, config=ToyConfig(jitter=0.0))
    real = toy_batch(0, 512)["image"].mean()

    def gap(recipe):
        return (recipe.generator(toy_batch(1, 512)["noise"]).mean() - real).abs().item()

    before = gap(engine.recipe)
    engine.fit()
    assert gap(engine.recipe) < 0.3 * before
    assert gap(engine.ema.recipe) < 0.3 * before


def test_what_does_not_learn_is_no_network(tmp_path):
    torch.manual_seed(0)
    engine = toy_engine(tmp_path)
    assert list(engine.networks) == ["generator", "critic"]
    assert not engine.ema.recipe.training
    assert isinstance(engine.ema.recipe, ToyGan)
    assert engine.ema.recipe.generator is not engine.networks["generator"].module

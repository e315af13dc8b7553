"""Every alarm is provoked by a training that goes wrong; one that goes well sets off none."""

import json
from dataclasses import replace

import pytest
from watched_gan import SETTINGS, TRAINING, WatchedConfig, reference, stream, watched_engine

from medimg_gan.engine.alarms import ALARMS, RULES, Alarms
from medimg_gan.errors import DivergenceError


def alarms_of(folder):
    path = folder / ALARMS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def assert_once(folder, name, capsys, *words):
    (alarm,) = [row for row in alarms_of(folder) if row["name"] == name]
    for word in (*words, "likely cause", "what to do"):
        assert word in alarm["words"]
    assert f"ALARM at step {alarm['step']}: {name}" in capsys.readouterr().out
    assert alarm["step"] > 0
    return alarm


def test_a_healthy_training_sets_off_none(tmp_path):
    config = WatchedConfig(makes="learnt", generator_rate=0.02, critic_rate=1e-3)
    engine = watched_engine(tmp_path, config, steps=80, every=40)
    engine.fit()
    found = [row for row in rows_of(tmp_path) if "live/diversity" in row]
    assert found[-1]["live/diversity"] > 0.5  # from 0.1
    assert alarms_of(tmp_path) == []


def test_a_generator_that_ignores_its_noise_has_collapsed(tmp_path, capsys):
    watched_engine(tmp_path, WatchedConfig(makes="one image")).fit()
    assert_once(tmp_path, "mode collapse", capsys, "0.00 of real slices'", "below 0.33")
    last = rows_of(tmp_path)[-1]
    assert last["live/diversity"] == last["live/diversity/left"] == pytest.approx(0, abs=1e-6)


def test_a_collapse_of_one_class_is_enough_and_is_named():
    figures = {"live/diversity": 0.6, "live/diversity/rare": 0.2, "live/variety": 0.8}
    collapse = next(rule for rule in RULES if rule.name == "mode collapse")
    assert "of class rare is 0.20" in collapse.judge({k: [v] for k, v in figures.items()})


def test_a_generator_that_comes_back_to_a_few_images_rings(tmp_path, capsys):
    watched_engine(tmp_path, WatchedConfig(makes="few images"), steps=10).fit()
    assert_once(tmp_path, "duplicates", capsys, "nearer to another", "above 5")
    names = {row["name"] for row in alarms_of(tmp_path)}
    assert "mode collapse" not in names  # mean distances say that all is well


def test_one_near_pair_by_chance_is_no_alarm():
    duplicates = next(rule for rule in RULES if rule.name == "duplicates")
    assert duplicates.judge({"live/duplicates": [9.0, 5.0]}) is None
    assert "6 samples" in duplicates.judge({"live/duplicates": [0.0, 6.0]})


def test_a_generator_that_returns_training_slices_has_memorised(tmp_path, capsys):
    watched_engine(tmp_path, WatchedConfig(makes="training")).fit()
    assert_once(tmp_path, "memorisation", capsys, "0.00 of the distance", "100 %")


def test_copies_among_good_samples_are_found_too():
    memorisation = next(rule for rule in RULES if rule.name == "memorisation")
    assert memorisation.judge({"live/nearness": [0.9], "live/copies": [0.2]})
    assert memorisation.judge({"live/nearness": [0.9], "live/copies": [0.05]}) is None


def test_without_held_out_slices_nobody_speaks_of_copies(tmp_path):
    config = WatchedConfig(makes="training")
    watched_engine(tmp_path, config, steps=10, seen=reference(unseen=False)).fit()
    assert "memorisation" not in {row["name"] for row in alarms_of(tmp_path)}


def test_a_critic_that_knows_eight_images_by_heart_is_overfitted(tmp_path, capsys):
    def eight(position):
        return {name: values[:8].repeat_interleave(2, 0) for name, values in TRAINING.items()}

    part = {
        name: values[:8].repeat(4, *[1] * (values.dim() - 1)) for name, values in TRAINING.items()
    }
    config = WatchedConfig(critic_rate=1e-3, generator_rate=0.0)  # fakes as good as held-out
    engine = watched_engine(
        tmp_path, config, steps=60, every=20, stream=eight,
        seen=replace(reference(), training=part),
    )  # fmt: skip
    engine.fit()
    assert_once(tmp_path, "critic overfitting", capsys, "two looks in a row", "from 80 %")


def test_a_critic_that_leaves_no_gradient_is_too_strong(tmp_path, capsys):
    config = WatchedConfig(makes="one image", generator_rate=0.0, critic_rate=5e-3, saturating=True)
    settings = replace(SETTINGS, log_every=2)
    watched_engine(tmp_path, config, steps=80, every=None, settings=settings).fit()
    assert_once(tmp_path, "critic too strong", capsys, "gradient of the generator fell")


def test_only_gradients_of_what_users_sample_from_count(tmp_path):
    def rung(faded):
        alarms = Alarms(tmp_path / faded, 0, [], generators=("generator",))
        (tmp_path / faded).mkdir()
        for step in range(1, 31):
            gradients = {f"gradient_norm/{n}": 1.0 for n in ("generator", "critic", "descriptions")}
            gradients[f"gradient_norm/{faded}"] = 1.0 if step < 10 else 0.01
            alarms.see(step, {"scores/critic_accuracy": 1.0, **gradients})
        return [alarm.name for alarm in alarms.raised]

    assert rung("descriptions") == rung("critic") == []  # fastgan's decoders learn their task
    assert rung("generator") == ["critic too strong"]


def test_a_training_that_diverges_rings_before_it_stops(tmp_path, capsys):
    def not_finite(position):
        batch = stream(position)
        return {**batch, "image": batch["image"] * (float("nan") if position > 8 else 1)}

    engine = watched_engine(tmp_path, stream=not_finite, every=None)
    with pytest.raises(DivergenceError):
        engine.fit()
    alarm = assert_once(tmp_path, "divergence", capsys, "not finite", "loss/critic")
    assert alarm["step"] == 10


def test_an_alarm_is_said_again_only_after_it_was_quiet(tmp_path):
    alarms = Alarms(tmp_path, 0, [])
    for step, value in enumerate((0.9, 0.1, 0.2, 0.8, 0.1), start=1):
        alarms.see(step, {"live/diversity": value})
        alarms.see(step, {"loss/critic": 1.0})  # rows without the figure change nothing
    assert [alarm.step for alarm in alarms.raised] == [2, 5]
    # After a kill: what came later is forgotten, and what rang goes on ringing in silence.
    rows = [{"step": step, "live/diversity": v} for step, v in ((1, 0.9), (2, 0.1), (3, 0.2))]
    again = Alarms(tmp_path, 3, rows)
    assert [alarm.step for alarm in again.raised] == [2]
    assert again.see(4, {"live/diversity": 0.1}) == []


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_alarms_stand_in_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watched_engine(tmp_path, WatchedConfig(makes="one image"), steps=10).fit()
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    text = board.Tensors("alarms/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.startswith("**mode collapse**")

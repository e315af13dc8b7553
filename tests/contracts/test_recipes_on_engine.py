"""What the engine promises, for every recipe of the table."""

import dataclasses
import json

import pytest
import torch

from medimg_gan.engine.checkpoint import load_weights
from medimg_gan.engine.loop import Engine
from medimg_gan.engine.runtime import make_fabric
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.recipes import RECIPES, Spec

SPEC = Spec(channels=1, size=32, classes=("a", "b"), numbers=("position",))
SETTINGS = EngineConfig(accelerator="cpu", precision="32-true", log_every=2)

pytestmark = pytest.mark.parametrize("name", RECIPES)


def tiny_batch(position, count=2):
    random = torch.Generator().manual_seed(position)
    images = {
        key: torch.rand(count, 1, 32, 32, generator=random) * 2 - 1
        for key in ("image", "source", "target")
    }
    labels = torch.randint(2, (count,), generator=random)
    position = torch.rand(count, generator=random)
    numbers = 2 * position[:, None] - 1
    return {**images, "label": labels, "position": position, "numbers": numbers}


def tiny_recipe(name):
    torch.manual_seed(0)
    fields = {field.name for field in dataclasses.fields(RECIPES[name].Config)}
    small = {key: 4 for key in ("width", "widest") if key in fields}
    return RECIPES[name](RECIPES[name].Config(**small), SPEC)


def tiny_engine(name, folder, settings=SETTINGS, stream=tiny_batch, steps=4):
    plan = Plan(steps=steps, minutes=None, seed=0, batch_size=2)
    return Engine(
        make_fabric(settings), tiny_recipe(name), stream, plan, folder, settings,
        held_out=tiny_batch(10_000), preview=tiny_batch(20_000),
    )  # fmt: skip


def weights_of(engine):
    states = {net: network.module.state_dict() for net, network in engine.networks.items()}
    for net in engine.recipe.averaged:
        states[f"ema {net}"] = engine.ema.recipe.get_submodule(net).state_dict()
    states["buffers"] = engine.recipe.state_buffers()
    return {
        net: {key: value.clone() for key, value in state.items()} for net, state in states.items()
    }


def changed(before, after):
    return {
        net
        for net in before
        if any(not torch.equal(before[net][key], after[net][key]) for key in before[net])
    }


def test_every_network_learns_and_its_average_follows(name, tmp_path):
    engine = tiny_engine(name, tmp_path)
    before = weights_of(engine)
    engine.run_step()
    expected = set(engine.networks) | {f"ema {net}" for net in engine.recipe.averaged}
    assert changed(before, weights_of(engine)) - {"buffers"} == expected


def test_a_phase_changes_only_what_it_trains(name, tmp_path):
    engine = tiny_engine(name, tmp_path)
    for phase in engine.phases:
        before = weights_of(engine)
        engine.run_phase(phase)
        assert changed(before, weights_of(engine)) - {"buffers"} == set(phase.trains)


def test_a_stopped_and_resumed_training_ends_with_the_same_bits(name, tmp_path):
    undisturbed = tiny_engine(name, tmp_path / "a")
    undisturbed.fit()
    stopped = tiny_engine(name, tmp_path / "b")
    for _ in range(2):
        stopped.run_step()
    stopped.save()
    resumed = tiny_engine(name, tmp_path / "b")
    resumed.fit()
    assert resumed.step == undisturbed.step == 4
    assert changed(weights_of(resumed), weights_of(undisturbed)) == set()
    one, other = ((tmp_path / run / "weights.pt").read_bytes() for run in "ab")
    assert one == other


def test_figures_pictures_and_weights_are_left(name, tmp_path):
    engine = tiny_engine(name, tmp_path, steps=2)
    engine.fit()
    row = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert all(value is not None for value in row.values())
    assert {f"gradient_norm/{net}" for net in engine.networks} <= row.keys()
    assert any(key.startswith("scores/") and key.endswith("_held_out") for key in row)
    assert (tmp_path / "samples" / "step_000002.png").stat().st_size > 0
    fresh = tiny_recipe(name)
    load_weights(tmp_path / "weights.pt", fresh)
    shown, expected = (r.eval().preview(tiny_batch(5), 0) for r in (fresh, engine.ema.recipe))
    assert all(torch.equal(shown[key], expected[key]) for key in expected)


def test_it_trains_in_bfloat16(name, tmp_path):
    settings = dataclasses.replace(SETTINGS, precision="bf16-mixed")
    engine = tiny_engine(name, tmp_path, settings, steps=2)
    engine.fit()
    weights = [weight for net in engine.networks.values() for weight in net.parameters]
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in weights)

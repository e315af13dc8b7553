"""What every recipe promises to the engine. A new line in RECIPES is tested without one here."""

import contextlib
import dataclasses
import inspect
import itertools

import pytest
import torch

from medimg_gan.recipes import RECIPES, NoiseRecipe, Recipe, Spec, TranslationRecipe

SPEC = Spec(channels=1, size=32, classes=("healthy", "tumor"), numbers=("age",), mirror=True)
SMALLER = {"width": 4, "widest": 8}


def build(name: str, spec: Spec = SPEC) -> Recipe:
    torch.manual_seed(0)
    config = RECIPES[name].Config()
    fields = {field.name for field in dataclasses.fields(config)}
    small = {key: value for key, value in SMALLER.items() if key in fields}
    return RECIPES[name](dataclasses.replace(config, **small), spec)


def some_batch(spec: Spec = SPEC, count: int = 4):
    channels = {"image": spec.channels, "source": spec.inputs, "target": spec.channels}
    images = {
        name: torch.rand(count, number, spec.size, spec.size) * 2 - 1
        for name, number in channels.items()
    }
    numbers = torch.rand(count, len(spec.numbers)) * 2 - 1
    labels = torch.arange(count) % 2
    return images | {"label": labels, "position": torch.rand(count), "numbers": numbers}


def networks(recipe: Recipe):
    return {
        name: child
        for name, child in recipe.named_children()
        if any(True for _ in child.parameters())
    }


def freeze_all_but(recipe: Recipe, trains):
    for name, net in networks(recipe).items():
        net.requires_grad_(name in trains)


every_recipe = pytest.mark.parametrize("name", RECIPES)
every_phase = pytest.mark.parametrize(
    ("name", "phase"), [(name, phase.name) for name in RECIPES for phase in build(name).phases()]
)


def phase_of(recipe: Recipe, name: str):
    return next(phase for phase in recipe.phases() if phase.name == name)


@every_recipe
def test_settings_are_a_frozen_dataclass_that_explains_itself(name):
    config = RECIPES[name].Config
    assert dataclasses.is_dataclass(config)
    assert config.__dataclass_params__.frozen
    explained = set()
    for kind in config.__mro__[:-1]:  # what it inherits is explained where it stands
        lines = [line.strip() for line in inspect.getsource(kind).splitlines()]
        for field in kind.__annotations__:
            at = next(i for i, line in enumerate(lines) if line.startswith(f"{field}:"))
            assert lines[at + 1].startswith('"""'), f"{field} has no docstring below it"
            explained.add(field)
    assert explained == {field.name for field in dataclasses.fields(config)}


@every_recipe
def test_header_maps_names_to_the_paper(name):
    header = inspect.getmodule(RECIPES[name]).__doc__ or ""
    assert "paper" in header
    assert "Departs from" in header


@every_recipe
def test_every_network_is_trained_and_has_an_optimiser(name):
    recipe = build(name)
    trained = {net for phase in recipe.phases() for net in phase.trains}
    assert trained == set(networks(recipe))
    assert set(recipe.averaged) <= trained
    for net in trained:
        assert recipe.adam(net).lr > 0
        assert all(0 <= beta < 1 for beta in recipe.adam(net).betas)


@every_recipe
def test_every_parameter_belongs_to_a_network(name):
    recipe = build(name)
    owned = {id(p) for net in networks(recipe).values() for p in net.parameters()}
    assert owned == {id(p) for p in recipe.parameters()}


@every_phase
def test_a_phase_reaches_every_parameter_that_it_trains_and_no_other(name, phase):
    recipe = build(name)
    chosen = phase_of(recipe, phase)
    freeze_all_but(recipe, chosen.trains)
    loss, logs = chosen.loss(some_batch())
    assert loss.shape == ()
    loss.backward()
    for net_name, net in networks(recipe).items():
        for parameter_name, parameter in net.named_parameters():
            place = f"{net_name}.{parameter_name}"
            if net_name not in chosen.trains:
                assert parameter.grad is None, f"{place} is touched"
            else:
                assert parameter.grad is not None, f"{place} is not reached"
                assert parameter.grad.isfinite().all()
    for key, value in logs.items():
        assert "/" in key
        assert value.shape == ()
        assert not value.requires_grad


@every_phase
def test_a_phase_leaves_the_batch_and_the_weights_alone(name, phase):
    recipe, batch = build(name), some_batch()
    copy = {key: value.clone() for key, value in batch.items()}
    weights = {key: value.clone() for key, value in recipe.named_parameters()}
    phase_of(recipe, phase).loss(batch)
    assert all(torch.equal(batch[key], copy[key]) for key in copy)
    assert not any(value.requires_grad for value in batch.values())
    assert all(torch.equal(value, weights[key]) for key, value in recipe.named_parameters())


@every_phase
def test_a_phase_is_a_function_of_the_random_state(name, phase):
    losses = []
    for _ in range(2):
        recipe = build(name)
        batch = some_batch()
        torch.manual_seed(4)
        losses.append(phase_of(recipe, phase).loss(batch)[0])
    assert torch.equal(*losses)


@every_phase
def test_a_phase_runs_in_bfloat16(name, phase):
    recipe = build(name)
    torch.manual_seed(1)
    exact = phase_of(recipe, phase).loss(some_batch())[0]
    recipe = build(name)
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = phase_of(recipe, phase).loss(some_batch())[0]
    loss.backward()
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.3, atol=0.05)


@every_phase
def test_a_phase_neither_waits_for_a_device_nor_leaves_it(name, phase, monkeypatch):
    """The meta device stands for a GPU: it has no values to read, and refuses the CPU's."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # has none
    recipe = build(name).to("meta")
    recipe.begin_step(0.3)
    batch = {key: value.to("meta") for key, value in some_batch().items()}
    freeze_all_but(recipe, phase_of(recipe, phase).trains)
    loss, logs = phase_of(recipe, phase).loss(batch)
    loss.backward()
    assert {value.device.type for value in (loss, *logs.values())} == {"meta"}


@every_recipe
def test_scores_have_the_agreed_names_and_no_gradient(name):
    recipe = build(name)
    scores = recipe.scores(some_batch())
    assert all(value.shape == () and not value.requires_grad for value in scores.values())
    if any("critic" in net for net in networks(recipe)):
        assert set(scores) == {"critic/real", "critic/fake", "critic/accuracy"}
        assert 0 <= scores["critic/accuracy"] <= 1
    else:
        assert scores
        assert not any(key.startswith("critic") for key in scores)


@every_recipe
def test_preview_depends_on_the_seed_alone(name):
    recipe, batch = build(name), some_batch()
    state = torch.get_rng_state()
    first = recipe.preview(batch, 5)
    assert torch.equal(torch.get_rng_state(), state), "looking changed the training's randomness"
    torch.manual_seed(99)
    second = recipe.preview(batch, 5)
    for key, images in first.items():
        assert torch.equal(images, second[key])
        assert images.shape[1:] == (SPEC.channels, SPEC.size, SPEC.size)
        assert images.abs().max() <= 1
        assert not images.requires_grad


@every_recipe
@pytest.mark.parametrize("spec", [
    Spec(channels=1, size=64, classes=("a", "b")), Spec(channels=3, size=32, classes=("a", "b")),
    Spec(channels=1, size=32), Spec(channels=1, size=32, numbers=("position", "age")),
    Spec(channels=1, size=32, source_channels=2),
])  # fmt: skip
def test_phases_run_at_other_sizes_and_channels_and_without_classes_or_numbers(name, spec):
    recipe, batch = build(name, spec), some_batch(spec, 2)
    if not spec.numbers:
        del batch["numbers"]
    for phase in recipe.phases():
        assert phase.loss(batch)[0].isfinite()
    if isinstance(recipe, NoiseRecipe):
        assert recipe.sample_like(batch, torch.randn(2, recipe.latent)).isfinite().all()


@every_recipe
def test_what_a_recipe_makes(name):
    recipe = build(name)
    if isinstance(recipe, TranslationRecipe):
        assert recipe.translate(torch.zeros(3, 1, 32, 32)).shape == (3, 1, 32, 32)
        return
    assert isinstance(recipe, NoiseRecipe)
    ages = torch.tensor([[-1.0], [0.0], [1.0]])
    images = recipe.sample(torch.randn(3, recipe.latent), torch.tensor([0, 1, 0]), ages)
    assert images.shape == (3, 1, 32, 32)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1


@every_recipe
def test_rate_factor_and_half_life_are_sane(name):
    recipe = build(name)
    factors = [recipe.learning_rate_factor(progress / 20) for progress in range(21)]
    assert factors[0] == 1
    assert all(0 <= after <= before for before, after in itertools.pairwise(factors))
    assert recipe.ema_half_life(16) > 0


@every_recipe
def test_networks_expose_forward_and_the_steps_that_knobs_need(name):
    for net in networks(build(name)).values():
        own = {key for key in vars(type(net)) if not key.startswith("_")}
        assert own in ({"forward"}, {"forward", "style", "from_style", "readers"})

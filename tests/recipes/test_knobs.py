"""Truncation and directions, for every generator alike."""

import dataclasses
from unittest import mock

import pytest
import torch
from torch.nn import functional as F

from medimg_gan.errors import ConfigError
from medimg_gan.recipes import RECIPES, NoiseRecipe, Spec
from medimg_gan.recipes.knobs import Knobs, TurnedKnobs, directions_of, factorised

NOISE_RECIPES = [name for name, kind in RECIPES.items() if issubclass(kind, NoiseRecipe)]
SPEC = Spec(channels=1, size=32, classes=("a", "b"), numbers=("position",))
SMALLER = {"width": 4, "widest": 8}
every_recipe = pytest.mark.parametrize("name", NOISE_RECIPES)


def build(name: str) -> NoiseRecipe:
    torch.manual_seed(0)
    config = RECIPES[name].Config()
    small = {key: value for key, value in SMALLER.items() if hasattr(config, key)}
    recipe = RECIPES[name](dataclasses.replace(config, **small), SPEC)
    return recipe.eval().requires_grad_(False)


def told(count: int):
    return {"label": torch.arange(count) % 2, "numbers": torch.full((count, 1), 0.3)}


def spread(images: torch.Tensor) -> float:
    return float(torch.pdist(images.flatten(1)).mean())


@every_recipe
def test_the_style_makes_the_same_images(name):
    recipe, noise = build(name), torch.randn(4, build(name).latent)
    plain = recipe.sample_like(told(4), noise)
    assert torch.equal(recipe.from_style(recipe.style_like(told(4), noise)), plain)
    assert torch.equal(sample_with(recipe, told(4), noise, Knobs()), plain)


@every_recipe
def test_images_of_a_class_grow_alike_with_truncation(name):
    recipe = build(name)
    noise = torch.randn(8, recipe.latent)
    conditions = {"label": torch.ones(8, dtype=torch.int64), "numbers": torch.zeros(8, 1)}
    spreads = [
        spread(sample_with(recipe, conditions, noise, Knobs(truncation=psi)))
        for psi in (1.0, 0.7, 0.4, 0.1, 0.0)
    ]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[1] < 0.95 * spreads[0]
    assert spreads[-1] < 1e-3 * spreads[0]


@pytest.mark.parametrize("name", ["cgan", "stylegan3", "fastgan"])
def test_each_condition_has_a_centre_of_its_own(name):
    recipe, noise = build(name), torch.randn(6, build(name).latent)
    conditions = {"label": torch.tensor([0, 0, 1, 1, 0, 0]), "numbers": torch.zeros(6, 1)}
    conditions["numbers"][4:] = 1.0
    images = sample_with(recipe, conditions, noise, Knobs(truncation=0.0))
    for pair in (images[0:2], images[2:4], images[4:6]):
        torch.testing.assert_close(pair[0], pair[1])
    assert not torch.allclose(images[0], images[2], atol=1e-4)
    assert not torch.allclose(images[0], images[4], atol=1e-4)


@pytest.mark.parametrize("name", ["cgan", "fastgan", "progressive"])
def test_centres_of_many_numbers_are_cheap_and_near_the_true_ones(name):
    recipe, noise = build(name), torch.randn(16, build(name).latent)
    conditions = {"label": torch.arange(16) % 2, "numbers": torch.linspace(-1, 1, 16)[:, None]}
    style_like, styles = recipe.style_like, []

    def counted(batch, noise):
        styles.append(style_like(batch, noise))
        return styles[-1]

    with mock.patch.object(recipe, "style_like", counted):
        together = sample_with(recipe, conditions, noise, Knobs(truncation=0.5))
    assert sum(map(len, styles)) <= 16 * 64 + 16
    alone = {key: values[3:4] for key, values in conditions.items()}
    again = sample_with(recipe, alone, noise[3:4], Knobs(truncation=0.5))
    torch.testing.assert_close(again, together[3:4], atol=1e-4, rtol=1e-4)
    many = torch.randn(4096, recipe.latent)
    told = {key: values.expand(4096, *values.shape[1:]) for key, values in alone.items()}
    true = style_like(told, many)
    centre = sample_with_centre(recipe, alone, noise[3:4])
    assert (centre - true.mean(dim=0)).square().mean() < 0.03 * true.var(dim=0).mean()


@pytest.mark.parametrize(("name", "knobs", "styles"), [
    ("cgan", Knobs(truncation=0.5, moves=((1, 1.0),)), 1 + 2),
    ("dcgan", Knobs(truncation=0.5), 1),
])  # fmt: skip
def test_what_knobs_need_is_worked_out_once_for_many_batches(name, knobs, styles):
    recipe, calls = build(name), []
    noise = torch.randn(6, recipe.latent)
    together = TurnedKnobs(recipe, knobs).sample(told(6), noise)
    real = type(recipe).style_like
    with mock.patch.object(recipe, "style_like", lambda *a: calls.append(1) or real(recipe, *a)):
        turned = TurnedKnobs(recipe, knobs)
        parts = [
            turned.sample({key: value[rows] for key, value in told(6).items()}, noise[rows])
            for rows in (slice(0, 2), slice(2, 4), slice(4, 6))
        ]
    torch.testing.assert_close(torch.cat(parts), together, atol=1e-5, rtol=1e-4)
    assert len(calls) == styles + 3  # for the unit of moves, a centre each, and the batches


def sample_with(recipe, told, noise, knobs):
    return TurnedKnobs(recipe, knobs).sample(told, noise)


def sample_with_centre(recipe, told, noise):
    """The style at truncation 0."""
    with mock.patch.object(recipe, "from_style", lambda style: style):
        return sample_with(recipe, told, noise, Knobs(truncation=0.0))


def test_factorised_finds_the_singular_vectors_of_a_known_matrix():
    torch.manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(9, 3, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    vectors, strengths = factorised(
        left @ torch.diag(torch.tensor([5.0, 2.0, 0.5]).double()) @ right
    )
    torch.testing.assert_close(strengths, torch.tensor([5.0, 2.0, 0.5]).double())
    torch.testing.assert_close((vectors * right).sum(dim=1).abs(), torch.ones(3).double())
    assert (vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True)) > 0).all()


@every_recipe
def test_directions_reach_what_is_moved_and_come_strongest_first(name):
    recipe = build(name)
    found = directions_of(recipe)
    noise = torch.randn(2, recipe.latent)
    moved = {"noise": noise, "style": recipe.style_like(told(2), noise)}[found.of]
    assert found.vectors.shape == (moved.shape[1], moved.shape[1])
    gram = found.vectors @ found.vectors.T
    torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
    assert (found.strengths.diff() <= 0).all()
    assert found.unit > 0


def train_unevenly(recipe: NoiseRecipe) -> None:
    """Let some components of the style count more, as they do after a training."""
    generator = recipe.generator
    weights = torch.linspace(2.0, 0.2, 8)
    for part in set(generator.modules()) - set(generator.mapping.modules()):
        if isinstance(part, torch.nn.Linear) and part.in_features == len(weights):
            part.weight.mul_(weights)


@every_recipe
def test_the_first_direction_changes_images_more_than_random_ones(name):
    recipe = build(name)
    if directions_of(recipe).of == "style":
        train_unevenly(recipe)
    found = directions_of(recipe)
    noise = torch.randn(8, recipe.latent)

    def change(direction):
        turned = dataclasses.replace(found, vectors=direction[None])
        with mock.patch("medimg_gan.recipes.knobs.directions_of", return_value=turned):
            moved = sample_with(recipe, told(8), noise, Knobs(moves=((1, 1.0),)))
        return float((moved - recipe.sample_like(told(8), noise)).norm())

    random = F.normalize(torch.randn(5, found.vectors.shape[1]), dim=1)
    assert change(found.vectors[0]) > 1.1 * sum(map(change, random)) / 5 > 0


def test_moves_add_up_and_may_be_undone():
    recipe = build("cgan")
    noise = torch.randn(3, recipe.latent)
    plain = recipe.sample_like(told(3), noise)
    there_and_back = Knobs(moves=((2, 1.5), (1, 1.0), (2, -1.5), (1, -1.0)))
    torch.testing.assert_close(sample_with(recipe, told(3), noise, there_and_back), plain)


def test_a_direction_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="direction 0"):
        sample_with(build("cgan"), told(1), torch.randn(1, 64), Knobs(moves=((0, 1.0),)))

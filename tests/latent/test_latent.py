"""Walks, likenesses and sheets, on a small generator with weights of its own."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from medimg_gan.data.number import Number
from medimg_gan.errors import ConfigError, LabelError
from medimg_gan.latent import (
    Knobs,
    between_classes,
    between_seeds,
    classes_of,
    project,
    rendered,
    sheet,
    slerp,
    spread,
    told,
    write_animation,
)  # fmt: skip
from medimg_gan.modalities import Scale
from medimg_gan.recipes import Spec
from medimg_gan.recipes.cgan import Cgan, CganConfig
from medimg_gan.synthesis import Generator


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    recipe = Cgan(CganConfig(latent=4, width=4, widest=8), Spec(1, 32, ("a", "b")))
    with torch.no_grad():  # fresh weights make grey; contrast makes pictures to be told apart
        recipe.generator.image.weight.mul_(4)
    recipe.eval().requires_grad_(False)
    return Generator(recipe, ("a", "b"), (3, 1), "mri", "signal", Scale(0.0, 500.0), 2.0)


def test_slerp_follows_the_arc():
    first, last = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    way = slerp(first, last, torch.tensor([0.0, 1 / 3, 0.5, 1.0]))
    torch.testing.assert_close(way[0], first)
    torch.testing.assert_close(way[-1], last)
    torch.testing.assert_close(way.norm(dim=1), torch.tensor([2.0, 8 / 3, 3.0, 4.0]))
    torch.testing.assert_close(way[1, 1] / way[1, 0], torch.tensor(3**-0.5))  # 30 degrees
    torch.testing.assert_close(slerp(first, first, torch.ones(1))[0], first)


def test_a_search_may_start_from_more_noises_than_are_usually_drawn(generator):
    target = generator.sample_encoded(1, "b", 3)[0]
    assert project(generator, target, ("b",), steps=1, starts=257).psnr > 0


def test_a_walk_starts_and_stops_at_the_seeds_own_samples(generator):
    walk = between_seeds(generator, "b", (5, 6, 7), frames=4)
    assert walk.shape == (9, 1, 32, 32)
    for place, seed in ((0, 5), (4, 6), (8, 7)):
        own = generator.sample_encoded(1, "b", seed)[0]
        np.testing.assert_allclose(walk[place], own, atol=1e-5)
    whole = spread(walk[[0, 4]])
    assert all(spread(walk[i : i + 2]) < whole for i in range(4))


def test_a_walk_between_classes_keeps_the_noise(generator):
    walk = between_classes(generator, ("a", "b"), seed=3, frames=4)
    assert walk.shape == (5, 1, 32, 32)
    for place, label in ((0, "a"), (-1, "b")):
        own = generator.sample_encoded(1, label, 3)[0]
        np.testing.assert_allclose(walk[place], own, atol=1e-5)


def test_a_sample_of_its_own_is_found_again_with_its_class(generator):
    target = generator.sample_encoded(3, "b", 9)[2]
    ticks = []
    found = project(
        generator,
        target,
        classes_of(generator),
        steps=60,
        starts=2,
        advance=lambda: ticks.append(1),
    )
    assert found.label == "b"
    assert found.share < 0.1
    assert found.distance < 0.1 * found.typical
    assert found.psnr == pytest.approx(20 * np.log10(2 / found.distance))
    assert len(ticks) == 120
    noise = torch.from_numpy(found.noise)[None]
    again = rendered(generator, noise, told(generator, ["b"]))[0]
    np.testing.assert_allclose(again, found.image, atol=1e-5)


@pytest.fixture(scope="module")
def numbered() -> Generator:
    """Its images are bright by the first number, and dark by the second."""
    numbers = (
        Number("position", 0, 1, (tuple(np.linspace(0, 1, 11)),)),
        Number("age", 20, 80, (tuple(np.linspace(20, 80, 11)),)),
    )
    torch.manual_seed(0)
    recipe = Cgan(CganConfig(latent=4, width=4, widest=8), Spec(1, 32, numbers=("position", "age")))
    own = recipe.generator.forward

    def forward(noise, condition):
        position, age = recipe.told[:, :, None, None].split(1, dim=1)
        return own(noise, condition) + (position - 0.5 * age) / 2

    def as_condition(each, label, numbers):
        recipe.told = numbers
        return type(recipe)._as_condition(recipe, each, label, numbers)

    recipe._as_condition, recipe.generator.forward = as_condition, forward
    recipe.eval().requires_grad_(False)
    return Generator(recipe, (), (), "mri", "signal", Scale(0.0, 500.0), 2.0, numbers=numbers)


def test_numbers_are_told_in_their_own_unit_and_else_in_the_middle(numbered):
    assert told(numbered, [None] * 2, {"age": 65.0})["numbers"].tolist() == [[0, 0.5]] * 2
    with pytest.raises(ConfigError, match="20 to 80"):
        told(numbered, [None], {"age": 200.0})


def test_a_likeness_finds_the_numbers_too_unless_they_are_given(numbered):
    known = told(numbered, [None], {"position": 0.9, "age": 35.0})
    target = rendered(numbered, numbered.draw_noise(1, 4), known)[0]
    found = project(numbered, target, (None,), steps=60, starts=2, at={"age": 35.0})
    assert found.numbers["age"] == pytest.approx(35)
    assert found.numbers["position"] == pytest.approx(0.9, abs=0.15)
    elsewhere = project(numbered, target, (None,), steps=20, starts=1, at={"position": 0.1})
    assert elsewhere.numbers["position"] == pytest.approx(0.1)
    assert elsewhere.distance > found.distance


def test_what_the_generator_cannot_make_is_said_so_and_twice_alike(generator):
    target = np.indices((32, 32)).sum(axis=0)[None] % 2 * 2.0 - 1  # a checkerboard
    target = target.astype(np.float32)
    once, twice = (project(generator, target, ("a",), steps=5, starts=1) for _ in range(2))
    assert once.share > 0.5
    np.testing.assert_array_equal(once.noise, twice.noise)


def test_a_generator_without_classes_has_one_row():
    plain = SimpleNamespace(classes=("a",), recipe=SimpleNamespace(conditional=False))
    assert classes_of(plain) == (None,)


def test_an_unknown_class_is_named(generator):
    with pytest.raises(LabelError, match="a, b"):
        told(generator, ["c"])


def test_knobs_at_rest_leave_samples_as_they_are_bit_by_bit(generator):
    plain = generator.sample_encoded(3, "a", 1)
    np.testing.assert_array_equal(
        generator.sample_encoded(3, "a", 1, knobs=Knobs(truncation=1.0)), plain
    )
    typical = generator.sample_encoded(3, "a", 1, knobs=Knobs(truncation=0.5))
    assert 0 < spread(typical) < spread(plain)


def test_a_sheet_shows_every_image_once():
    images = np.linspace(-1, 1, 6)[:, None, None, None] * np.ones((1, 1, 96, 96))
    shown = np.asarray(sheet([("one", images[:3]), ("two", images[3:])], ["x", "y", "z"]))
    assert shown.shape == (4 + 22 + 2 * (22 + 100), 4 + 3 * 100)
    greys = {int(value) for value, count in zip(*np.unique(shown, return_counts=True), strict=True)
             if count >= 96 * 96}  # fmt: skip
    assert greys >= {0, 51, 102, 153, 204, 255}


def test_an_animation_goes_there_and_back(tmp_path):
    frames = np.linspace(-1, 1, 4)[:, None, None, None, None] * np.ones((1, 2, 1, 32, 32))
    write_animation(tmp_path / "walk.gif", frames)
    with Image.open(tmp_path / "walk.gif") as gif:
        assert gif.n_frames == 6
        assert gif.size == (192, 96)
    assert [path.name for path in tmp_path.iterdir()] == ["walk.gif"]

"""What holds for every measure of a set of images."""

import dataclasses

import numpy as np
import pytest

from medimg_gan.metrics.images import (
    IMAGE_METRICS,
    LIVE,
    ImageSet,
    compare,
    image_set,
)
from medimg_gan.metrics.measurements import make_instrument


def pictures(count: int, seed: int) -> np.ndarray:
    """Discs of random place, size and grey on a dark ground, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    images = np.full((count, 1, 32, 32), -1.0, np.float32)
    for image in images[:, 0]:
        row, column, radius = rng.uniform([12, 12, 6], [20, 20, 11])
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        image[inside] = rng.uniform(-0.5, 0.5) + rng.normal(0, 0.1, int(inside.sum()))
    return images.clip(-1, 1)


@pytest.fixture(scope="module")
def described():
    instrument = make_instrument(pictures(20, 9), low=0.0, high=100.0, unit="signal", pixel_mm=1.0)

    def describe(images: np.ndarray) -> ImageSet:
        labels = np.arange(len(images)) % 2
        pooled = images.reshape(len(images), 8, 4, 8, 4).mean(axis=(2, 4)).reshape(len(images), 64)
        whole = image_set(images, {}, labels=labels, measure=instrument.measure)
        return ImageSet({**whole.spaces, "pooled": pooled}, labels)

    return describe


@pytest.fixture(scope="module")
def sets(described):
    return described(pictures(40, 0)), described(pictures(40, 1))


def value(name: str, real: ImageSet, made: ImageSet) -> float:
    (score,) = compare(real, made, [name])
    assert score.value is not None
    return score.value


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_a_set_is_as_good_as_itself(name, sets):
    real, other = sets
    best, usual = value(name, real, real), value(name, real, other)
    better = IMAGE_METRICS[name].better
    if name == "kid":  # unbiased, hence negative where the same images are drawn twice
        assert best < 0
        assert best < usual
    elif better == "lower":
        assert best <= 1e-9 < usual
    elif better == "higher":
        assert best >= 1 - 1e-9 > usual - 0.5
    else:
        assert best == value(name, other, real)


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_the_order_of_the_images_says_nothing(name, sets):
    real, made = sets
    rng = np.random.default_rng(3)
    shuffled = [some.take(rng.permutation(len(some))) for some in sets]
    assert value(name, *shuffled) == pytest.approx(value(name, real, made), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_a_collapsed_or_broken_generator_is_worse_than_other_real_images(name, sets, described):
    real, other = sets
    noise = np.random.default_rng(0).normal(0, 0.1, (40, 1, 32, 32)).astype(np.float32)
    one = np.repeat(pictures(2, 5), 20, axis=0)
    broken = described((one + noise + 0.2).clip(-1, 1))
    good, bad = value(name, real, other), value(name, real, broken)
    assert bad < good if IMAGE_METRICS[name].better == "higher" else bad > good


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_unequal_counts_are_refused(name, sets):
    real, made = sets
    with pytest.raises(ValueError, match="equal counts"):
        compare(real, made.take(np.arange(39)), [name])


@pytest.mark.parametrize("name", IMAGE_METRICS)
def test_too_few_images_give_no_figure(name, sets):
    few = [some.take(np.arange(IMAGE_METRICS[name].fewest - 1)) for some in sets]
    assert all(score.value is None for score in compare(*few, [name]))


def test_every_title_names_what_it_was_computed_in(sets):
    titles = [score.title for score in compare(*sets)]
    assert len(set(titles)) == len(titles) == len(IMAGE_METRICS)
    assert "Fréchet distance (pooled)" in titles
    assert "Fréchet distance (radiomics)" in titles


def test_several_extractors_give_a_figure_each_and_live_ones_are_known(sets):
    twice = [
        dataclasses.replace(some, spaces={**some.spaces, "again": some.spaces["pooled"]})
        for some in sets
    ]
    scores = compare(*twice, ["kid"])
    assert [score.space for score in scores] == ["pooled", "again"]
    assert scores[0].value == scores[1].value
    assert set(LIVE) <= set(IMAGE_METRICS)


def test_similarity_is_within_class():
    """Two classes of one image each: wholly alike within, unlike across."""
    one, other = np.full((6, 1, 32, 32), -0.5, np.float32), np.zeros((6, 1, 32, 32), np.float32)
    other[..., ::2] = 0.9
    images = np.concatenate([one, other])
    made = ImageSet({"pixels": images}, np.repeat([0, 1], 6))
    assert value("similarity", made, made) == pytest.approx(1, abs=1e-5)
    mixed = ImageSet({"pixels": images}, np.zeros(12, int))
    assert value("similarity", mixed, mixed) < 0.8

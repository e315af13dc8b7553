import numpy as np
import pytest

from medimg_gan.metrics.measurements import (
    Instrument,
    correlation_distance,
    correlations,
    distribution_distances,
    make_instrument,
    mean_distribution_distance,
)

SCALE = {"low": -1000.0, "high": 1000.0, "unit": "HU", "pixel_mm": 2.0}


@pytest.fixture
def instrument() -> Instrument:
    return make_instrument(np.zeros((0, 1, 32, 32), np.float32), **SCALE)


def head(soft: float = 40.0, bone: float = 800.0) -> np.ndarray:
    """A square head of 20 x 20 pixels with a wall of bone, in HU encoded to [-1, 1]."""
    values = np.full((1, 1, 32, 32), -1000.0)
    values[0, 0, 6:26, 6:26] = bone
    values[0, 0, 8:24, 8:24] = soft
    return (values / 1000).astype(np.float32)


def test_a_head_is_measured_in_its_units(instrument):
    found = dict(zip(instrument.names, instrument.measure(head())[0], strict=True))
    assert found["body area [cm2]"] == pytest.approx(400 * 4 / 100)
    assert found["soft tissue [% of body]"] == pytest.approx(100 * 256 / 400)
    assert found["bone [% of body]"] == pytest.approx(100 * 144 / 400)
    assert found["mean of soft tissue [HU]"] == pytest.approx(40, abs=1e-3)
    assert found["mean of bone [HU]"] == pytest.approx(800, abs=1e-3)
    assert np.isnan(found["mean of air [HU]"])
    assert found["left-right difference [HU]"] == pytest.approx(0, abs=1e-3)


def test_an_empty_picture_has_no_body(instrument):
    area, *rest = instrument.measure(np.full((1, 1, 32, 32), -1.0, np.float32))[0]
    assert area == 0
    assert np.isnan(rest).all()


def test_tissues_of_an_uncalibrated_modality_are_where_the_training_pixels_fall_apart():
    image = np.full((1, 1, 32, 32), -1.0, np.float32)
    image[..., 2:12], image[..., 12:22], image[..., 22:30] = -0.5, 0.0, 0.8
    found = make_instrument(image, low=0, high=200, unit="signal", pixel_mm=1.0)
    assert found.bounds == pytest.approx((75.0, 140.0), abs=1)
    assert found.tissues == ("dark", "middle", "bright")


def test_a_shift_by_one_standard_deviation_is_a_distance_of_one():
    real = np.random.default_rng(0).normal(5, 3, (400, 2))
    moved = real + np.array([real[:, 0].std(), 0])
    np.testing.assert_allclose(distribution_distances(real, moved), [1, 0], atol=1e-9)
    assert mean_distribution_distance(real, moved) == pytest.approx(0.5)


def test_what_one_set_lacks_has_no_distance():
    real = np.ones((4, 2)) * np.arange(4)[:, None]
    made = real.copy()
    made[:, 1] = np.nan
    assert np.isnan(distribution_distances(real, made)).tolist() == [False, True]
    assert mean_distribution_distance(real, made) == 0


def test_correlations_are_of_ranks_and_a_constant_has_none():
    rng = np.random.default_rng(0)
    first = rng.normal(size=50)
    table = np.stack([first, np.exp(first), -first, np.ones(50)], axis=1)
    expected = [[1, 1, -1, 0], [1, 1, -1, 0], [-1, -1, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(correlations(table), expected, atol=1e-9)


def test_lost_correlations_show_while_every_distribution_is_right():
    rng = np.random.default_rng(0)
    first = rng.normal(size=300)
    real = np.stack([first, first + 0.1 * rng.normal(size=300)], axis=1)
    made = np.stack([first, rng.permutation(real[:, 1])], axis=1)
    assert mean_distribution_distance(real, made) == 0
    assert correlation_distance(real, made) > 0.8

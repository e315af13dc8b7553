import numpy as np
import pytest

from medimg_gan.data.bias_field import without_bias_field

SPACING = (2.0, 2.0, 4.0)


def head(shape):
    """A ball of two tissues in air, and where each is."""
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(i**2 + j**2 + (0.3 * k) ** 2)
    inner, outer = radius < 0.5, (radius >= 0.5) & (radius < 0.85)
    noise = np.random.default_rng(0).normal(0, 8, shape)
    clean = np.where(inner, 600, np.where(outer, 900, 0)) + noise
    shading = np.exp(0.25 * i + 0.2 * j)
    return (np.abs(clean * shading)).astype(np.float32), inner, outer


def spread(array, inside):
    """Coefficient of variation."""
    return array[inside].std() / array[inside].mean()


@pytest.mark.parametrize("shape", [(64, 64, 10), (72, 80, 1), (72, 80, 5)])
def test_shading_is_evened_out_and_contrast_stays(shape):
    shaded, inner, outer = head(shape)
    corrected = without_bias_field(shaded, SPACING)
    assert corrected.shape == shaded.shape
    assert corrected.dtype == np.float32
    for tissue in (inner, outer):
        assert spread(corrected, tissue) < 0.5 * spread(shaded, tissue)
    ratio = corrected[outer].mean() / corrected[inner].mean()
    assert ratio == pytest.approx(1.5, abs=0.1)
    body = inner | outer
    assert corrected[body].mean() == pytest.approx(shaded[body].mean(), rel=0.03)


def test_it_repeats_bit_by_bit():
    shaded, *_ = head((24, 24, 8))
    assert np.array_equal(
        without_bias_field(shaded, SPACING), without_bias_field(shaded.copy(), SPACING)
    )


def test_what_has_no_field_to_estimate_comes_back_as_it_is():
    empty, tiny = np.zeros((20, 20, 9), np.float32), np.ones((4, 4, 4), np.float32)
    assert np.array_equal(without_bias_field(empty, SPACING), empty)
    assert np.array_equal(without_bias_field(tiny, SPACING), tiny)

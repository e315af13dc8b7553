"""Every modality of the table keeps these promises."""

import numpy as np
import pytest

from medimg_gan.modalities import MODALITIES

RAW = {
    "ct": np.random.default_rng(0).uniform(-1000, 1500, (8, 8, 4)),
    "mri": np.random.default_rng(0).uniform(0, 4000, (8, 8, 4)),
    "xray": np.random.default_rng(0).uniform(0, 65535, (8, 8, 1)),
    "picture": np.random.default_rng(0).uniform(0, 65535, (8, 8, 1)),
}


@pytest.mark.parametrize("name", MODALITIES)
def test_encoding_gives_float32_in_range_and_inverts_inside_the_scale(name):
    raw = RAW[name]
    scale = MODALITIES[name].fit(raw, "HU" if name == "ct" else "signal")
    encoded = scale.encode(raw)
    assert encoded.dtype == np.float32
    assert encoded.shape == raw.shape
    assert encoded.min() >= -1
    assert encoded.max() <= 1
    inside = (raw >= scale.low) & (raw <= scale.high)
    assert inside.mean() > 0.9
    step = (scale.high - scale.low) * 1e-6
    np.testing.assert_allclose(scale.decode(encoded)[inside], raw[inside], atol=step)


@pytest.mark.parametrize("name", MODALITIES)
def test_the_table_names_each_modality_as_it_names_itself(name):
    assert MODALITIES[name].name == name


@pytest.mark.parametrize("name", MODALITIES)
def test_values_have_a_unit_of_their_own_in_ct_alone(name):
    assert MODALITIES[name].calibrated is (name == "ct")

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medimg_gan.modalities.nyul import CLOSEST, PERCENTILES, StandardScale, landmarks_of

unit = st.floats(-1, 1, width=32)
foregrounds = arrays(np.float32, st.integers(1, 60), elements=unit)


def gamma(power: float) -> np.ndarray:
    """A foreground in [-1, 1] whose contrast was bent by a power."""
    values = np.random.default_rng(0).beta(2, 3, 20_000) ** power
    return (2 * values - 1).astype(np.float32)


@settings(deadline=None)
@given(foregrounds)
def test_landmarks_rise_strictly_inside_the_range_whatever_the_histogram(values):
    landmarks = landmarks_of(values)
    assert landmarks.shape == (len(PERCENTILES),)
    assert (np.diff(np.r_[-1, landmarks, 1]) > CLOSEST / 2).all()


def test_landmarks_are_the_percentiles_where_these_differ():
    values = np.linspace(-0.9, 0.9, 1001)
    expected = -0.9 + 1.8 * np.array(PERCENTILES) / 100
    np.testing.assert_allclose(landmarks_of(values), expected, atol=1e-6)


@settings(deadline=None)
@given(foregrounds, foregrounds)
def test_the_map_rises_and_inverts(own, standard):
    scale = StandardScale.fit(landmarks_of(standard)[None])
    knots = torch.from_numpy(landmarks_of(own))[None]
    values = torch.linspace(-1, 1, 2001)[None]
    mapped = scale.apply(values, knots)
    assert (mapped.diff() >= 0).all()
    assert mapped[0, [0, -1]].tolist() == pytest.approx([-1, 1])
    # A piece of the map may be steep: what matters is the error against its slope there.
    back = scale.invert(mapped.double(), knots.double())
    assert (back - values).abs().max() < 2e-6 / CLOSEST


def test_own_landmarks_become_the_standards():
    one, other = landmarks_of(gamma(1.0)), landmarks_of(gamma(2.0))
    scale = StandardScale.fit(np.stack([one, other]))
    np.testing.assert_allclose(scale.landmarks, (one + other) / 2, atol=1e-6)
    own = torch.from_numpy(np.stack([one, other]))
    mapped = scale.apply(own.clone(), own)
    np.testing.assert_allclose(mapped, [scale.landmarks] * 2, atol=1e-6)


def test_bent_histograms_agree_afterwards():
    volumes = [gamma(power) for power in (0.7, 1.0, 1.6)]
    own = np.stack([landmarks_of(volume) for volume in volumes])
    mapped = StandardScale.fit(own).apply(
        torch.from_numpy(np.stack(volumes)), torch.from_numpy(own)
    )
    before = np.ptp([np.percentile(volume, (25, 50, 75)) for volume in volumes], axis=0)
    after = np.ptp([np.percentile(volume, (25, 50, 75)) for volume in mapped], axis=0)
    assert (before > 0.2).all()
    assert (after < 0.01).all()


def test_each_image_of_a_batch_is_mapped_by_its_own_landmarks():
    own = torch.from_numpy(np.stack([landmarks_of(gamma(power)) for power in (0.6, 1.0, 1.8)]))
    scale = StandardScale.fit(own.numpy())
    images = torch.rand(3, 2, 5, 5) * 2 - 1
    together = scale.apply(images, own)
    alone = [scale.apply(images[n : n + 1], own[n : n + 1]) for n in range(3)]
    assert together.shape == images.shape
    assert torch.equal(together, torch.cat(alone))


def test_images_without_landmarks_stay():
    scale = StandardScale.fit(landmarks_of(gamma(1.3))[None])
    images = torch.rand(2, 1, 4, 4) * 2 - 1
    own = torch.stack([torch.full((11,), torch.nan), torch.from_numpy(landmarks_of(gamma(0.7)))])
    mapped = scale.apply(images, own)
    np.testing.assert_allclose(mapped[0], images[0], atol=1e-6)
    assert not torch.allclose(mapped[1], images[1], atol=1e-3)


def test_a_volume_without_foreground_has_landmarks_that_change_nothing_abrupt():
    assert landmarks_of(np.empty(0)) == pytest.approx(np.linspace(-1, 1, 13)[1:-1])

"""Spectrum, histogram, MS-SSIM: what each sees and what it does not."""

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from medimg_gan.metrics.diversity import distances_among, distances_to_peers, similarity_among
from medimg_gan.metrics.histogram import histogram_distance
from medimg_gan.metrics.spectrum import radial_power, spectrum_distance


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(20, 1, 32, 32))
    return np.clip(2 * gaussian_filter(noise, (0, 0, 1.5, 1.5)), -1, 1).astype(np.float32)


@pytest.mark.parametrize("frequency", [1, 5, 16])
def test_a_wave_has_its_power_at_its_own_frequency(frequency):
    wave = np.cos(2 * np.pi * frequency * np.arange(32) / 32)[None, None, None]
    power = radial_power(np.broadcast_to(wave, (1, 1, 32, 32)))
    assert power.shape == (1, 16)
    assert power[0].argmax() == frequency - 1
    assert np.delete(power[0], frequency - 1).max() < 1e-9


def test_ten_times_the_amplitude_is_twenty_decibels(images):
    assert spectrum_distance(0.1 * images, images) == pytest.approx(20, rel=1e-3)


def test_blur_and_noise_change_the_spectrum_more_than_other_images_do(images):
    floor = spectrum_distance(images[:10], images[10:])
    blurred = gaussian_filter(images, (0, 0, 1, 1))
    noisy = images + 0.1 * np.random.default_rng(1).normal(size=images.shape)
    assert spectrum_distance(images, images) == 0
    assert spectrum_distance(images, blurred) > 5 * floor
    assert spectrum_distance(images, noisy) > 5 * floor


def test_a_shift_of_intensities_is_its_own_size_in_percent():
    images = np.random.default_rng(0).uniform(-0.8, 0.8, (6, 1, 32, 32))
    assert histogram_distance(images, images) == 0
    assert histogram_distance(images, images + 0.1) == pytest.approx(5, abs=0.03)
    mirrored = images[..., ::-1]
    assert histogram_distance(images, mirrored) == 0


@pytest.mark.parametrize("size", [32, 64, 256])
def test_copies_of_one_image_are_wholly_alike(size):
    image = np.random.default_rng(0).uniform(-1, 1, (1, 1, size, size)).astype(np.float32)
    assert similarity_among(np.repeat(image, 4, axis=0)) == pytest.approx(1, abs=1e-5)


def test_collapse_raises_similarity(images):
    noise = 0.05 * np.random.default_rng(1).normal(size=images.shape)
    collapsed = np.repeat(images[:1], 20, axis=0) + noise.astype(np.float32)
    assert similarity_among(collapsed) > similarity_among(images) + 0.3


def test_one_image_has_no_similarity(images):
    with pytest.raises(ValueError, match="two images"):
        similarity_among(images[:1])


def test_distances_are_root_mean_squares_of_pairs(images):
    by_hand = np.stack([np.full((1, 4, 4), value) for value in (0.0, 0.3, 0.7)])
    np.testing.assert_allclose(distances_among(by_hand), [0.3, 0.7, 0.4], atol=1e-7)
    naive = [np.sqrt(((one - other) ** 2).mean()) for one, other in combinations(images, 2)]
    np.testing.assert_allclose(distances_among(images), naive, rtol=1e-5)


def test_distances_need_little_more_memory_than_the_images():
    images = np.random.default_rng(0).random((128, 1, 64, 64), np.float32)
    tracemalloc.start()
    distances_to_peers(images, np.zeros((128, 0)), np.arange(128))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * images.nbytes  # all pairs at once: 64 times


def test_peers_are_other_patients_nearest_in_numbers():
    images = np.stack([np.full((1, 2, 2), value) for value in (0.0, 0.1, 0.3, 0.7)])
    patients, none = np.array([0, 0, 1, 2]), np.zeros((4, 0))
    found = distances_to_peers(images, none, patients)
    np.testing.assert_allclose(found, [0.5, 0.4, (0.3 + 0.2 + 0.4) / 3, (0.7 + 0.6 + 0.4) / 3])
    numbers = np.array([[0.0], [0.9], [0.0], [1.0]])
    found = distances_to_peers(images, numbers, patients)
    np.testing.assert_allclose(found, [0.3, 0.6, 0.3, 0.6])
    alone = distances_to_peers(images, none, np.zeros(4, int))  # then its own slices do
    np.testing.assert_allclose(alone[0], (0.1 + 0.3 + 0.7) / 3)

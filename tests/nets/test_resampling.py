import math

import pytest
import torch

from medimg_gan.nets.resampling import Grid, resampled, resampling_matrix

COARSE, FINE = Grid(32, 6), Grid(64, 12)


def wave(grid, frequency, shift=0.0):
    return torch.cos(2 * math.pi * frequency * (grid.positions() - shift)).float()


def test_a_grid_begins_and_ends_beyond_the_image():
    assert Grid(4, 1).positions().tolist() == [-0.125, 0.125, 0.375, 0.625, 0.875, 1.125]


@pytest.mark.parametrize(("before", "after"), [(COARSE, FINE), (FINE, COARSE), (FINE, FINE)])
def test_constants_stay_up_to_the_ends(before, after):
    rows = resampling_matrix(before, after, 11.0).sum(dim=1)
    torch.testing.assert_close(rows, torch.ones(after.samples))


@pytest.mark.parametrize(("before", "after"), [(COARSE, FINE), (FINE, COARSE)])
def test_a_wave_in_the_band_is_the_same_wave_at_another_rate(before, after):
    matrix = resampling_matrix(before, after, 16.0)
    inside = slice(after.margin, -after.margin)
    found = matrix @ wave(before, 5.0)
    torch.testing.assert_close(found[inside], wave(after, 5.0)[inside], atol=0.01, rtol=0)


def test_a_wave_above_the_band_does_not_come_back_as_another():
    high = wave(FINE, 27.0)  # would alias to 5 at 32 samples
    matrix = resampling_matrix(FINE, COARSE, 11.0)
    assert (matrix @ high)[6:-6].abs().max() < 0.01
    assert high[::2].abs().max() > 0.5  # what dropping samples leaves


def test_a_shift_moves_by_parts_of_a_sample():
    shift = 0.3 / 32
    matrix = resampling_matrix(COARSE, COARSE, 16.0, shift)
    found = matrix @ wave(COARSE, 5.0)
    expected = wave(COARSE, 5.0, shift)
    torch.testing.assert_close(found[6:-6], expected[6:-6], atol=0.01, rtol=0)


def test_rows_and_columns_have_their_own_matrix():
    down, right = resampling_matrix(COARSE, FINE, 11.0), resampling_matrix(COARSE, COARSE, 11.0)
    images = torch.randn(2, 3, 44, 44)
    found = resampled(images, down, right)
    assert found.shape == (2, 3, 88, 44)
    torch.testing.assert_close(found[1, 2], down @ images[1, 2] @ right.T)

"""Which slices are taken."""

import numpy as np
import pytest
import torch

from medimg_gan.slices import middle_slice, spread_over


@pytest.mark.parametrize(("channels", "middle"), [(1, 0), (2, 1), (3, 1), (5, 2)])
def test_of_adjacent_slices_the_middle_one_is_taken(channels, middle):
    images = np.arange(2 * channels * 4.0).reshape(2, channels, 2, 2)
    for made in (middle_slice(images), middle_slice(torch.from_numpy(images)).numpy()):
        assert np.array_equal(made, images[:, [middle]])


def test_places_are_spread_evenly_with_both_ends():
    assert spread_over(9, 3).tolist() == [0, 4, 8]
    assert spread_over(10, 4).tolist() == [0, 3, 6, 9]
    assert spread_over(3, 7).tolist() == [0, 1, 2]
    assert spread_over(0, 7).tolist() == []
    for length in range(1, 40):
        for count in range(2, length + 1):
            places = spread_over(length, count)
            assert np.diff(places).min(initial=length) >= 1
            assert len(places) == count

import math

import pytest
import torch

from medimg_gan.metrics.equivariance import moved_by, translation_equivariance


def waves(shift=(0.0, 0.0)):
    down = torch.arange(32.0)[:, None] - shift[0]
    right = torch.arange(32.0)[None, :] - shift[1]
    return (torch.sin(0.4 * down + 0.2) * torch.cos(0.3 * right))[None, None]


@pytest.mark.parametrize("shift", [(2.0, -3.0), (-1.0, 0.0), (0.0, 0.0)])
def test_whole_pixels_are_copied(shift):
    images = torch.randn(2, 3, 16, 16)
    moved = moved_by(images, shift)
    rolled = images.roll([int(pixels) for pixels in shift], dims=(2, 3))
    torch.testing.assert_close(moved[..., 4:-4, 4:-4], rolled[..., 4:-4, 4:-4])


@pytest.mark.parametrize("shift", [(0.5, 0.25), (-2.3, 1.7)])
def test_parts_of_a_pixel_move_a_smooth_picture(shift):
    moved = moved_by(waves(), shift)
    inside = (..., slice(7, -7), slice(7, -7))
    torch.testing.assert_close(moved[inside], waves(shift)[inside], atol=0.02, rtol=0)


def test_equivariance_in_closed_form():
    still = waves()
    moved = still.roll(2, dims=2) + 0.02
    assert translation_equivariance(still, moved, (2.0, 0.0)) == pytest.approx(
        20 * math.log10(2 / 0.02), abs=0.01
    )


def test_a_picture_that_stays_behind_is_not_equivariant():
    still = waves()
    assert translation_equivariance(still, waves((1.5, 1.5)), (1.5, 1.5)) > 40
    assert translation_equivariance(still, still, (1.5, 1.5)) < 20


def test_a_shift_must_leave_something():
    with pytest.raises(ValueError, match="leaves nothing"):
        translation_equivariance(waves(), waves(), (14.0, 0.0))

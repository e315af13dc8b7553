"""Displacements mean what they say, and begin at none."""

import pytest
import torch

from medimg_gan import losses
from medimg_gan.nets.registration import RegistrationNet, warped


def constant_field(right, down, side=8):
    return torch.tensor([right, down]).view(1, 2, 1, 1).expand(1, 2, side, side)


def test_a_registration_begins_with_the_identity():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 32, 32)
    field = RegistrationNet(3, 4)(images, images.flip(0))
    assert torch.equal(field, torch.zeros(2, 2, 32, 32))
    torch.testing.assert_close(warped(images, field), images)


def test_whole_pixels_move_values_and_the_border_goes_on():
    images = torch.arange(64.0).view(1, 1, 8, 8)
    moved = warped(images, constant_field(1.0, 2.0))
    torch.testing.assert_close(moved[..., :6, :7], images[..., 2:, 1:])
    torch.testing.assert_close(moved[..., 5:, 3], images[..., 7:, 4].expand(-1, -1, 3))


def test_half_a_pixel_is_the_mean_of_two():
    images = torch.rand(1, 1, 8, 8)
    moved = warped(images, constant_field(0.5, 0.0))
    torch.testing.assert_close(moved[..., :7], (images[..., :7] + images[..., 1:]) / 2)


def test_roughness_by_hand():
    assert losses.roughness(constant_field(3.0, -2.0)).item() == 0
    slope = torch.arange(8.0).expand(1, 1, 8, 8) * 0.5
    field = torch.cat([slope, torch.zeros(1, 1, 8, 8)], dim=1)  # half a pixel more a pixel
    assert losses.roughness(field).item() == pytest.approx(0.25 / 2)  # of one of two components

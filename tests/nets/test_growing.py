import pytest
import torch
from torch.nn import functional as F

from medimg_gan.nets.growing import GrowingCritic, GrowingGenerator, faded, side_at

CONDITION = torch.eye(2)


def pair(size=32):
    torch.manual_seed(0)
    return GrowingGenerator(8, 2, 1, size, 4, 8), GrowingCritic(2, 1, size, 4, 8)


@pytest.mark.parametrize(("stage", "side"), [(1.0, 8), (1.2, 16), (2.0, 16), (2.5, 32), (3.0, 32)])
def test_side_at_a_stage(stage, side):
    generator, critic = pair()
    assert side_at(stage) == side
    images = generator(torch.randn(2, 8), CONDITION, stage)
    assert images.shape == (2, 1, side, side)
    assert critic(images, CONDITION, stage).scores.shape == (2,)
    assert faded(torch.zeros(2, 1, 32, 32), stage).shape == images.shape


def test_it_grows_to_512():
    generator, critic = pair(512)
    with torch.no_grad():
        images = generator(torch.randn(2, 8), CONDITION, 7.0)
        assert images.shape == (2, 1, 512, 512)
        assert critic(images, CONDITION, 7.0).scores.isfinite().all()


def test_a_new_scale_comes_in_without_a_jump():
    generator, critic = pair()
    noise = torch.randn(2, 8)
    before = generator(noise, CONDITION, 2.0)
    begun = generator(noise, CONDITION, 2.0 + 1e-6)
    torch.testing.assert_close(begun, F.interpolate(before, scale_factor=2), atol=1e-4, rtol=0)
    torch.testing.assert_close(
        critic(begun, CONDITION, 2.0 + 1e-6).scores,
        critic(before, CONDITION, 2.0).scores,
        atol=1e-3,
        rtol=0,
    )
    almost, full = generator(noise, CONDITION, 3.0 - 1e-6), generator(noise, CONDITION, 3.0)
    torch.testing.assert_close(almost, full, atol=1e-4, rtol=0)


def test_real_images_lose_the_detail_that_is_not_there_yet():
    images = torch.randn(1, 1, 32, 32)
    assert torch.equal(faded(images, 3.0), images)
    torch.testing.assert_close(faded(images, 1.0), F.avg_pool2d(images, 4))
    half = (images + F.interpolate(F.avg_pool2d(images, 2), scale_factor=2)) / 2
    torch.testing.assert_close(faded(images, 2.5), half)


def test_what_has_not_grown_gets_a_gradient_of_zero():
    generator, _ = pair()
    generator(torch.randn(2, 8), CONDITION, 1.0).sum().backward()
    last = generator.blocks[-1][0].weight.grad
    assert last is not None
    assert not last.any()

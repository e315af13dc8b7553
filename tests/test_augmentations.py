import sys

import pytest
import torch

from medimg_gan.augmentations import DiffAugment
from medimg_gan.classify import classical_augmentation


def blob(count=16, size=32):
    """Background -1 with a lopsided bright block in the middle."""
    images = torch.full((count, 1, size, size), -1.0)
    images[:, :, 12:20, 12:16] = 1.0
    images[:, :, 12:16, 16:20] = 0.5
    return images


def moved_columns(augment, images):
    """Mean column of the brightness, per image."""
    mass = augment(images)[:, 0] + 1
    columns = torch.arange(images.shape[-1], dtype=torch.float32)
    return (mass.sum(dim=1) * columns).sum(dim=1) / mass.sum(dim=(1, 2))


def test_probability_zero_is_the_identity():
    images = torch.rand(4, 1, 16, 16)
    assert DiffAugment(0.0, mirror=True)(images) is images


def test_no_movement_is_the_identity():
    images = torch.rand(4, 2, 16, 16) * 2 - 1
    still = DiffAugment(1.0, shift=0.0, zoom=0.0, degrees=0.0)
    torch.testing.assert_close(still(images), images, atol=1e-5, rtol=0)


def test_probability_is_the_share_of_images_that_move():
    images = blob(600)
    changed = (DiffAugment(0.3)(images) - images).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert 0.22 < changed.float().mean().item() < 0.38


def test_equal_random_state_gives_the_equal_transform():
    augment, images = DiffAugment(0.9, mirror=True), blob()
    torch.manual_seed(3)
    first = augment(images)
    torch.manual_seed(3)
    assert torch.equal(first, augment(images))
    assert not torch.equal(first, augment(images))


def test_images_of_a_batch_move_differently():
    moved = DiffAugment(1.0)(blob())
    assert len(torch.unique(moved.flatten(1), dim=0)) == len(moved)


def test_channels_of_an_image_move_together():
    images = blob().repeat(1, 3, 1, 1)
    moved = DiffAugment(1.0, mirror=True)(images)
    assert torch.equal(moved[:, 0], moved[:, 2])


def test_shift_keeps_the_sum_away_from_the_border():
    images = blob()
    moved = DiffAugment(1.0, zoom=0.0, degrees=0.0)(images)
    assert not torch.allclose(moved, images)
    torch.testing.assert_close(
        (moved + 1).sum(dim=(1, 2, 3)), (images + 1).sum(dim=(1, 2, 3)), rtol=1e-3, atol=0
    )


def test_shift_stays_within_its_bound():
    images = blob(200)
    start = moved_columns(DiffAugment(0.0), images)
    end = moved_columns(DiffAugment(1.0, zoom=0.0, degrees=0.0), images)
    distance = (end - start).abs()
    assert distance.max() <= 32 * 0.125 + 1e-3
    assert distance.max() > 32 * 0.1


def test_background_moves_in_and_values_stay_in_range():
    images = torch.rand(64, 1, 16, 16) * 2 - 1
    moved = DiffAugment(1.0, mirror=True)(images)
    assert moved.min() >= -1
    assert moved.max() <= 1
    everywhere = DiffAugment(1.0)(torch.full((8, 1, 16, 16), -1.0))
    torch.testing.assert_close(everywhere, torch.full((8, 1, 16, 16), -1.0))


@pytest.mark.parametrize("mirror", [True, False])
def test_mirror_happens_only_where_it_is_allowed(mirror):
    images = torch.full((100, 1, 16, 16), -1.0)
    images[..., :8] = 1.0  # bright on the left
    still = DiffAugment(1.0, mirror=mirror, shift=0.0, zoom=0.0, degrees=0.0)
    flipped = still(images)[:, 0, 8, -2] > 0
    assert 0.3 < flipped.float().mean() < 0.7 if mirror else not flipped.any()


def test_rotation_keeps_shapes_of_a_rectangle_rigid():
    images = torch.full((50, 1, 32, 64), -1.0)
    images[:, :, 12:20, 20:44] = 1.0
    moved = DiffAugment(1.0, shift=0.0, zoom=0.0, degrees=45.0)(images)
    areas = (moved + 1).sum(dim=(1, 2, 3)) / (images + 1).sum(dim=(1, 2, 3))
    assert (areas - 1).abs().max() < 0.03


def test_gradient_flows_to_the_images():
    images = blob().requires_grad_()
    DiffAugment(1.0, mirror=True)(images).sum().backward()
    assert images.grad is not None
    assert images.grad[:, :, 10:22, 10:22].abs().min() > 0


def calls_of(work) -> int:
    """Calls that Python makes, of functions of its own and of libraries."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    work()  # what happens once only is done
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "augment",
    [
        DiffAugment(0.7, mirror=True),
        lambda images: classical_augmentation(images, True, torch.Generator()),
    ],
    ids=["what the critic sees", "what classifiers learn from"],
)
def test_a_batch_is_augmented_as_a_whole_where_it_lies(augment):
    calls = [calls_of(lambda size=size: augment(torch.zeros(size, 1, 8, 8))) for size in (2, 64)]
    assert calls[0] == calls[1]
    elsewhere = torch.zeros(4, 1, 8, 8, device="meta")  # stands for a GPU, which tests may lack
    assert augment(elsewhere).device.type == "meta"

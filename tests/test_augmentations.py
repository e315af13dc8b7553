import sys
from dataclasses import replace

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


def test_no_pixel_moves_by_rounding_where_training_is_in_bfloat16():
    images = torch.rand(2, 1, 256, 256) * 2 - 1
    still = DiffAugment(1.0, shift=0.0, zoom=0.0, degrees=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(still(images), images, rtol=0, atol=1e-3)


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


STILL = DiffAugment(1.0, shift=0.0, zoom=0.0, degrees=0.0)
TONES = {"brightness": 0.3, "contrast": 0.5}
OPERATIONS = {
    "geometry": DiffAugment(1.0),
    "brightness": replace(STILL, brightness=0.3),
    "contrast": replace(STILL, contrast=0.5),
    "cutout": replace(STILL, cutout=0.5),
}
EVERYTHING = DiffAugment(1.0, mirror=True, **TONES, cutout=0.5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_takes_the_asked_share_of_images(name):
    torch.manual_seed(5)
    images = torch.rand(1000, 1, 16, 16) * 1.8 - 0.9
    tried = replace(OPERATIONS[name], probability=torch.tensor(0.4))
    changed = (tried(images) - images).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert changed.float().mean().item() == pytest.approx(0.4, abs=0.05)


def test_operations_are_drawn_independently():
    torch.manual_seed(6)
    images = torch.full((2000, 1, 16, 16), 0.5)  # only what is cut out falls to -1
    two = replace(STILL, probability=0.5, cutout=0.5, brightness=0.3)(images)
    cut = (two == -1).flatten(1).any(dim=1)
    dimmed = two.flatten(1).amax(dim=1) < 0.499
    assert (cut & dimmed).float().mean().item() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_keeps_background_and_range(name):
    torch.manual_seed(7)
    images = torch.rand(200, 1, 16, 16) * 2 - 1
    images[:, :, 4:8] = -1.0
    images[:, :, 8:12] = 1.0
    changed = OPERATIONS[name](images)
    assert changed.min() >= -1 - 1e-6
    assert changed.max() <= 1 + 1e-6
    nothing = torch.full((50, 1, 16, 16), -1.0)
    assert torch.equal(OPERATIONS[name](nothing), nothing)


def test_the_tone_curve_rises_by_the_drawn_slope_and_keeps_its_ends():
    ramp = torch.linspace(-1, 1, 256).view(1, 1, 16, 16).expand(300, 1, 16, 16)
    torch.manual_seed(8)
    bent = OPERATIONS["contrast"](ramp).flatten(1)
    torch.testing.assert_close(bent[:, 0], torch.full((300,), -1.0))
    torch.testing.assert_close(bent[:, -1], torch.full((300,), 1.0))
    assert (bent.diff(dim=1) > 0).all()
    slope = (bent[:, 1] + 1) / (2 / 255)
    assert 1.4 < slope.max() <= 1.5
    assert 1 / 1.5 - 0.01 <= slope.min() < 1 / 1.4


def test_brightness_scales_what_lies_above_the_background():
    torch.manual_seed(9)
    images = torch.rand(300, 1, 8, 8) * 2 - 1
    gains = (OPERATIONS["brightness"](images) + 1) / (images + 1)
    gains = gains.flatten(1)
    torch.testing.assert_close(gains, gains[:, :1].expand_as(gains), rtol=1e-3, atol=1e-3)
    assert 0.7 - 1e-3 <= gains.min() < 0.72
    assert 0.98 < gains.max() <= 1 + 1e-3


def test_cutout_is_a_square_of_half_the_side_that_may_hang_over_the_border():
    torch.manual_seed(10)
    gone = OPERATIONS["cutout"](torch.ones(300, 1, 32, 32)) == -1
    rows, columns = gone.any(dim=3).sum(dim=2), gone.any(dim=2).sum(dim=2)
    assert torch.equal(gone.sum(dim=(1, 2, 3)), (rows * columns)[:, 0])  # a full rectangle
    assert rows.max() in (15, 16)
    assert rows.min() < 12
    assert (rows != columns).any()


def test_without_tones_no_value_is_new():
    levels = torch.tensor([-1.0, -0.5, 0.25, 0.75])
    torch.manual_seed(11)
    images = levels[torch.randint(4, (100, 1, 16, 16))]
    cut = OPERATIONS["cutout"](images)
    assert torch.equal(cut.mul(1e4).round().unique(), levels.mul(1e4).round())
    assert not torch.equal(cut, images)


def test_gradients_stay_finite_where_there_is_only_background():
    images = torch.full((50, 1, 16, 16), -1.0, requires_grad=True)
    EVERYTHING(images).sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


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
        replace(EVERYTHING, probability=torch.tensor(0.7)),
        lambda images: classical_augmentation(images, True, torch.Generator()),
    ],
    ids=["what the critic sees", "all that it may see", "what classifiers learn from"],
)
def test_a_batch_is_augmented_as_a_whole_where_it_lies(augment):
    calls = [calls_of(lambda size=size: augment(torch.zeros(size, 1, 8, 8))) for size in (2, 64)]
    assert calls[0] == calls[1]
    elsewhere = torch.zeros(4, 1, 8, 8, device="meta")  # stands for a GPU, which tests may lack
    assert augment(elsewhere).device.type == "meta"


def test_a_chance_on_a_device_is_never_read_there():
    chance = torch.tensor(0.5, device="meta")  # reading a value from it is an error
    moved = replace(EVERYTHING, probability=chance)(torch.zeros(4, 1, 8, 8, device="meta"))
    assert moved.shape == (4, 1, 8, 8)

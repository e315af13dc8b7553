"""What the loss by depth sees, in closed form, and what it must not."""

import pytest
import torch

from medimg_gan.depth_loss import QUANTILES, depth_difference, depth_layers


def difference(one, other):
    layers = [depth_layers(images, -0.5) for images in (one, other)]
    return depth_difference(one, other, *layers).item()


def square(*values, side=64, width=20):
    """A square body, from the skin inwards of rings one pixel wide; the last value fills it."""
    image = torch.full((1, 1, side, side), -1.0)
    for depth, value in enumerate(values):
        first, last = (side - width) // 2 + depth, (side + width) // 2 - depth
        image[..., first:last, first:last] = value
    return image


def test_layers_of_a_square_are_its_rings():
    # Of 20, 18, 16, 14 pixels a side, then one of two pixels, then 8 x 8 that are left. All but
    # the first layer, which is the air outside.
    layers = depth_layers(square(0.5), -0.5)
    assert layers.shape == (1, 1, 7, 64, 64)
    counts = [4 * (20 - 2 * depth) - 4 for depth in range(6)]
    assert layers.sum(dim=(-1, -2)).flatten().tolist() == [
        64 * 64 - 20 * 20, *counts[:4], counts[4] + counts[5], 8 * 8,
    ]  # fmt: skip
    assert (layers.sum(dim=2) == 1).all(), "every pixel lies in one"
    # Twice the pixels, twice as wide: the same share of the picture.
    finer = depth_layers(square(0.5, side=128, width=40), -0.5)
    assert torch.equal(finer[..., ::2, ::2], layers)
    # The picture's border is no skin.
    assert depth_layers(torch.ones(1, 1, 64, 64), -0.5)[:, :, -1].all()


def test_values_are_held_against_those_at_the_same_depth():
    head = square(0.1, 0.8, 0.4)
    shift = torch.zeros_like(head)
    shift[head == 0.8] = 0.3  # one layer of seven
    assert difference(head, head - shift) == pytest.approx(0.3 / 7)
    assert difference(head - shift, head) == pytest.approx(0.3 / 7)
    # Bone drawn for skin: two layers of wrong values. (A brighter skin rounds the corners less.)
    assert difference(head, square(0.8, 0.1, 0.4)) == pytest.approx(1.4 / 7, rel=0.01)


def test_neither_a_bodys_size_nor_the_place_within_a_layer_matters():
    head = square(0.1, 0.8, 0.4)
    assert difference(head, square(0.1, 0.8, 0.4, width=30)) == 0
    mottled = head + 0.05 * torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    turned = mottled.rot90(1, (-1, -2))
    assert difference(mottled, turned) == pytest.approx(0, abs=1e-6)
    assert (mottled - turned).abs().mean() > 0.01


def test_depths_that_only_one_of_two_bodies_reaches_do_not_count():
    head = square(0.1, 0.8, 0.4)
    thin = square(0.1, 0.8, 0.4, width=4)  # ends after two layers
    assert difference(head, thin) == 0
    assert difference(head, torch.full_like(head, -1.0)) == 0


def test_every_sequence_and_slice_is_judged_in_the_layers_of_its_slice():
    one, other = square(0.1, 0.8, 0.4), square(0.1, 0.8, 0.4, width=30)
    slices = torch.cat([one, other], dim=1)
    layers = depth_layers(slices, -0.5)
    sequences = torch.cat([slices, slices * 0.5], dim=1)
    assert depth_difference(sequences, sequences, layers, layers).item() == 0
    wrong = sequences.clone()
    # One layer of seven, in one slice of two and one sequence of two.
    wrong[:, 3] += 0.6 * layers[:, 1, 2]
    found = depth_difference(wrong, sequences, layers, layers).item()
    assert found == pytest.approx(0.6 / 28)


def test_a_quantile_is_a_value_of_its_layer():
    image = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    layers = depth_layers(square(0.5), -0.5)
    shifted = image + 0.25 * layers[:, :, 1]
    found = depth_difference(shifted, image, layers, layers).item()
    assert found == pytest.approx(0.25 / 7), f"of {QUANTILES} quantiles none is from elsewhere"


def test_gradients_are_finite_also_without_a_body():
    fake, head = torch.full((1, 1, 64, 64), -1.0, requires_grad=True), square(0.1, 0.8, 0.4)
    layers = depth_layers(fake, -0.5), depth_layers(head, -0.5)
    assert not layers[0][:, :, 1:].any()
    depth_difference(fake, head, *layers).backward()
    assert fake.grad is not None
    assert fake.grad.isfinite().all()


def test_it_takes_bone_from_the_skin_to_the_skull():
    """By itself, and in a larger body; a histogram of the whole would be content as it was."""
    real, source = square(0.1, 0.8, 0.4), square(0.1, -0.2, 0.3, width=26)
    layers = depth_layers(source, -0.6), depth_layers(real, -0.6)
    fake = square(0.8, 0.1, 0.4, width=26).requires_grad_(True)
    optimiser = torch.optim.Adam([fake], 0.02)
    for _ in range(100):
        optimiser.zero_grad()
        depth_difference(fake, real, *layers).backward()
        optimiser.step()
    assert (fake - square(0.1, 0.8, 0.4, width=26)).abs().max().item() < 0.05

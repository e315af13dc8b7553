"""What the structure losses see and what they must not: contrast, its sign, noise in air."""

import pytest
import torch

from medimg_gan import structure_losses
from medimg_gan.structure_losses import (
    body,
    body_difference,
    gradient_difference,
    mind,
    same_slices,
    self_similarity_difference,
)

COMPARISONS = [gradient_difference, self_similarity_difference]


def smooth(seed=0, count=2, side=24):
    """Random blobs, so that patches differ."""
    torch.manual_seed(seed)
    coarse = torch.rand(count, 1, side // 4, side // 4)
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic") * 2 - 1


def disc(radius, side=32):
    at = torch.arange(side) - (side - 1) / 2
    return ((at[:, None].square() + at.square()).sqrt() < radius)[None, None] * 2.0 - 1


@pytest.mark.parametrize("difference", COMPARISONS)
@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, 0.2), (-1.0, 0.0), (-0.3, 0.4)])
def test_any_contrast_of_the_same_anatomy_is_no_difference(difference, slope, offset):
    images = smooth()
    assert difference(images, slope * images + offset).item() == pytest.approx(0, abs=2e-3)
    assert difference(images, smooth(1)).item() > 0.1


@pytest.mark.parametrize("difference", COMPARISONS)
def test_the_further_an_edge_is_moved_the_larger_the_difference(difference):
    still = disc(9)
    moved = [difference(still, disc(9).roll(shift, dims=-1)).item() for shift in (0, 1, 3)]
    assert moved[0] == pytest.approx(0, abs=1e-6)
    assert moved[0] < moved[1] < moved[2]


def test_gradients_in_closed_form():
    # |dx|: edges of (1, 0, 0) and of (0, 0, 1) in a row of 4 pixels; nothing changes along y.
    one = torch.tensor([0.0, 1.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    other = torch.tensor([0.0, 0.0, 0.0, -1.0]).expand(1, 1, 4, 4)
    # Each has mean 1/3, variance 2/9, covariance -1/9: NCC -1/2 along x, 1 along y.
    assert gradient_difference(one, other).item() == pytest.approx(0.75, abs=1e-4)


def test_images_without_an_edge_agree_and_a_flat_translation_does_not():
    flat = torch.zeros(1, 1, 16, 16)
    assert gradient_difference(flat, flat + 0.5).item() == pytest.approx(0)
    assert gradient_difference(disc(5, 16), flat).item() > 0.9


def test_mind_is_one_for_the_most_similar_neighbour_and_follows_its_formula():
    images = smooth(count=1)
    found = mind(images)
    assert found.shape == (1, 24, 24, 24)
    torch.testing.assert_close(found.amax(dim=1), torch.ones(1, 24, 24))
    # By hand at one inner pixel: D_p of two neighbours, whose exponents differ by dD / V.
    at = torch.arange(7) - 3.0
    weight = torch.exp(-(at[:, None].square() + at.square()) / 8)
    weight = weight / weight.sum()

    def distance(row, column, y=12, x=12):
        patch = images[0, 0, y - 3 : y + 4, x - 3 : x + 4]
        other = images[0, 0, y + row - 3 : y + row + 4, x + column - 3 : x + column + 4]
        return (weight * (patch - other).square()).sum()

    variance = sum(distance(*shift) for shift in [(-1, 0), (1, 0), (0, -1), (0, 1)]) / 4
    expected = torch.exp(-(distance(-4, -4) - distance(4, 4)) / variance)
    assert (found[0, 0, 12, 12] / found[0, -1, 12, 12]).item() == pytest.approx(
        expected.item(), rel=1e-3
    )


def test_mind_takes_noise_in_air_for_flat():
    head = disc(9)
    noisy = head + 0.02 * torch.randn(head.shape, generator=torch.Generator().manual_seed(0))
    corner = (mind(head) - mind(noisy)).abs()[..., :4, :4]
    assert corner.mean() < 0.1


def test_body_is_filled_and_its_difference_is_a_share_of_the_picture():
    full, ring = disc(11), disc(11) - (disc(6) + 1)
    assert ring[0, 0, 16, 16] == -1  # bone or air within
    # The surface is soft, over about a pixel either way.
    assert body_difference(full, ring, -0.5).item() < 1e-3
    assert body(ring, -0.5)[0, 0, 16, 16].item() > 0.99
    inside = disc(11) > 0
    assert body(full, -0.5)[~inside & (disc(14) < 0)].max() < 0.01
    share = ((disc(11) > 0) ^ (disc(7) > 0)).float().mean().item()
    assert body_difference(full, disc(7), -0.5).item() == pytest.approx(share, rel=0.15)


@pytest.mark.parametrize("difference", [*COMPARISONS, lambda *pair: body_difference(*pair, -0.8)])
def test_gradients_are_finite_also_without_any_structure(difference):
    fake = torch.full((1, 1, 16, 16), -1.0, requires_grad=True)
    difference(disc(5, 16), fake).backward()
    assert fake.grad is not None
    assert fake.grad.isfinite().all()


def test_every_sequence_is_held_against_the_slice_in_the_same_place():
    source = torch.arange(6.0).view(1, 6, 1, 1)  # two sequences of three slices
    target = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1)
    one, other = same_slices(source, target)
    assert one.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert other.flatten().tolist() == [10, 20, 30, 10, 20, 30]
    back = same_slices(target, source)
    assert torch.equal(back[0], other)
    assert torch.equal(back[1], one)


def test_opposite_contrasts_of_two_sequences_do_not_cancel():
    head = disc(9)
    source = torch.cat([head, -head], dim=1)  # their mean is flat
    pair = same_slices(source, head)
    assert structure_losses.gradient_difference(*pair).item() == pytest.approx(0, abs=1e-6)

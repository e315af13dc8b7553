"""Random contrasts of an image: what they keep, what they hide, and what they teach."""

import pytest
import torch
from torch.nn import functional as F

from medimg_gan import disguise
from medimg_gan.disguise import disguised
from medimg_gan.nets.translation import ResnetGenerator

AIR, FAT, SOFT, BONE = -1.0, -0.27, -0.17, 0.75
THRESHOLD = -0.8


def heads(count=1, slices=1, size=32):
    """Discs of soft tissue in a ring of bone in a ring of fat, of random sizes."""
    side = torch.linspace(-1, 1, size)
    radius = (side[:, None].square() + side.square()).sqrt().expand(count, slices, size, size)
    outer = 0.75 + 0.2 * torch.rand(count, 1, 1, 1)
    images = torch.full_like(radius, AIR)
    for share, value in ((1.0, FAT), (0.85, BONE), (0.65, SOFT)):
        images = torch.where(radius < share * outer, torch.tensor(value), images)
    return images


@pytest.fixture
def curves_alone(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(disguise, "NOISE", 0.0)
    monkeypatch.setattr(disguise, "FIELD", 0.0)


def shades(value, draws=100, **options):
    """The shade of one tissue in many disguises of a head."""
    images = heads(draws)
    found = disguised(images, 1, THRESHOLD, **{"dark_bone": False, **options})
    return torch.stack([one[image == value][0] for one, image in zip(found, images, strict=True)])


@pytest.mark.usefixtures("curves_alone")
def test_air_stays_air_and_all_else_may_be_lighter_or_darker_than_all_else():
    assert (shades(AIR) == -1).all()
    found = disguised(images := heads(200), 1, THRESHOLD, dark_bone=False)
    fat, soft, bone = (
        found.where(images == value, torch.nan).flatten(1).nanmean(dim=1)
        for value in (FAT, SOFT, BONE)
    )
    for one, other in ((fat, soft), (soft, bone), (fat, bone)):
        assert 0.2 < (one > other).float().mean() < 0.8
    assert torch.cat([fat, soft, bone]).min() < -0.5
    assert torch.cat([fat, soft, bone]).max() > 0.7


@pytest.mark.usefixtures("curves_alone")
def test_bone_is_dark_only_where_it_gives_no_signal():
    low, high = (disguise.AIR + above for above in disguise.BONE_SHADES)
    dark = shades(BONE, dark_bone=True)
    assert low - 1e-6 <= dark.min() <= dark.max() <= high + 1e-6
    assert shades(BONE).max() > 0.5
    assert shades(SOFT, dark_bone=True).max() > 0.5


@pytest.mark.usefixtures("curves_alone")
def test_equal_values_get_equal_shades_in_all_slices_but_not_in_all_contrasts():
    images = heads(2, slices=3)
    images[:, 1] = images[:, 1].flip(-1)
    found = disguised(images, 2, THRESHOLD, dark_bone=False)
    assert found.shape == (2, 6, 32, 32)
    one, other = found.unflatten(1, (2, 3)).unbind(dim=1)
    for contrast in (one, other):
        for image, shown in zip(images, contrast, strict=True):
            assert all(shown[image == value].unique().numel() == 1 for value in image.unique())
    assert (one - other).abs().amax(dim=(1, 2, 3)).min() > 0.05
    assert (one[0] - one[1]).abs().max() > 0.05


@pytest.mark.usefixtures("curves_alone")
def test_noise_becomes_no_pattern():
    images = torch.full((50, 1, 16, 16), SOFT)
    images = images + 0.004 * torch.rand_like(images)  # 5 HU
    found = disguised(images, 1, THRESHOLD, dark_bone=False)
    spread = found.amax(dim=(1, 2, 3)) - found.amin(dim=(1, 2, 3))
    steepest = disguise.PEAKS[1] / disguise.APART[0]
    assert spread.max() <= steepest * 0.004 + 1e-6
    assert spread.median() < 0.3


@pytest.mark.usefixtures("curves_alone")
def test_the_commonest_tissues_are_told_apart_best():
    images = torch.full((300, 1, 16, 16), -0.30)
    images[..., 8:] = -0.26  # 50 HU apart, of 250 that are soft
    images[..., 0, 0], images[..., 15, 15] = -0.18, -0.14  # as far apart, and rare
    found = disguised(images, 1, THRESHOLD, dark_bone=True)[:, 0]
    common = (found[:, 8, 4] - found[:, 8, 12]).abs()
    rare = (found[:, 0, 0] - found[:, 15, 15]).abs()
    assert common.mean() > 1.3 * rare.mean()


def test_a_coil_is_smooth_and_the_same_in_all_slices(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(disguise, "NOISE", 0.0)
    found = disguised(torch.full((20, 3, 32, 32), SOFT), 1, THRESHOLD, dark_bone=True)
    assert (found - found[:, :1]).abs().max() == 0
    inner = found[found.amax(dim=(1, 2, 3)) < 1]  # nothing clipped
    spread = inner.amax(dim=(1, 2, 3)) - inner.amin(dim=(1, 2, 3))
    assert spread.median() > 0.05
    steps = inner.diff(dim=-1).abs().amax(dim=(1, 2, 3))
    assert (steps < 0.3 * spread).all()


def test_noise_is_of_every_pixel_and_of_a_strength_of_its_own(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(disguise, "FIELD", 0.0)
    found = disguised(torch.full((50, 1, 32, 32), SOFT), 1, THRESHOLD, dark_bone=True)
    found = found[found.amax(dim=(1, 2, 3)) < 1]
    deviation = found.std(dim=(1, 2, 3))
    assert 0.5 * disguise.NOISE < deviation.max() < 1.2 * disguise.NOISE
    assert deviation.min() < 0.3 * disguise.NOISE
    one, other = found[:, 0, :, :-1].flatten(), found[:, 0, :, 1:].flatten()
    means = found.mean(dim=(1, 2, 3)).repeat_interleave(32 * 31)
    assert ((one - means) * (other - means)).mean().abs() < 0.1 * disguise.NOISE**2


@pytest.mark.usefixtures("curves_alone")
def test_pixels_with_ever_more_bone_go_straight_from_soft_tissue_to_bone():
    images = torch.full((100, 1, 8, 8), SOFT)
    images[..., 2:4], images[..., 4:6], images[..., 6:] = 0.05, 0.2, disguise.BONE
    _, little, more, bone = disguised(images, 1, THRESHOLD, dark_bone=True)[:, 0, 0, ::2].T
    share = (0.2 - 0.05) / (disguise.BONE - 0.05)
    torch.testing.assert_close(more, torch.lerp(little, bone, share))


def test_a_curve_by_hand():
    knots = torch.tensor([[-1.0, 0.0, 0.5]])
    found = disguise._curve(
        torch.tensor([[-1.0, -0.5, 0.0, 0.25, 0.5, 0.9]]), knots, torch.tensor([[-1.0, 1.0, 0.0]])
    )
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0.0, 1.0, 0.5, 0.0, 0.0]]))


def test_it_is_an_image_of_its_own_each_time():
    torch.manual_seed(0)
    images = heads(2, slices=3).requires_grad_()
    once, again = (disguised(images, 1, THRESHOLD, dark_bone=True) for _ in range(2))
    assert not once.requires_grad
    assert once.dtype == torch.float32
    assert once.min() >= -1
    assert once.max() <= 1
    assert not torch.equal(once, again)
    torch.manual_seed(0)
    heads(2, slices=3)
    assert torch.equal(once, disguised(images, 1, THRESHOLD, dark_bone=True))


@pytest.mark.usefixtures("curves_alone")
def test_an_image_without_a_body_stays_as_it_is():
    empty = torch.full((2, 1, 8, 8), AIR)
    assert torch.equal(disguised(empty, 1, THRESHOLD, dark_bone=True), empty)


def test_who_learnt_from_disguises_reads_a_contrast_never_seen():
    torch.manual_seed(0)
    network = ResnetGenerator(1, 1, width=8, blocks=1)
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(150):
        target = heads(4)
        hidden = disguised(target, 1, THRESHOLD, dark_bone=False)
        optimiser.zero_grad()
        F.l1_loss(network(hidden), target).backward()
        optimiser.step()
    target = heads(8)
    scan = torch.where(target == BONE, -0.9, torch.where(target == SOFT, 0.3, target))
    scan = torch.where(target == FAT, 0.9, scan)
    with torch.no_grad():
        error = F.l1_loss(network(scan), target)
    assert error < 0.25 * F.l1_loss(scan, target)

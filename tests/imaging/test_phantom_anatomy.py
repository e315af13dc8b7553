"""Anatomy of the phantom: geometry helpers, and what every head must have."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medimg_gan.imaging.phantom_anatomy import grid_affine, tissue_fractions
from medimg_gan.imaging.phantom_geometry import Noise, capsule, cover, ellipsoid, smooth_union, step
from medimg_gan.imaging.phantom_tissue import Tissue
from medimg_gan.imaging.phantom_traits import draw_traits

SIZE = (64, 80, 26)


@pytest.fixture(scope="module")
def heads() -> list[np.ndarray]:
    return [
        tissue_fractions(draw_traits(np.random.default_rng(seed)), None, SIZE) for seed in range(4)
    ]


def amount(head: np.ndarray, *tissues: Tissue) -> np.ndarray:
    return np.sum(head[list(tissues)], axis=0)


def filled(body: np.ndarray) -> np.ndarray:
    """Without holes, slice by slice."""
    return np.asarray(ndimage.binary_fill_holes(body, np.ones((3, 3, 1))))


def shrunk(body: np.ndarray, times: int = 1) -> np.ndarray:
    return np.asarray(ndimage.binary_erosion(body, iterations=times))


def test_cover_is_the_box_filter_of_an_edge():
    distance = np.array([-2.0, -0.5, 0.0, 0.25, 0.5, 2.0])
    assert cover(distance, 1.0) == pytest.approx([1, 1, 0.5, 0.25, 0, 0])


def test_distances_of_simple_bodies():
    zero = np.zeros(3)
    x = np.array([0.5, 5.0, 9.0])
    assert ellipsoid(x, zero, zero, (0, 0, 0), (5, 5, 5)) == pytest.approx([-4.5, 0, 4])
    # Beside the shaft and beyond the round end of a capsule of radius 2.
    args = ((0, 0, 0), (10, 0, 0), 2.0, 2.0)
    assert capsule(np.array([5.0]), np.array([6.0]), np.zeros(1), *args) == pytest.approx([4])
    assert capsule(np.array([13.0]), np.array([4.0]), np.zeros(1), *args) == pytest.approx([3])


def test_smooth_union_contains_both_and_adds_little():
    first, second = np.linspace(-5, 5, 50), np.linspace(5, -5, 50)
    union = smooth_union(first, second, 2.0)
    assert (union <= np.minimum(first, second) + 1e-12).all()
    assert np.abs(union - np.minimum(first, second)).max() <= 0.5  # a quarter of the blend
    assert union[0] == -5


def test_step_goes_from_nought_to_one():
    assert step(np.array([-3.0, -2.0, 0.0, 2.0, 3.0]), 2.0) == pytest.approx([0, 0, 0.5, 1, 1])


def test_noise_has_unit_variance_and_its_wavelength():
    noise = Noise.draw(np.random.default_rng(0), 24.0, pitch=3.0)
    assert noise.lattice.mean() == pytest.approx(0, abs=0.05)
    assert noise.lattice.std() == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.fftn(noise.lattice)) ** 2
    frequency = np.linalg.norm(np.meshgrid(*[np.fft.fftfreq(48, 3.0)] * 3), axis=0)
    assert 1 / np.average(frequency, weights=power) == pytest.approx(24, rel=0.1)
    # Periodic: one period further on lies the same value.
    here, there = np.array([7.0]), np.array([7.0 + 48 * 3.0])
    assert noise.at(here, here, here) == pytest.approx(noise.at(there, here, here), abs=1e-4)


def test_grid_is_the_same_box_whatever_the_number_of_voxels():
    for size in ((128, 160, 26), (48, 48, 8)):
        affine = grid_affine(size)
        corners = affine[:3, :3] @ np.array(size)
        assert corners == pytest.approx([192, 240, 130])
        middle = affine @ np.array([*(np.array(size) - 1) / 2, 1])
        assert middle[:3] == pytest.approx([0, 0, 0])


def test_fractions_are_shares_of_a_whole(heads):
    for head in heads:
        assert head.dtype == np.float32
        assert head.min() >= -1e-6
        assert np.abs(head.sum(axis=0) - 1).max() < 1e-4


def test_every_tissue_of_a_healthy_head_is_there(heads):
    ill = {Tissue.TUMOUR_CORE, Tissue.TUMOUR_RIM}
    often = {Tissue.CALCIFICATION, Tissue.OEDEMA}
    for head in heads:
        volumes = head.sum(axis=(1, 2, 3))
        assert all(volumes[tissue] == 0 for tissue in ill)
        assert all(volumes[tissue] > 0 for tissue in set(Tissue) - ill - often)


def test_volumes_are_those_of_an_adult_head(heads):
    voxel = np.prod([192, 240, 130]) / np.prod(SIZE) / 1000  # millilitres
    for head in heads:
        brain = amount(head, Tissue.GREY, Tissue.WHITE, Tissue.DEEP_GREY).sum() * voxel
        fluid = amount(head, Tissue.FLUID).sum() * voxel
        assert 800 < brain < 1700
        assert 60 < fluid < 450


def test_head_lies_in_air_and_tapers_to_the_vertex(heads):
    for head in heads:
        body = 1 - amount(head, Tissue.AIR)
        # A nose or an ear may be cut off, as happens on a real table; the head may not.
        edges = [body[0], body[-1], body[:, 0], body[:, -1]]
        assert sum(edge.sum() for edge in edges) < 1e-3 * body.sum()
        area = body.sum(axis=(0, 1))
        # Above the brow each slice is smaller than the one below.
        assert (np.diff(area[12:]) <= 0).all()
        assert area[-1] < 0.35 * area[12]


def test_skull_closes_around_the_brain(heads):
    for head in heads:
        brain = amount(head, Tissue.GREY, Tissue.WHITE, Tissue.FLUID) > 0.5
        outside = amount(head, Tissue.AIR, Tissue.FAT, Tissue.SKIN, Tissue.MUSCLE)
        for k in range(12, 22):  # above the orbits
            near = np.asarray(ndimage.binary_dilation(brain[:, :, k]), bool)
            assert outside[:, :, k][near].max() <= 0.5


def test_cortex_is_folded(heads):
    """The boundary of the white matter is far longer than that of a smooth body of its area."""
    for head in heads:
        white = amount(head, Tissue.WHITE)[:, :, 16] > 0.5
        spacing = 192 / SIZE[0]
        edge = (white ^ shrunk(white)).sum() * spacing
        smooth = 2 * np.sqrt(np.pi * white.sum()) * spacing
        assert edge > 1.7 * smooth


def test_ventricles_are_fluid_deep_inside_and_air_cells_are_low(heads):
    for head in heads:
        deep = shrunk(amount(head, Tissue.AIR) < 0.5, 12)
        assert (amount(head, Tissue.FLUID) * deep)[:, :, 8:16].max() > 0.95
        inside = filled(amount(head, Tissue.AIR) < 0.5)
        cells = (amount(head, Tissue.AIR) > 0.5) & inside
        assert cells[:, :, :8].sum() > 20
        assert cells[:, :, 14:].sum() == 0


def test_left_and_right_are_alike_but_not_the_same(heads):
    for head in heads:
        body = 1 - amount(head, Tissue.AIR)
        overlap = np.minimum(body, body[::-1]).sum() / body.sum()
        assert 0.8 < overlap < 0.998


def test_patients_differ_in_size_fluid_and_folds(heads):
    volumes = np.array([head.sum(axis=(1, 2, 3)) for head in heads])
    for tissue in (Tissue.AIR, Tissue.FLUID, Tissue.FAT, Tissue.DIPLOE):
        spread = volumes[:, tissue].std() / volumes[:, tissue].mean()
        assert spread > 0.02
    white = np.array([head[Tissue.WHITE, :, :, 16].ravel() for head in heads])
    correlation = np.corrcoef(white)[np.triu_indices(len(heads), 1)]
    assert correlation.max() < 0.9

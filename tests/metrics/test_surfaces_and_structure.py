"""Overlap and distance of segmentations; likeness of structure across contrasts."""

import numpy as np
import pytest
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance

from medimg_gan.metrics.structure import structure_distance
from medimg_gan.metrics.surfaces import dice, surface_distance_95


def box(*sides):
    mask = np.zeros((20, 20, 12), bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def test_dice_and_distance_of_shifted_boxes_by_hand():
    one = box((4, 12), (4, 12), (2, 6))
    moved = box((7, 15), (4, 12), (2, 6))
    assert dice(one, moved) == pytest.approx(5 / 8)
    assert surface_distance_95(one, moved, (1.5, 1.5, 5.0)) == pytest.approx(4.5)
    assert surface_distance_95(one, one, (1.5, 1.5, 5.0)) == 0
    empty = np.zeros_like(one)
    assert np.isnan(dice(empty, empty))
    assert dice(one, empty) == 0
    assert np.isnan(surface_distance_95(one, empty, (1, 1, 1)))


def test_the_distance_is_monais():
    rng = np.random.default_rng(0)
    one, other = (box((3, 15), (4, 14), (2, 9)) & (rng.random((20, 20, 12)) > 0.1) for _ in "ab")
    tensors = [torch.from_numpy(mask.astype(np.uint8))[None, None] for mask in (one, other)]
    expected = compute_hausdorff_distance(
        *tensors, include_background=True, percentile=95, spacing=[1.0, 2.0, 3.0]
    )
    found = surface_distance_95(one, other, (1.0, 2.0, 3.0))
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_structure_is_alike_under_any_contrast_and_not_when_moved_or_lost():
    image = np.zeros((40, 40, 2))
    image[10:30, 12:26], image[15:22, 16:20] = 100, 60
    where = np.ones(image.shape, bool)
    assert structure_distance(image, image, where) == pytest.approx(0, abs=1e-12)
    assert structure_distance(image, 900 - 7 * image, where) == pytest.approx(0, abs=1e-12)
    moved = structure_distance(image, np.roll(image, 4, axis=0), where)
    assert moved > 0.3
    lost = image.copy()
    lost[15:22, 16:20] = 100
    assert 0.05 < structure_distance(image, lost, where) < moved
    assert np.isnan(structure_distance(image, np.zeros_like(image), where))


@pytest.mark.parametrize("shape", [(1, 30, 30), (30, 1, 30), (30, 30, 1)])
def test_a_single_slice_of_any_plane_has_a_structure(shape):
    image = np.random.default_rng(0).normal(size=shape)
    assert structure_distance(image, image, np.ones(shape, bool)) == pytest.approx(0, abs=1e-12)

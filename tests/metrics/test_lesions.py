"""Lesions planted in a head and erased from it: what counts as kept, lost, invented."""

import numpy as np
import pytest

from medimg_gan.metrics.lesions import (
    LEAST_STRENGTH,
    Lesion,
    invented,
    invention_threshold,
    lesions_of,
)

SPACING = (2.0, 2.0, 4.0)
SHAPE = (56, 56, 28)


@pytest.fixture(scope="module")
def head():
    """(CT of noisy soft tissue in a skull, the tissue, a ball of 9 mm in it)."""
    rng = np.random.default_rng(0)
    axes = [step * (np.arange(n) - n / 2) for n, step in zip(SHAPE, SPACING, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in grid))
    truth = np.where(radius < 45, 35.0, np.where(radius < 51, 1000.0, -1000.0))
    truth += rng.normal(0, 6, SHAPE)
    ball = np.sqrt((grid[0] - 10) ** 2 + grid[1] ** 2 + grid[2] ** 2)
    return truth, radius < 45, ball


def lesion_of(made, truth, mask, tissue):
    (found,) = lesions_of(made, truth, mask, tissue, SPACING)
    return found


def test_a_lesion_is_kept_with_half_its_contrast_and_lost_with_a_tenth(head):
    plain, tissue, ball = head
    mask = ball < 9
    truth = plain - 15 * mask
    ratios = [
        lesion_of(plain - share * 15 * mask, truth, mask, tissue) for share in (1, 0.6, 0.1, -1)
    ]
    assert [lesion.kept for lesion in ratios] == [True, True, False, False]
    assert ratios[0].ratio == pytest.approx(1)
    assert ratios[1].ratio == pytest.approx(0.6, abs=0.05)
    assert 8 < ratios[0].strength < 15  # smoothing takes some


def test_rim_and_core_that_cancel_in_a_mean_are_still_seen(head):
    plain, tissue, ball = head
    mask = ball < 10
    pattern = np.where(ball < 6.5, -20.0, 20.0) * mask
    truth = plain + pattern
    assert lesion_of(truth, truth, mask, tissue).visible
    assert not lesion_of(plain, truth, mask, tissue).kept
    assert len(invented(truth, plain, tissue, SPACING, 6.0)) == 1


def test_a_planted_lesion_is_found_once_and_what_is_no_lesion_is_not(head):
    plain, tissue, ball = head
    other_noise = plain + np.random.default_rng(1).normal(0, 6, SHAPE)
    for made in (other_noise, plain + 30, np.where(tissue, plain, plain - 200)):
        assert invented(made, plain, tissue, SPACING, 6.0) == []
    for contrast in (-15, 15):
        found = invented(other_noise + contrast * (ball < 9), plain, tissue, SPACING, 6.0)
        assert len(found) == 1
    # A ventricle that the translation lacks is an error, but nothing was invented.
    ventricle = plain - 25 * (ball < 9)
    assert invented(plain, ventricle, tissue, SPACING, 6.0) == []
    # A dot of 2 mm, and a sheet through the whole head, are not of a lesion's shape.
    dot = plain + 60 * (ball < 2)
    assert invented(dot, plain, tissue, SPACING, 6.0) == []


def test_the_threshold_follows_the_lesions_that_can_be_seen():
    lesions = [Lesion(20, 1.0), Lesion(12, 1.0), Lesion(30, 1.0), Lesion(1, 1.0)]
    assert invention_threshold(lesions) == 10
    assert invention_threshold([]) == LEAST_STRENGTH
    assert invention_threshold([Lesion(1, 0.0)]) == LEAST_STRENGTH

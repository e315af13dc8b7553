import numpy as np
import pytest

from medimg_gan.metrics.radiomics import (
    LEVELS,
    RADIOMICS,
    body_masks,
    co_occurrence,
    grey_levels,
    radiomics,
    radiomics_distance,
    texture,
)

HARALICK = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [0, 2, 2, 2], [2, 2, 3, 3]])
"""The example of Haralick 1973, figure 3."""


def images(count: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    array = np.full((count, 1, 32, 32), -1.0, np.float32)
    array[:, :, 6:26, 6:26] = rng.normal(0.1, 0.2, (count, 1, 20, 20)).clip(-0.8, 1)
    return array


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ((0, 1), [[4, 2, 1, 0], [2, 4, 0, 0], [1, 0, 6, 1], [0, 0, 1, 2]]),
        ((1, 0), [[6, 0, 2, 0], [0, 4, 2, 0], [2, 2, 2, 2], [0, 0, 2, 0]]),
        ((1, 1), [[2, 1, 3, 0], [1, 2, 1, 0], [3, 1, 0, 2], [0, 0, 2, 0]]),
        ((1, -1), [[4, 1, 0, 0], [1, 2, 2, 0], [0, 2, 4, 1], [0, 0, 1, 0]]),
    ],
)
def test_co_occurrence_is_that_of_the_paper(direction, expected):
    counts = co_occurrence(HARALICK, np.ones((4, 4), bool), direction)
    np.testing.assert_array_equal(counts[:4, :4], expected)


def test_pairs_that_leave_the_mask_do_not_count():
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = True
    assert co_occurrence(HARALICK, mask, (0, 1)).sum() == 2
    assert co_occurrence(HARALICK, mask, (1, 0)).sum() == 0


def test_texture_of_a_chequerboard_has_closed_forms():
    board = np.indices((6, 6)).sum(axis=0) % 2
    pairs = {(0, 1): 30, (1, 0): 30, (1, 1): 25, (1, -1): 25}  # the last two meet their own grey
    unequal = 60 / sum(pairs.values())
    contrast, dissimilarity, homogeneity, _, _, correlation = texture(board, np.ones((6, 6), bool))
    assert contrast == pytest.approx(unequal)
    assert dissimilarity == pytest.approx(unequal)
    assert homogeneity == pytest.approx(1 - unequal / 2)
    assert correlation == pytest.approx(1 - 2 * unequal, abs=1e-3)


def test_grey_levels_part_the_range_evenly():
    assert grey_levels(np.array([-1.0, -1 + 2 / LEVELS, 0.0, 1.0])).tolist() == [0, 1, 8, 15]


def test_first_order_features_are_those_of_the_body():
    some = images()
    found = dict(zip(RADIOMICS, radiomics(some)[3], strict=True))
    inside = some[3, 0, 6:26, 6:26]
    assert found["mean"] == pytest.approx(inside.mean(), rel=1e-5)
    assert found["median"] == pytest.approx(np.median(inside), rel=1e-5)
    assert found["standard deviation"] == pytest.approx(inside.std(), rel=1e-5)


def test_a_hole_belongs_to_the_body_and_black_or_flat_images_are_finite():
    some = images(3)
    some[0, 0, 12:16, 12:16] = -1
    assert body_masks(some)[0].sum() == 400
    some[1], some[2] = -1.0, 0.5
    assert np.isfinite(radiomics(some)).all()


def test_one_strange_slice_does_not_decide_the_distance():
    real, other = radiomics(images(40)), radiomics(images(40, seed=1))
    floor = radiomics_distance(real, other)
    other[0, RADIOMICS.index("kurtosis")] = 1e4
    assert radiomics_distance(real, other) < floor + 2


def test_the_distance_sees_texture_that_a_histogram_does_not():
    real, other = images(40), images(40, seed=1)
    sorted_inside = other.copy()
    flat = np.sort(other[:, :, 6:26, 6:26].reshape(40, 400), axis=1)
    sorted_inside[:, :, 6:26, 6:26] = flat.reshape(40, 1, 20, 20)
    floor = radiomics_distance(radiomics(real), radiomics(other))
    assert radiomics_distance(radiomics(real), radiomics(sorted_inside)) > 20 * floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medimg_gan.data.geometry import AXES, geometry_of
from medimg_gan.errors import UnreadableError

OWN = (0.0, 0.0, 0.0)


def smooth(shape, spacing=(1.0, 1.0, 1.0)):
    """Some blobs that vary over centimetres, in mm from the middle of the grid."""
    axes = ((np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True))
    i, j, k = np.meshgrid(*axes, indexing="ij")
    return (np.cos(i / 9) * np.cos(j / 12 + 0.3) * np.cos(k / 10)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    plane=st.sampled_from([*AXES, "acquired"]),
    spacing=st.tuples(*[st.floats(0.3, 7)] * 3),
)
def test_turning_a_scan_into_any_plane_and_back_is_exact(shape, plane, spacing):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    geometry = geometry_of(shape, spacing, plane, OWN)
    assert np.array_equal(geometry.back(geometry.forward(array), outside=9), array)


@settings(deadline=None, max_examples=60)
@given(
    shape=st.tuples(*[st.integers(2, 30)] * 3),
    spacing=st.tuples(*[st.floats(0.5, 5)] * 3),
    wanted=st.tuples(*[st.one_of(st.just(0.0), st.floats(0.7, 6))] * 3),
    plane=st.sampled_from([*AXES, "acquired"]),
)
def test_resampling_keeps_shape_range_and_constants_both_ways(shape, spacing, wanted, plane):
    array = np.random.default_rng(0).uniform(-3, 5, shape).astype(np.float32)
    geometry = geometry_of(shape, spacing, plane, wanted)
    there = geometry.forward(array)
    back = geometry.back(there, outside=99)
    assert back.shape == shape
    for part in (there, back):
        assert part.min() >= array.min() - 1e-4
        assert part.max() <= array.max() + 1e-4
    whole = np.full(shape, 7, np.float32)
    np.testing.assert_allclose(geometry.back(geometry.forward(whole), outside=99), 7, atol=1e-4)


def test_asked_for_spacing_is_exact_and_the_centre_stays():
    geometry = geometry_of((40, 31, 9), (0.9, 1.1, 5.0), "axial", (1.5, 0, 2.0))
    assert geometry.spacing == (1.5, 1.1, 2.0)
    assert geometry.shape == (24, 31, 22)
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 31, 9))
    there = geometry.forward(ramp)[:, 15, 11]
    place = (np.arange(24) - 11.5) * 1.5 / 0.9 + 19.5
    np.testing.assert_allclose(there[3:-3], place[3:-3], atol=1e-3)


@pytest.mark.parametrize("wanted", [(2.0, 2.0, 2.0), (0.0, 0.0, 1.0), (1.3, 0.8, 3.0)])
def test_a_smooth_scan_survives_resampling(wanted):
    array = smooth((50, 44, 30))
    geometry = geometry_of(array.shape, (1.0, 1.0, 1.0), "axial", wanted)
    error = np.abs(geometry.back(geometry.forward(array), outside=0) - array)
    assert error.max() < 0.2
    assert error[5:-5, 5:-5, 5:-5].max() < 0.05


def test_shrinking_does_not_alias():
    i = np.indices((64, 64, 4))[0]
    stripes = np.where(i % 2, 1.0, -1.0).astype(np.float32)
    shrunk = geometry_of(stripes.shape, (1, 1, 1), "axial", (2.0, 0, 0)).forward(stripes)
    assert np.abs(shrunk[4:-4]).max() < 0.2  # every second voxel alone would be all 1 or all -1


def test_masks_keep_their_values():
    mask = (np.random.default_rng(0).random((20, 20, 6)) > 0.5).astype(np.float32)
    geometry = geometry_of(mask.shape, (1, 1, 5), "axial", (0.7, 0.7, 2.0))
    assert set(np.unique(geometry.forward(mask, nearest=True))) == {0, 1}


def test_an_axis_with_one_voxel_is_not_resampled():
    assert geometry_of((20, 20, 1), (1, 1, 1), "axial", (2.0, 2.0, 9.0)).shape == (10, 10, 1)


@pytest.mark.parametrize(
    ("spacing", "slices_along"),
    [
        ((5, 1, 1), 0),
        ((1, 4, 1), 1),
        ((1, 1, 3), 2),
        ((0.98, 0.98, 1), 2),
        ((3.6, 3.25, 3.25), 0),
        ((1, 1, 1), 2),
        ((0.98, 1, 1), 2),
    ],
)
def test_acquired_is_the_plane_across_the_thickest_spacing(spacing, slices_along):
    assert geometry_of((9, 9, 9), spacing, "acquired", OWN).axes[2] == slices_along


def test_one_slice_is_looked_at_from_its_own_side():
    assert geometry_of((1, 9, 9), (2, 2, 2), "acquired", OWN).axes == AXES["sagittal"]
    assert geometry_of((9, 9, 1), (1, 1, 1), "coronal", OWN).axes == AXES["axial"]


def test_a_grid_that_no_memory_holds_is_refused():
    with pytest.raises(UnreadableError, match="voxels"):
        geometry_of((256, 256, 256), (1, 1, 1), "axial", (0.1, 0.1, 0.1))


def a_body(shape=(80, 90, 40)):
    """A ball of radius 15, hollow, in noise, with a bright speck in the corner."""
    i, j, k = np.indices(shape)
    radius = np.sqrt((i - 40) ** 2 + (j - 50) ** 2 + (k - 20) ** 2)
    body = (radius < 15) & (radius > 6)
    body |= np.random.default_rng(0).random(shape) > 0.98
    body[2:5, 2:5, 2:5] = True
    return body


def test_a_crop_holds_the_body_and_its_margin_and_no_more():
    geometry = geometry_of((80, 90, 40), (1.0, 2.0, 1.0), "axial", OWN)
    box = geometry.around(a_body(), 4.0).box
    for part, (first, last), more in zip(
        box, [(26, 54), (36, 64), (6, 34)], [4, 2, 4], strict=True
    ):
        assert first - more - 2 <= part.start <= first - more + 1
        assert last + more <= part.stop <= last + more + 3


def test_a_large_body_is_found_in_a_coarse_copy():
    body = np.zeros((300, 280, 20), bool)
    body[101:222, 90:200, 4:15] = True
    box = geometry_of(body.shape, (1, 1, 1), "axial", OWN).around(body, 0.0).box
    for part, (first, stop) in zip(box, [(101, 222), (90, 200), (4, 15)], strict=True):
        assert first - 3 < part.start <= first
        assert stop <= part.stop < stop + 3


def test_nothing_found_is_nothing_cropped():
    empty = np.zeros((9, 9, 9), bool)
    geometry = geometry_of(empty.shape, (1, 1, 1), "axial", OWN)
    assert geometry.around(empty, 3.0).forward(empty.astype(np.float32)).shape == empty.shape


@pytest.mark.parametrize("plane", AXES)
def test_what_was_cropped_comes_back_as_what_was_asked_for(plane):
    body = a_body()
    values = np.random.default_rng(1).normal(size=body.shape).astype(np.float32)
    geometry = geometry_of(body.shape, (1, 1, 1), plane, OWN)
    geometry = geometry.around(body.transpose(geometry.axes), 3.0)
    back = geometry.back(geometry.forward(values), outside=-1000)
    kept = back != -1000
    assert np.array_equal(back[kept], values[kept])
    assert 0.05 < kept.mean() < 0.5
    assert kept[30:50, 40:60, 10:30].all()

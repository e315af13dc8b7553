from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread

from medimg_gan.errors import DicomGeometryError
from medimg_gan.imaging import (
    ReadOptions,
    find_series,
    read_files,
    read_series,
    read_volumes,
    write_dicom,
)


@pytest.fixture
def series(make_volume, tmp_path):
    """Ten files, 2.5 mm apart."""
    return write_dicom(make_volume(shape=(4, 5, 10)), tmp_path / "p07" / "series_3")


def moved(path, offset, **attributes):
    image = dcmread(path)
    image.ImagePositionPatient = [
        float(value) + step for value, step in zip(image.ImagePositionPatient, offset, strict=True)
    ]
    for name, value in attributes.items():
        setattr(image, name, value)
    image.save_as(path)


def test_a_missing_slice_is_told_as_the_house_tells_it(series, tmp_path):
    series[6].unlink()
    with pytest.raises(DicomGeometryError) as caught:
        read_files([path for path in series if path.exists()])
    assert str(caught.value).splitlines() == [
        f"DicomGeometryError: {tmp_path}/p07/series_3 (series 1): slices are not evenly spaced",
        "  gap 6->7 is 5 mm; the other 7 gaps are 2.5 mm (tolerance 0.025 mm)",
        "  likely cause: a missing file (InstanceNumber 7)",
        "  fix: export the series again, or pass --data.on-gap resample (or split)",
    ]
    found, (problem,) = find_series(tmp_path)
    assert found == []
    assert "InstanceNumber 7" in problem.reason
    assert "\n" not in problem.reason


def test_several_missing_slices_are_all_named(series):
    for index in (2, 5, 6):
        series[index].unlink()
    with pytest.raises(DicomGeometryError, match=r"InstanceNumber 3, 6, 7\)"):
        read_files([path for path in series if path.exists()])


def test_uneven_planning_is_not_called_a_missing_file(series):
    moved(series[-1], (0, 0, 1.3))
    with pytest.raises(DicomGeometryError, match="planned at uneven distances"):
        read_files(series)


def test_rounded_positions_pass(series):
    rng = np.random.default_rng(0)
    for path in series:
        moved(path, (0, 0, rng.uniform(-0.004, 0.004)))
    assert read_files(series).spacing[2] == pytest.approx(2.5, abs=1e-3)


def test_missing_slices_are_interpolated_where_that_is_asked_for(series, make_volume):
    whole = make_volume(shape=(4, 5, 10))
    series[6].unlink()
    left = [path for path in series if path.exists()]
    volume = read_files(left, options=ReadOptions(on_gap="resample"))
    assert volume.spacing == pytest.approx(whole.spacing, abs=1e-3)
    assert volume.array.shape == whole.array.shape
    kept = [0, 1, 2, 3, 4, 5, 7, 8, 9]
    np.testing.assert_array_equal(volume.array[:, :, kept], whole.array[:, :, kept])
    between = (whole.array[:, :, 5] + whole.array[:, :, 7]) / 2
    np.testing.assert_allclose(volume.array[:, :, 6], between, atol=1)


def test_a_gap_splits_a_series_where_that_is_asked_for(series, make_volume, tmp_path):
    whole = make_volume(shape=(4, 5, 10))
    series[6].unlink()
    found, problems = find_series(tmp_path, options=ReadOptions(on_gap="split"))
    assert problems == []
    assert [one.shape for one in found] == [(4, 5, 6), (4, 5, 3)]
    assert len({one.key for one in found}) == 2
    lower, upper = (read_series(one) for one in found)
    np.testing.assert_array_equal(lower.array, whole.array[:, :, :6])
    np.testing.assert_array_equal(upper.array, whole.array[:, :, 7:])
    np.testing.assert_allclose(upper.affine @ [0, 0, 0, 1], whole.affine @ [0, 0, 7, 1], atol=1e-6)


def tilt(series, degrees):
    for index, path in enumerate(series):
        moved(path, (0, -index * 2.5 * np.tan(np.radians(degrees)), 0))


def test_a_tilted_gantry_is_refused_with_its_angle_where_that_is_asked_for(series):
    tilt(series, 18.5)
    with pytest.raises(DicomGeometryError, match=r"slanted by 18\.5 degrees") as caught:
        read_files(series, options=ReadOptions(on_tilt="error"))
    assert caught.value.cause == "a tilted gantry"


def test_a_tilted_gantry_is_resampled_to_an_upright_grid(series, tmp_path):
    tilt(series, 18.5)
    (found,), problems = find_series(tmp_path)
    assert problems == []
    assert found.notes == (
        "the stack of slices is slanted by 18.5 degrees: resampled to an upright grid",
    )
    volume = read_series(found)
    directions = volume.affine[:3, :3] / np.array(volume.spacing)
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
    assert volume.array.shape[1] > 5  # the slices, shifted back, need more rows


def test_a_tilted_series_that_lacks_a_slice_is_refused_for_that(series):
    tilt(series, 18.5)
    series[6].unlink()
    with pytest.raises(DicomGeometryError, match="not evenly spaced"):
        read_files([path for path in series if path.exists()])


def test_one_slice_shifted_sideways_is_refused(series):
    moved(series[4], (0.5, 0, 0))
    with pytest.raises(DicomGeometryError, match=r"sideways by 0\.5 mm"):
        read_files(series)


def test_a_repeated_position_is_refused(series):
    moved(series[3], (0, 0, -2.5))
    with pytest.raises(DicomGeometryError, match="at the same position") as caught:
        read_files(series)
    assert "InstanceNumber 3, 4" in caught.value.observed


@pytest.fixture
def time_series(series):
    """Two volumes of five slices: the upper five files are moved down."""
    for index, path in enumerate(series):
        moved(path, (0, 0, -25.0 / 2 if index >= 5 else 0))
    return series


def test_two_images_at_every_position_are_two_volumes(time_series, make_volume, tmp_path):
    whole = make_volume(shape=(4, 5, 10))
    (first,), problems = find_series(tmp_path)
    assert problems == []
    assert "4D: one volume of several is read (--data.volume); volume 0 of 2, from 0" in first.notes
    np.testing.assert_array_equal(read_series(first).array, whole.array[:, :, :5])
    both, _ = find_series(tmp_path, options=ReadOptions(volume="all"))
    np.testing.assert_array_equal(read_series(both[1]).array, whole.array[:, :, 5:])
    assert read_files(time_series).spacing == pytest.approx(whole.spacing, abs=1e-5)


def test_a_volume_that_is_not_there_is_refused_with_the_count(time_series, tmp_path):
    found, (problem,) = find_series(tmp_path, options=ReadOptions(volume=2))
    assert found == []
    assert "volume 2 was asked for; it has 2, counted from 0" in problem.reason


def test_one_place_at_several_times_is_no_volume(series):
    for index, path in enumerate(series):
        moved(path, (0, 0, -2.5 * index))
    with pytest.raises(DicomGeometryError, match="10 images at each of 1 positions"):
        read_files(series)


def test_slices_of_different_size_are_refused(series):
    moved(series[3], (0, 0, 0), Rows=4, Columns=5)
    with pytest.raises(DicomGeometryError, match="different size") as caught:
        read_files(series)
    assert "9 of 5x4, 1 of 4x5" in caught.value.observed


def test_a_turned_slice_is_refused(series):
    moved(series[3], (0, 0, 0), ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    with pytest.raises(DicomGeometryError, match="different direction"):
        read_files(series)


def test_skewed_directions_are_refused(series):
    for path in series:
        moved(path, (0, 0, 0), ImageOrientationPatient=[1, 0, 0, 0.5, 0.8, 0])
    with pytest.raises(DicomGeometryError, match="not perpendicular unit vectors"):
        read_files(series)


def test_ct_slices_without_position_are_refused(series, tmp_path):
    for path in series:
        image = dcmread(path)
        del image.ImagePositionPatient
        image.save_as(path)
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "without a position" in problem.reason


def test_one_slice_is_a_volume_of_its_thickness(series):
    volume = read_files(series[:1])
    assert volume.array.shape == (4, 5, 1)
    assert volume.spacing == pytest.approx((0.7, 0.8, 2.5))

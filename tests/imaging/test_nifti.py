from __future__ import annotations

import errno

import nibabel as nib
import numpy as np
import pytest

from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.imaging import (
    ReadOptions,
    find_series,
    read_files,
    read_series,
    read_volumes,
    write_nifti,
)


def save(path, array):
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 2.0, 3.0, 1.0])), path)
    return path


def ramp(*shape, kind=np.float32):
    return np.arange(np.prod(shape)).reshape(shape).astype(kind)


@pytest.mark.parametrize("stored", ["RAS", "LPS", "PSR", "AIL"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_file_gets_its_own_axes_again(make_volume, tmp_path, stored, ending):
    volume = make_volume("mri", stored=stored, tilt=(8.0, 12.0))
    first = write_nifti(volume, tmp_path / f"a{ending}")
    again = read_files([first])
    assert again.stored == stored
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, atol=2e-5)  # the header has float32
    second = write_nifti(again, tmp_path / f"b{ending}")
    before, after = nib.load(first), nib.load(second)
    assert before.shape == after.shape
    np.testing.assert_array_equal(before.affine, after.affine)
    np.testing.assert_array_equal(np.asanyarray(before.dataobj), np.asanyarray(after.dataobj))


def test_whole_numbers_take_16_bits_and_fractions_keep_32(make_volume, tmp_path):
    volume = make_volume()
    assert nib.load(write_nifti(volume, tmp_path / "a.nii")).get_data_dtype() == np.int16
    third = volume.with_array(volume.array / np.float32(3), modality="ct", unit="HU")
    path = write_nifti(third, tmp_path / "b.nii")
    assert nib.load(path).get_data_dtype() == np.float32
    np.testing.assert_array_equal(read_files([path]).array, third.array)


def test_the_header_says_whether_it_is_synthetic(make_volume, tmp_path):
    path = write_nifti(make_volume(), tmp_path / "a.nii", synthetic=True)
    assert nib.load(path).header["descrip"].item() == b"medimg_gan ct HU synthetic"
    path = write_nifti(make_volume(), tmp_path / "b.nii", synthetic=False)
    assert nib.load(path).header["descrip"].item() == b"medimg_gan ct HU real"


def test_slope_and_intercept_are_applied(tmp_path):
    path = save(tmp_path / "a.nii", ramp(3, 4, 5, kind=np.int16))
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([2.0, -1000.0], "<f4").tobytes()  # scl_slope, scl_inter
    path.write_bytes(raw)
    np.testing.assert_array_equal(read_files([path]).array, ramp(3, 4, 5) * 2 - 1000)


def test_values_are_told_in_hu_only_for_ct(tmp_path):
    for name in ("ct", "mri"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "p1.nii.gz", ramp(3, 4, 5))
    volumes, problems = read_volumes(tmp_path)
    assert problems == []
    assert [(one.modality, one.unit) for one in volumes] == [("ct", "HU"), ("mri", "signal")]


def test_nan_is_refused_with_its_count(tmp_path):
    array = ramp(3, 4, 5)
    array[0, 0, :2], array[1, 1, 1] = np.nan, np.inf
    save(tmp_path / "a.nii.gz", array)
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "3 of 60 values are NaN or infinite" in problem.reason


def test_a_frame_of_a_series_is_read_and_the_count_is_told(tmp_path):
    many = ramp(3, 4, 5, 2)
    save(tmp_path / "many.nii", many)
    save(tmp_path / "one.nii", ramp(3, 4, 5, 1))
    save(tmp_path / "flat.nii", ramp(3, 4))
    found, problems = find_series(tmp_path, options=ReadOptions(volume=1))
    assert problems == []
    series = {one.paths[0].name: one for one in found}
    assert {name: one.shape for name, one in series.items()} == {
        "one.nii": (3, 4, 5),
        "flat.nii": (3, 4, 1),
        "many.nii": (3, 4, 5),
    }
    assert series["many.nii"].notes == ("4D: volume 1 of 2 is read (--data.volume)",)
    np.testing.assert_array_equal(read_series(series["many.nii"]).array, many[..., 1])
    assert series["one.nii"].notes == ()


def test_complex_and_colour_are_refused(tmp_path):
    save(tmp_path / "complex.nii", ramp(3, 4, 5, kind=np.complex64))
    save(tmp_path / "rgb.nii", np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    found, problems = find_series(tmp_path)
    assert found == []
    assert all("expected one real number per voxel" in problem.reason for problem in problems)
    assert len(problems) == 2


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_truncated_file_is_refused(tmp_path, ending):
    path = save(tmp_path / f"a{ending}", np.random.default_rng(0).random((9, 9, 9)))
    path.write_bytes(path.read_bytes()[:-400])
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "truncated" in problem.reason


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_header_that_claims_too_much_is_refused_before_allocation(tmp_path, ending):
    path = save(tmp_path / f"a{ending}", ramp(3, 4, 5))
    image = nib.load(path)
    image.header.set_data_shape((30000, 30000, 30000))
    header = image.header.binaryblock
    opened = nib.openers.Opener(path, "wb")
    opened.write(header + bytes(300))
    opened.close()
    found, (problem,) = find_series(tmp_path)
    assert found == []
    assert "the header claims shape (30000, 30000, 30000)" in problem.reason


def test_the_sform_wins_and_a_disagreement_is_noted(tmp_path):
    image = nib.Nifti1Image(ramp(3, 4, 5), np.diag([1.0, 2.0, 3.0, 1.0]))
    moved = np.diag([1.0, 2.0, 3.0, 1.0])
    moved[0, 3] = 7
    image.set_sform(image.affine, code=1)
    image.set_qform(moved, code=1)
    nib.save(image, tmp_path / "both.nii")
    both = read_files([tmp_path / "both.nii"])
    assert both.affine[0, 3] == 0
    assert "differs by up to 7 mm" in both.provenance["geometry"]
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "q.nii")
    only = read_files([tmp_path / "q.nii"])
    assert only.affine[0, 3] == 7
    assert "geometry" not in only.provenance


def test_metres_become_millimetres(tmp_path):
    image = nib.Nifti1Image(ramp(3, 4, 5), np.diag([0.001, 0.002, 0.003, 1.0]))
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii")
    assert read_files([tmp_path / "a.nii"]).spacing == pytest.approx((1, 2, 3))


def test_a_singular_affine_is_refused(tmp_path):
    path = save(tmp_path / "a.nii", ramp(3, 4, 5))
    raw = bytearray(path.read_bytes())
    raw[280:296] = bytes(16)  # srow_x
    path.write_bytes(raw)
    with pytest.raises(UnreadableError, match="singular"):
        read_files([tmp_path / "a.nii"])


def test_an_empty_scan_is_a_problem_but_an_empty_mask_can_be_read(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.zeros((3, 4, 5), np.float32))
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "every value is 0" in problem.reason
    assert not read_files([path]).array.any()


def test_integers_beyond_float32_are_noted(tmp_path):
    image = nib.Nifti1Image(ramp(3, 4, 5, kind=np.int64) + 2**30, np.eye(4), dtype=np.int64)
    nib.save(image, tmp_path / "a.nii")
    assert "2^24" in read_files([tmp_path / "a.nii"]).provenance["precision"]


def test_text_called_nii_is_refused(tmp_path):
    (tmp_path / "a.nii").write_text("not an image")
    (tmp_path / "b.nii.gz").write_text("not an image")
    found, problems = find_series(tmp_path)
    assert found == []
    assert len(problems) == 2


def test_a_full_disk_keeps_the_old_file_and_leaves_no_other(make_volume, tmp_path, monkeypatch):
    path = write_nifti(make_volume(), tmp_path / "a.nii")
    before = path.read_bytes()

    def full(image, target):
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(nib, "save", full)
    with pytest.raises(DataError, match="No space left"):
        write_nifti(make_volume(seed=1), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before

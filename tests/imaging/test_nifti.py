from __future__ import annotations

import errno
import io

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
from medimg_gan.imaging.nifti import nifti_grid, read_nifti


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
    assert series["many.nii"].notes == (
        "4D: one volume of several is read (--data.volume); volume 1 of 2, from 0",
    )
    np.testing.assert_array_equal(read_series(series["many.nii"]).array, many[..., 1])
    assert series["one.nii"].notes == ()


def test_complex_and_colour_are_refused_by_name(tmp_path):
    save(tmp_path / "complex.nii", ramp(3, 4, 5, kind=np.complex64))
    save(tmp_path / "rgb.nii", np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    found, problems = find_series(tmp_path)
    assert found == []
    assert "complex numbers (complex64)" in problems[0].reason
    assert "colours" in problems[1].reason


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


@pytest.mark.parametrize("kind", [np.int32, np.uint32])
def test_32_bit_integers_beyond_float32_are_noted(tmp_path, kind):
    image = nib.Nifti1Image(ramp(3, 4, 5, kind=kind) + kind(2**30), np.eye(4), dtype=kind)
    nib.save(image, tmp_path / "a.nii")
    assert "2^24" in read_files([tmp_path / "a.nii"]).provenance["precision"]


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_64_bit_integers_pass_only_where_float32_holds_them_all(tmp_path, kind):
    mask = (ramp(3, 4, 5) % 3).astype(kind)
    nib.save(nib.Nifti1Image(mask, np.eye(4), dtype=kind), tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(read_files([tmp_path / "mask.nii.gz"]).array, mask)
    mask[1, 2, 3] = 2**24 + 1
    nib.save(nib.Nifti1Image(mask, np.eye(4), dtype=kind), tmp_path / "ids.nii.gz")
    with pytest.raises(UnreadableError, match=rf"(?s){np.dtype(kind)} beyond 2\^24.*fix: save"):
        read_files([tmp_path / "ids.nii.gz"])


def test_a_frame_of_a_series_is_read_without_the_others(tmp_path, monkeypatch):
    values = ramp(6, 5, 4, 50)
    for ending in (".nii", ".nii.gz"):
        path = save(tmp_path / f"series{ending}", values)
        assert nifti_grid(path)[0::3] == ((6, 5, 4), 50)
        np.testing.assert_array_equal(read_nifti(path, volume=7).array, values[..., 7])
        with pytest.raises(UnreadableError, match="no volume 50"):
            read_nifti(path, volume=50)
        with pytest.raises(UnreadableError, match="4D, 50 volumes"):
            read_nifti(path)
    read = []

    class Counting(io.FileIO):
        def read(self, size=-1):
            piece = super().read(size)
            read.append(len(piece))
            return piece

    monkeypatch.setattr(type(tmp_path), "open", lambda path, mode: Counting(path))
    read_nifti(tmp_path / "series.nii", volume=7)
    assert sum(read) < values.nbytes / 10


def test_frames_of_five_axes_count_if_only_one_of_them_is_long(tmp_path):
    values = ramp(3, 4, 5, 1, 6)
    path = save(tmp_path / "a.nii", values)
    np.testing.assert_array_equal(read_nifti(path, volume=2).array, values[..., 0, 2])
    save(tmp_path / "b.nii", ramp(3, 4, 5, 2, 3))
    with pytest.raises(UnreadableError, match="expected three axes, or four"):
        nifti_grid(tmp_path / "b.nii")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_pair_is_read_by_its_img_and_the_hdr_is_no_scan_of_its_own(tmp_path, ending):
    values = ramp(3, 4, 5)
    nib.save(nib.Nifti1Pair(values, np.diag([1.0, 2.0, 3.0, 1.0])), tmp_path / f"a.img{ending}")
    (volume,), problems = read_volumes(tmp_path)
    assert problems == []
    np.testing.assert_array_equal(volume.array, values)
    assert volume.spacing == (1, 2, 3)


def test_half_a_pair_is_a_problem(tmp_path):
    nib.save(nib.Nifti1Pair(ramp(3, 4, 5), np.eye(4)), tmp_path / "a.img")
    (tmp_path / "a.hdr").rename(tmp_path / "b.hdr")
    found, problems = find_series(tmp_path)
    assert found == []
    assert "an .img without its .hdr" in problems[0].reason
    assert "a .hdr without its .img" in problems[1].reason


def test_analyze_is_refused_by_name_since_it_cannot_tell_left_from_right(tmp_path):
    nib.save(nib.AnalyzeImage(ramp(3, 4, 5), np.eye(4)), tmp_path / "a.img")
    found, (problem,) = find_series(tmp_path)
    assert found == []
    assert "ANALYZE 7.5" in problem.reason
    assert "left from right" in problem.reason


def test_files_are_read_by_what_they_hold_not_by_their_ending(tmp_path):
    plain, zipped = save(tmp_path / "a.nii", ramp(3, 4, 5)), save(tmp_path / "b.nii.gz", ramp(3, 4))
    plain.rename(tmp_path / "c.nii.gz")
    zipped.rename(tmp_path / "d.nii")
    np.testing.assert_array_equal(read_files([tmp_path / "c.nii.gz"]).array, ramp(3, 4, 5))
    np.testing.assert_array_equal(read_files([tmp_path / "d.nii"]).array[..., 0], ramp(3, 4))


def test_the_second_version_is_read_too(tmp_path):
    image = nib.Nifti2Image(ramp(3, 4, 5), np.diag([1.0, 2.0, 3.0, 1.0]))
    nib.save(image, tmp_path / "a.nii")
    volume = read_files([tmp_path / "a.nii"])
    np.testing.assert_array_equal(volume.array, ramp(3, 4, 5))
    assert volume.spacing == (1, 2, 3)


def test_big_endian_files_are_read(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(ramp(3, 4, 5), np.eye(4), header), tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes()[:4] == (348).to_bytes(4, "big")
    np.testing.assert_array_equal(read_files([tmp_path / "a.nii"]).array, ramp(3, 4, 5))


def test_a_missing_unit_is_noted(tmp_path):
    assert (
        "mm assumed"
        in read_files([save(tmp_path / "a.nii", ramp(3, 4, 5))]).provenance["spatial_unit"]
    )
    image = nib.Nifti1Image(ramp(3, 4, 5), np.eye(4))
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "b.nii")
    assert "spatial_unit" not in read_files([tmp_path / "b.nii"]).provenance


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


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_a_scan_of_64_bit_integers_is_refused_but_a_mask_is_read(tmp_path, kind):
    path = tmp_path / "mask.nii"
    nib.save(nib.Nifti1Image((ramp(3, 4, 5) % 2).astype(kind), np.eye(4), dtype=kind), path)
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert f"values of type {np.dtype(kind).name}" in problem.reason
    np.testing.assert_array_equal(read_files([path]).array, ramp(3, 4, 5) % 2)

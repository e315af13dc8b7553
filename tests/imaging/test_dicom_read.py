from __future__ import annotations

import shutil

import numpy as np
import pytest
from pydicom import Dataset, Sequence, dcmread, uid

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import find_series, read_files, read_series, read_volumes, write_dicom


def edited(paths, change):
    """Rewrite every file after ``change(dataset, index)``."""
    for index, path in enumerate(paths):
        dataset = dcmread(path)
        change(dataset, index)
        dataset.save_as(path)
    return paths


def test_hu_and_affine_survive(make_volume, tmp_path):
    volume = make_volume()
    again = read_files(write_dicom(volume, tmp_path / "out"))
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, rtol=0, atol=1e-6)
    assert (again.modality, again.unit, again.stored) == ("ct", "HU", "LPS")
    assert again.array.dtype == np.float32
    assert all(step > 0 for step in again.array.strides)  # torch takes no negative ones


@pytest.mark.parametrize("stored", ["RAS", "RSA", "SPL", "ASR"])
@pytest.mark.parametrize("tilt", [(0.0, 0.0), (20.0, 15.0), (-30.0, 5.0)])
def test_oblique_planes_survive_twice(make_volume, tmp_path, stored, tilt):
    volume = make_volume(tilt=tilt, stored=stored)
    once = read_files(write_dicom(volume, tmp_path / "one"))
    twice = read_files(write_dicom(once, tmp_path / "two"))
    for again in (once, twice):
        np.testing.assert_array_equal(again.array, volume.array)
        np.testing.assert_allclose(again.affine, volume.affine, rtol=0, atol=1e-6)
    assert once.stored == twice.stored


def test_file_names_and_instance_numbers_do_not_matter(make_volume, tmp_path):
    volume = make_volume()
    paths = write_dicom(volume, tmp_path / "out")
    order = np.random.default_rng(3).permutation(len(paths))
    edited(paths, lambda dataset, index: setattr(dataset, "InstanceNumber", int(order[index])))
    for index, path in enumerate(paths):
        path.rename(path.with_name(f"image{order[index]}"))  # no ending either
    (again,), problems = read_volumes(tmp_path)
    assert problems == []
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, rtol=0, atol=1e-6)


def test_each_slice_has_its_own_rescale(make_volume, tmp_path):
    volume = make_volume("mri")

    def rescale(dataset, index):
        dataset.RescaleSlope, dataset.RescaleIntercept = index + 1, 10 * index

    again = read_files(edited(write_dicom(volume, tmp_path / "out"), rescale))
    slices = np.arange(5)
    np.testing.assert_allclose(again.array, volume.array * (slices + 1) + 10 * slices)


def test_monochrome1_is_inverted_but_hu_are_not(make_volume, tmp_path):
    def invert(dataset, _):
        dataset.PhotometricInterpretation = "MONOCHROME1"

    signal, hounsfield = make_volume("mri"), make_volume("ct")
    inverted = read_files(edited(write_dicom(signal, tmp_path / "mr"), invert))
    np.testing.assert_array_equal(inverted.array, -1 - signal.array)  # signed 16 bits
    kept = read_files(edited(write_dicom(hounsfield, tmp_path / "ct"), invert))
    np.testing.assert_array_equal(kept.array, hounsfield.array)


def test_padding_becomes_the_lowest_real_value(make_volume, tmp_path):
    volume = make_volume()
    volume.array[:2] = -2000
    paths = write_dicom(volume, tmp_path / "out")
    # 63536 is the unsigned face of -2000: the two tags often disagree on the sign.
    edited(paths, lambda dataset, _: dataset.add_new("PixelPaddingValue", "US", 63536))
    again = read_files(paths)
    assert (again.array[:2] == volume.array[2:].min()).all()
    np.testing.assert_array_equal(again.array[2:], volume.array[2:])


@pytest.mark.parametrize(
    "syntax", [uid.RLELossless, uid.JPEG2000Lossless, uid.DeflatedExplicitVRLittleEndian]
)
def test_lossless_compression_changes_nothing(make_volume, tmp_path, syntax):
    def compress(dataset, _):
        if syntax.is_deflated:
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax, generate_instance_uid=False)

    volume = make_volume(shape=(40, 36, 3))  # JPEG 2000 needs some pixels
    (again,), problems = read_volumes_after(volume, tmp_path, compress)
    assert problems == []
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.provenance["transfer_syntax"] == syntax.name


def read_volumes_after(volume, folder, change):
    edited(write_dicom(volume, folder / "out"), change)
    return read_volumes(folder)


def test_an_unknown_compression_is_refused_by_name(make_volume, tmp_path):
    def film(dataset, _):
        dataset.compress(uid.RLELossless)
        dataset.file_meta.TransferSyntaxUID = uid.MPEG2MPML

    paths = edited(write_dicom(make_volume(), tmp_path / "out"), film)
    with pytest.raises(UnreadableError, match="MPEG2"):
        read_files(paths)


def test_colour_screenshots_become_luminance_without_geometry(make_volume, tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)

    def colour(dataset, _):
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
        dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.Rows, dataset.Columns = 4, 6
        dataset.PixelData = colours.tobytes()

    volume = make_volume("ct", "display", shape=(6, 4, 1))
    edited(write_dicom(volume, tmp_path / "out"), colour)
    (again,), _ = read_volumes(tmp_path)
    expected = colours @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(again.array[::-1, ::-1, 0].T, expected, rtol=1e-6)
    assert (again.unit, again.spacing, again.array.shape) == ("display", (1, 1, 1), (6, 4, 1))


def test_a_radiograph_without_orientation_keeps_its_spacing(make_volume, tmp_path):
    def flat(dataset, _):
        del dataset.ImageOrientationPatient, dataset.ImagePositionPatient, dataset.PixelSpacing
        dataset.ImagerPixelSpacing = [0.2, 0.1]

    volume = make_volume("xray", shape=(6, 4, 1))
    edited(write_dicom(volume, tmp_path / "out"), flat)
    (again,), _ = read_volumes(tmp_path)
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, np.diag([0.1, 0.2, 1, 1]), atol=1e-12)
    assert again.modality == "xray"


def test_a_truncated_file_is_named_once_and_its_series_left_out(make_volume, tmp_path):
    paths = write_dicom(make_volume(), tmp_path / "bad")
    write_dicom(make_volume("mri"), tmp_path / "good")
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    volumes, (problem,) = read_volumes(tmp_path)
    assert [volume.modality for volume in volumes] == ["mri"]
    assert "0003.dcm: truncated" in problem.reason
    assert "64 bytes of pixels, expected 84" in problem.reason
    with pytest.raises(UnreadableError, match=r"0003\.dcm"):
        read_files(paths)


def enhanced_from(paths, target):
    """One enhanced multi-frame file with the frames of a classic series, back to front."""
    slices = [dcmread(path) for path in reversed(paths)]
    whole = Dataset(slices[0])
    whole.file_meta = slices[0].file_meta
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = uid.EnhancedMRImageStorage
    whole.NumberOfFrames = len(slices)
    measures, plane, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, whole.SliceThickness
    plane.ImageOrientationPatient = whole.ImageOrientationPatient
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for index, one in enumerate(slices):
        place, values, frame = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        values.RescaleSlope, values.RescaleIntercept = 1 + index, 0
        frame.PlanePositionSequence = Sequence([place])
        frame.PixelValueTransformationSequence = Sequence([values])
        frames.append(frame)
    whole.PerFrameFunctionalGroupsSequence = Sequence(frames)
    whole.PixelData = b"".join(one.PixelData for one in slices)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(whole, name)
    whole.save_as(target)


def test_enhanced_multi_frame_files_are_ordered_by_position(make_volume, tmp_path):
    volume = make_volume("mri", tilt=(10.0, 0.0))
    enhanced_from(write_dicom(volume, tmp_path / "classic"), tmp_path / "enhanced.dcm")
    shutil.rmtree(tmp_path / "classic")
    (series,), problems = find_series(tmp_path)
    again = read_series(series)
    assert problems == []
    assert series.shape == volume.array.shape
    np.testing.assert_array_equal(again.array, volume.array * np.arange(5, 0, -1))
    np.testing.assert_allclose(again.affine, volume.affine, rtol=0, atol=1e-6)

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.dataset import FileMetaDataset

from medimg_gan.imaging import (
    ReadOptions,
    Volume,
    find_series,
    read_series,
    read_volumes,
    write_dicom,
)


def edit(paths, **attributes):
    for path in paths:
        image = dcmread(path)
        for name, value in attributes.items():
            setattr(image, name, value)
        image.save_as(path)


def into(folder, paths, prefix):
    """Move files into one folder, as scanners export them."""
    folder.mkdir(exist_ok=True)
    return [path.rename(folder / f"{prefix}{path.name}") for path in paths]


def test_a_folder_with_two_series_gives_two_volumes(make_volume, tmp_path):
    ct, mri = make_volume("ct"), make_volume("mri", seed=1, shape=(5, 4, 3))
    into(tmp_path / "all", write_dicom(ct, tmp_path / "a"), "x")
    into(tmp_path / "all", write_dicom(mri, tmp_path / "b"), "")
    volumes, problems = read_volumes(tmp_path)
    assert problems == []
    by_modality = {volume.modality: volume for volume in volumes}
    np.testing.assert_array_equal(by_modality["ct"].array, ct.array)
    np.testing.assert_array_equal(by_modality["mri"].array, mri.array)


def test_headers_tell_what_reading_gives(make_volume, tmp_path):
    write_dicom(make_volume(stored="RSA", tilt=(10.0, 5.0)), tmp_path / "a", template_patient="P3")
    (series,), _ = find_series(tmp_path)
    volume = read_series(series)
    assert series.shape == volume.array.shape
    assert series.spacing == pytest.approx(volume.spacing)
    assert (series.format, series.modality, series.patient) == ("dicom", "ct", "P3")


def test_the_key_follows_the_series_not_its_place(make_volume, tmp_path):
    write_dicom(make_volume(), tmp_path / "a", template_patient="SECRET")
    (before,), _ = find_series(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    (after,), _ = find_series(tmp_path)
    assert before.key == after.key
    assert len(before.key) == 16
    write_dicom(make_volume(), tmp_path / "c")
    both, _ = find_series(tmp_path)
    assert len({series.key for series in both}) == 2


def test_a_localiser_and_reports_are_left_out_by_name(make_volume, tmp_path):
    write_dicom(make_volume(), tmp_path / "ct")
    scout = write_dicom(make_volume(shape=(7, 6, 1)), tmp_path / "scout")
    edit(scout, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    report = dcmread(scout[0])
    del report.Rows, report.Columns, report.PixelData
    report.SOPClassUID = uid.XRayRadiationDoseSRStorage
    report.save_as(tmp_path / "dose.dcm")
    volumes, problems = read_volumes(tmp_path)
    assert len(volumes) == 1
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons["0001.dcm"] == "left out: a localiser"
    assert "Radiation Dose SR" in reasons["dose.dcm"]


def test_three_planes_of_one_image_each_are_a_localiser(make_volume, tmp_path):
    for stored in ("RAS", "RSA", "ASR"):
        single = make_volume("mri", shape=(6, 6, 6))
        paths = write_dicom(
            Volume(single.array, single.affine, "mri", stored=stored), tmp_path / stored
        )
        for path in paths[1:]:
            path.unlink()
        edit(paths[:1], SeriesInstanceUID="1.2.3")
        into(tmp_path / "all", paths[:1], stored)
        (tmp_path / stored).rmdir()
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert problem.reason.startswith("left out: 3 images, each in its own plane")


def test_a_lone_slice_of_other_size_does_not_spoil_its_series(make_volume, tmp_path):
    main = write_dicom(make_volume(), tmp_path / "a")
    other = write_dicom(make_volume(shape=(3, 3, 1)), tmp_path / "b")
    edit([*main, *other], SeriesInstanceUID="1.2.3")
    (volume,), (problem,) = read_volumes(tmp_path)
    assert volume.array.shape == (7, 6, 5)
    assert problem.path == other[0]
    assert "(3x3) among 6" in problem.reason


@pytest.mark.parametrize(
    ("name", "values", "modality"),
    [
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]), "mri"),
        ("EchoTime", (10.0, 90.0), "mri"),
        ("AcquisitionNumber", (1, 2), "ct"),
    ],
)
def test_two_volumes_under_one_uid_are_told_apart(make_volume, tmp_path, name, values, modality):
    volumes = [make_volume(modality, seed=seed) for seed in (0, 1)]
    for index, volume in enumerate(volumes):
        paths = write_dicom(volume, tmp_path / str(index))
        edit(paths, SeriesInstanceUID="1.2.3", **{name: values[index]})
        into(tmp_path / "all", paths, index)
    again, problems = read_volumes(tmp_path)
    assert problems == []
    assert len(again) == 2
    for volume, expected in zip(again, volumes, strict=True):
        np.testing.assert_array_equal(volume.array, expected.array)
    assert len({series.key for series in find_series(tmp_path)[0]}) == 2


def test_image_types_that_alternate_along_one_stack_stay_together(make_volume, tmp_path):
    paths = write_dicom(make_volume(), tmp_path / "a")
    edit(paths[::2], ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "ADD"])
    (volume,), problems = read_volumes(tmp_path)
    assert problems == []
    assert volume.array.shape == (7, 6, 5)


def test_mr_time_points_are_volumes_in_their_order(make_volume, tmp_path):
    truth = [make_volume("mri", seed=index) for index in (0, 1)]
    for name, index in (("late", 1), ("early", 0)):
        paths = write_dicom(truth[index], tmp_path / name)
        edit(paths, SeriesInstanceUID="1.2.3", AcquisitionNumber=9 + index)
    for index in (0, 1):
        (volume,), problems = read_volumes(tmp_path, options=ReadOptions(volume=index))
        assert problems == []
        np.testing.assert_array_equal(volume.array, truth[index].array)
        np.testing.assert_allclose(volume.affine, truth[index].affine, atol=1e-6)


def test_time_points_without_an_order_are_refused(make_volume, tmp_path):
    for index in (0, 1):
        paths = write_dicom(make_volume("mri", seed=index), tmp_path / str(index))
        edit(paths, SeriesInstanceUID="1.2.3")
        into(tmp_path / "all", paths, str(index))
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "share their Instance and Acquisition Numbers" in problem.reason


def test_a_series_exported_twice_under_new_image_uids_is_two(make_volume, tmp_path):
    for index in (0, 1):
        paths = write_dicom(make_volume("mri"), tmp_path / str(index))
        edit(paths, SeriesInstanceUID="1.2.3")
    found, problems = find_series(tmp_path)
    assert problems == []
    assert len({one.key for one in found}) == 2


def test_two_series_under_one_uid_are_told_apart_by_their_numbers(make_volume, tmp_path):
    truth = {number: make_volume("mri", seed=number) for number in (1, 2)}
    for number, volume in truth.items():
        paths = write_dicom(volume, tmp_path / str(number), series_number=number)
        edit(paths, SeriesInstanceUID="1.2.3")
        into(tmp_path / "all", paths, str(number))
    volumes, problems = read_volumes(tmp_path)
    assert problems == []
    found = {volume.array.tobytes() for volume in volumes}
    assert found == {volume.array.tobytes() for volume in truth.values()}


def test_a_copied_part_of_a_series_takes_no_slices_from_the_whole(make_volume, tmp_path):
    whole = make_volume()
    paths = write_dicom(whole, tmp_path / "z")
    (tmp_path / "a").mkdir()
    for path in paths[:2]:
        (tmp_path / "a" / path.name).write_bytes(path.read_bytes())
    (volume,), (problem,) = read_volumes(tmp_path)
    assert volume.array.shape == whole.array.shape
    assert "copies of 2 images" in problem.reason


def test_one_place_scanned_again_and_again_is_no_volume(make_volume, tmp_path):
    """Bolus tracking: each acquisition is one slice, all at one height."""
    for index in range(3):
        paths = write_dicom(make_volume(shape=(4, 4, 1), seed=index), tmp_path / str(index))
        edit(paths, SeriesInstanceUID="1.2.3", AcquisitionNumber=index)
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "3 images at each of 1 positions" in problem.reason


def test_a_mosaic_that_cannot_be_cut_is_refused_once(make_volume, tmp_path):
    """Its private header, which says how, was removed."""
    paths = write_dicom(make_volume("mri"), tmp_path / "a")
    edit(paths, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "dcm2niix" in problem.reason


def test_copies_of_a_folder_count_once(make_volume, tmp_path):
    for path in write_dicom(make_volume(), tmp_path / "a"):
        (tmp_path / f"copy of {path.name}").write_bytes(path.read_bytes())
    (volume,), (problem,) = read_volumes(tmp_path)
    assert volume.array.shape == (7, 6, 5)
    assert "copies of 5 images" in problem.reason


def test_equal_uids_of_different_patients_stay_apart(make_volume, tmp_path):
    """Careless anonymisation gives every patient the same UIDs."""
    for index in (0, 1):
        write_dicom(
            make_volume(seed=index),
            tmp_path / str(index),
            series_seed="same",
            study_seed="same",
            template_patient=f"P{index}",
        )
    series, problems = find_series(tmp_path)
    assert problems == []
    assert {one.patient for one in series} == {"P0", "P1"}


def test_a_multi_frame_film_is_refused(make_volume, tmp_path):
    edit(write_dicom(make_volume(shape=(4, 4, 1)), tmp_path / "a"), NumberOfFrames=30)
    volumes, (problem,) = read_volumes(tmp_path)
    assert volumes == []
    assert "30 frames in a CT Image Storage" in problem.reason


def test_a_dicomdir_is_recognised(tmp_path):
    directory = Dataset()
    directory.file_meta = file_meta_of(uid.MediaStorageDirectoryStorage)
    directory.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
    assert [p.reason for p in find_series(tmp_path)[1]] == ["left out: a DICOMDIR"]


def file_meta_of(storage):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = storage, "1.2.3"
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return meta


def test_burned_in_annotation_is_reported(make_volume, tmp_path):
    paths = write_dicom(make_volume(), tmp_path / "a")
    (clean,), _ = find_series(tmp_path)
    edit(paths[1:2], BurnedInAnnotation="YES")
    (marked,), _ = find_series(tmp_path)
    assert clean.notes == ()
    assert "burned-in annotation" in marked.notes[0]
    assert marked.key == clean.key


@pytest.mark.parametrize(
    "kind",
    [
        "EncapsulatedPDFStorage",
        "GrayscaleSoftcopyPresentationStateStorage",
        "KeyObjectSelectionDocumentStorage",
        "RTStructureSetStorage",
        "XRayRadiationDoseSRStorage",
    ],
)
def test_what_is_no_scan_is_left_out_with_its_name(make_volume, tmp_path, kind):
    write_dicom(make_volume(), tmp_path / "a")
    other = Dataset()
    other.SOPClassUID = getattr(uid, kind)
    other.SOPInstanceUID = uid.generate_uid()
    other.file_meta = FileMetaDataset()
    other.file_meta.MediaStorageSOPClassUID = other.SOPClassUID
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    other.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    other.save_as(tmp_path / "a" / "other.dcm", enforce_file_format=True)
    found, (problem,) = find_series(tmp_path)
    assert len(found) == 1
    assert problem.path.name == "other.dcm"
    assert problem.reason == f"left out: no scan in this {other.SOPClassUID.name}"


def test_planes_in_one_enhanced_file_are_refused_when_found(reader_data, tmp_path):
    image = dcmread(reader_data / "dicom2nifti" / "hyperfine" / "anatomical" / "001" / "001.dcm")
    frames = image.PerFrameFunctionalGroupsSequence
    for frame in frames[: len(frames) // 2]:
        plane = Dataset()
        plane.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        frame.PlaneOrientationSequence = [plane]
    image.save_as(tmp_path / "a.dcm")
    found, (problem,) = find_series(tmp_path)
    assert found == []
    assert "several planes" in problem.reason

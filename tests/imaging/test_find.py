from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medimg_gan.errors import DataError
from medimg_gan.imaging import find_series, read_files, read_volumes, write_dicom, write_nifti
from medimg_gan.imaging.series import modality_from_name


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).save(path)
    return path


def test_every_format_at_any_depth(make_volume, tmp_path):
    write_dicom(make_volume(), tmp_path / "deep" / "er" / "series")
    write_nifti(make_volume("mri"), tmp_path / "b.nii.gz")
    picture(tmp_path / "xray" / "one.png")
    (tmp_path / "labels.csv").write_text("patient,label\n")
    found, problems = find_series(tmp_path)
    assert problems == []
    assert [(one.format, one.modality) for one in found] == [
        ("nifti", "mri"),
        ("dicom", "ct"),
        ("picture", "xray"),
    ]


def test_links_that_loop_and_hidden_files_are_harmless(tmp_path):
    picture(tmp_path / "a" / "one.png")
    picture(tmp_path / "a" / ".two.png")
    picture(tmp_path / ".cache" / "three.png")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found, problems = find_series(tmp_path)
    assert [one.paths[0].name for one in found] == ["one.png"]
    assert [problem.path.name for problem in problems] == ["gone.png"]


def test_a_linked_folder_outside_is_followed_once(tmp_path):
    picture(tmp_path / "store" / "one.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "first").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "second").symlink_to(tmp_path / "store")
    assert len(find_series(tmp_path / "data")[0]) == 1


def test_bad_files_cost_one_line_each(make_volume, tmp_path):
    for index in range(5):
        write_nifti(make_volume("mri", seed=index), tmp_path / f"{index}.nii.gz")
    (tmp_path / "2.nii.gz").write_bytes(b"")
    (tmp_path / "empty.dcm").write_bytes(b"")
    (tmp_path / "noise.dcm").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0004")
    volumes, problems = read_volumes(tmp_path)
    assert len(volumes) == 4
    names = [problem.path.name for problem in problems]
    assert sorted(names) == ["2.nii.gz", "empty.dcm", "noise.dcm", "scan.nrrd"]
    assert all(problem.reason and "\n" not in problem.reason for problem in problems)


def test_nothing_readable_gives_no_series_and_no_error(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    assert find_series(tmp_path) == ([], [])


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="not found"):
        find_series(tmp_path / "nowhere")


def test_one_file_will_do(make_volume, tmp_path):
    path = write_nifti(make_volume(), tmp_path / "a.nii")
    assert [one.paths for one in find_series(path)[0]] == [(path,)]


@pytest.mark.parametrize(
    ("path", "modality"),
    [
        ("ct/patient_01/slice_003.png", "ct"),
        ("mri/patient_01/slice_003.png", "mri"),
        ("01/Pre_Scan_T1.nii.gz", "mri"),
        ("p1/T1post.nii.gz", "mri"),
        ("sub-01_FLAIR.nii", "mri"),
        ("CXR/1.png", "xray"),
        ("mri/p1_CT.nii.gz", "ct"),  # the nearest name wins
        ("xray/ct_to_mr/1.png", "xray"),  # a name with two hints says nothing
        ("pictures/effect.png", ""),
        ("direct/1.png", ""),
    ],
)
def test_names_hint_at_the_modality(path, modality):
    root = Path("/data/mri_ct_pairs")
    assert modality_from_name(root / path, root) == modality


def test_the_asked_modality_wins(make_volume, tmp_path):
    write_dicom(make_volume("ct"), tmp_path / "a")
    picture(tmp_path / "xray" / "one.png")
    found, _ = find_series(tmp_path, "mri")
    assert {one.modality for one in found} == {"mri"}


def test_keys_of_files_are_their_place_below_the_root(tmp_path):
    picture(tmp_path / "a" / "x" / "one.png")
    picture(tmp_path / "b" / "x" / "one.png")
    (first,), _ = find_series(tmp_path / "a")
    (second,), _ = find_series(tmp_path / "b")
    both, _ = find_series(tmp_path)
    assert first.key == second.key
    assert len({one.key for one in both}) == 2


def test_a_folder_of_one_series_can_be_read_at_once(make_volume, tmp_path):
    volume = make_volume()
    write_dicom(volume, tmp_path / "a")
    np.testing.assert_array_equal(read_files([tmp_path / "a"]).array, volume.array)
    write_dicom(volume, tmp_path / "b")
    with pytest.raises(DataError, match="holds 2 readable series"):
        read_files([tmp_path])


def test_no_identity_in_what_is_kept(make_volume, tmp_path):
    write_dicom(make_volume(), tmp_path / "a", template_patient="DOE^JANE")
    (volume,), _ = read_volumes(tmp_path)
    assert "DOE" not in repr(volume.provenance)
    (series,), _ = find_series(tmp_path)
    assert "DOE" not in series.key
    path = write_nifti(volume, tmp_path / "out.nii")
    assert b"DOE" not in path.read_bytes()
    assert nib.load(path).header["db_name"].item() == b""


def test_a_real_folder_goes_before_a_link_to_it(tmp_path, make_volume):
    write_nifti(make_volume("mri"), tmp_path / "real" / "a.nii")
    (tmp_path / "a-link").symlink_to(tmp_path / "real")
    (series,), problems = find_series(tmp_path)
    assert problems == []
    assert series.paths == (tmp_path / "real" / "a.nii",)


def test_paths_may_be_text(tmp_path, make_volume):
    write_nifti(make_volume("mri"), f"{tmp_path}/a.nii.gz")
    write_dicom(make_volume("mri"), f"{tmp_path}/dicom")
    assert len(find_series(str(tmp_path))[0]) == 2
    with pytest.raises(DataError, match="not a NIfTI name"):
        write_nifti(make_volume("mri"), tmp_path / "x.nrrd")

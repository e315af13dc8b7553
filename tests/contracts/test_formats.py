"""What every format promises: values, geometry and meaning come back, or nothing is written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from medimg_gan.errors import DataError
from medimg_gan.imaging import (
    Volume,
    find_series,
    read_series,
    read_volumes,
    write_dicom,
    write_nifti,
    write_picture,
)


@dataclass(frozen=True)
class Format:
    """A writer and what it can keep."""

    name: str
    kinds: tuple[tuple[str, str], ...]
    flat: bool = False
    affine_tolerance: float = 1e-6

    def write(self, volume, folder):
        if self.name == "dicom":
            write_dicom(volume, folder / "series")
        elif self.name == "picture":
            picture = volume.array[::-1, ::-1, 0].T / 65535
            write_picture(picture, folder / volume.modality / "slice.png")
        else:
            write_nifti(volume, folder / f"scan{self.name}")


VOLUMES = (
    ("ct", "HU"),
    ("mri", "signal"),
    ("xray", "signal"),
    ("ct", "display"),
    ("mri", "display"),
    ("", "signal"),
)
FORMATS = (
    Format("dicom", VOLUMES),
    Format(".nii", VOLUMES, affine_tolerance=2e-5),  # its header holds float32
    Format(".nii.gz", VOLUMES, affine_tolerance=2e-5),
    Format("picture", (("ct", "signal"), ("mri", "signal"), ("xray", "signal")), flat=True),
)
CASES = [
    pytest.param(form, modality, unit, id=f"{form.name}-{modality or 'any'}-{unit}")
    for form in FORMATS
    for modality, unit in form.kinds
]


def scan(form, modality, unit, seed=0):
    """Whole numbers, so that every format can be exact."""
    low, high = {"HU": (-1024, 3071), "display": (0, 255), "signal": (0, 30000)}[unit]
    shape = (6, 5, 1) if form.flat else (6, 5, 4)
    array = np.random.default_rng(seed).integers(low, high, shape).astype(np.float32)
    if form.flat:
        return Volume(array, np.eye(4), modality, unit)
    turn = np.radians(10)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] *= (0.9, 1.1, 3.0)
    affine[:3, 3] = -12.5, 30.25, -7.125
    return Volume(array, affine, modality, unit)


@pytest.mark.parametrize(("form", "modality", "unit"), CASES)
def test_what_is_written_is_read_again(form, modality, unit, tmp_path):
    volume = scan(form, modality, unit)
    form.write(volume, tmp_path)
    (again,), problems = read_volumes(tmp_path)
    assert problems == []
    np.testing.assert_array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, rtol=0, atol=form.affine_tolerance)
    assert (again.modality, again.unit) == (modality, unit)
    assert again.array.dtype == np.float32
    assert again.affine.dtype == np.float64
    assert again.provenance["format"]


@pytest.mark.parametrize(("form", "modality", "unit"), CASES)
def test_the_header_tells_the_shape_before_reading(form, modality, unit, tmp_path):
    form.write(scan(form, modality, unit), tmp_path)
    (series,), _ = find_series(tmp_path)
    volume = read_series(series)
    assert series.shape == volume.array.shape
    assert series.spacing == pytest.approx(volume.spacing)
    assert series.modality == volume.modality == modality


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_no_temporary_file_stays(form, tmp_path):
    form.write(scan(form, *form.kinds[0]), tmp_path)
    assert list(tmp_path.rglob(".*")) == []
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == (4 if form.name == "dicom" else 1)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_place_that_cannot_be_written_is_a_clear_error(form, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        form.write(scan(form, *form.kinds[0]), tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_writing_is_reproducible(form, tmp_path):
    """Only DICOM differs from one time to the next: its UIDs are fresh."""
    volume = scan(form, *form.kinds[0])
    contents = []
    for name in ("a", "b"):
        form.write(volume, tmp_path / name)
        contents.append([p.read_bytes() for p in sorted((tmp_path / name).rglob("*.*"))])
    assert (contents[0] == contents[1]) == (form.name != "dicom")


def test_dicom_to_nifti_to_dicom_keeps_values_and_places(tmp_path):
    first = scan(FORMATS[0], "ct", "HU")
    write_dicom(first, tmp_path / "dicom")
    ((dicom,), _), nifti = read_volumes(tmp_path / "dicom"), tmp_path / "nifti" / "a.nii.gz"
    write_nifti(dicom, nifti)
    (middle,), _ = read_volumes(nifti)
    write_dicom(middle, tmp_path / "again")
    (last,), _ = read_volumes(tmp_path / "again")
    np.testing.assert_array_equal(last.array, first.array)
    np.testing.assert_allclose(last.affine, first.affine, atol=2e-5)
    assert (last.stored, last.unit, last.modality) == (dicom.stored, "HU", "ct")

"""DICOM -> Volume -> DICOM and -> NIfTI: the same real values, bit by bit, at the same places."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from scipy.spatial.transform import Rotation

from medimg_gan.imaging import Volume, read_files, write_dicom, write_nifti

# To shrink arrays takes minutes and shows nothing.
SEEDED = {
    "deadline": None, "derandomize": True, "phases": (Phase.explicit, Phase.generate),
}  # fmt: skip
SHAPE = (5, 4, 3)  # slices, rows, columns
SLOPES = st.one_of(
    st.just("1"),
    st.sampled_from(["0.5", "0.1", "0.0625", "2", "0.48828125", "1.3", "0.244140625"]),
    st.decimals("0.001", "10", places=5).map(str),
)
INTERCEPTS = st.one_of(st.sampled_from(["0", "-1024", "-8192"]), st.decimals(-2000, 2000, places=2))


@dataclass(frozen=True)
class Stored:
    """How a scanner stored a series."""

    pixels: np.ndarray
    slopes: list[str]
    intercepts: list[str]
    bits: int
    padding: int | None
    inverted: bool


@st.composite
def stored_series(draw, several=False):
    signed, bits = draw(st.booleans()), draw(st.sampled_from([12, 16]))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = np.int16 if signed else np.uint16
    pixels = random.integers(low, high, SHAPE, endpoint=True).astype(kind)
    count = SHAPE[0] if several else 1
    slopes = [draw(SLOPES) for _ in range(count)] * (SHAPE[0] // count)
    intercepts = [str(draw(INTERCEPTS)) for _ in range(count)] * (SHAPE[0] // count)
    # Padding takes the lowest value of all slices, which another slice's own steps may miss.
    padding = int(pixels[0, 0, 0]) if draw(st.booleans()) and not several else None
    return Stored(pixels, slopes, intercepts, bits, padding, draw(st.booleans()))


@st.composite
def affines(draw):
    affine = np.eye(4)
    spacing = [draw(st.floats(0.2, 6)) for _ in range(3)]
    turn = Rotation.from_euler("xyz", [draw(st.floats(-25, 25)) for _ in range(3)], degrees=True)
    affine[:3, :3] = turn.as_matrix() * spacing
    affine[:3, 3] = [draw(st.floats(-300, 300)) for _ in range(3)]
    return affine


def scanned(stored: Stored, affine: np.ndarray, folder: Path, modality: str) -> list[Path]:
    """The series as the scanner would have written it."""
    unit = "HU" if modality == "ct" else "signal"
    paths = write_dicom(Volume(np.zeros(SHAPE[::-1], np.float32), affine, modality, unit), folder)
    for path, pixels, slope, more in zip(
        paths, stored.pixels, stored.slopes, stored.intercepts, strict=True
    ):
        image: Dataset = dcmread(path)
        image.PixelRepresentation = int(pixels.dtype == np.int16)
        image.BitsStored, image.HighBit = stored.bits, stored.bits - 1
        image.RescaleSlope, image.RescaleIntercept = slope, more
        if stored.padding is not None:
            image.add_new("PixelPaddingValue", "SS" if pixels.dtype == np.int16 else "US", 0)
            image.PixelPaddingValue = stored.padding
        if stored.inverted:
            image.PhotometricInterpretation = "MONOCHROME1"
        image.PixelData = pixels.tobytes()
        image.save_as(path)
    return paths


def real_values(stored: Stored) -> np.ndarray:
    """By hand: (slices, rows, columns) float32, padding at the lowest of the others."""
    values = np.stack(
        [
            (pixels.astype(np.float64) * float(slope) + float(more)).astype(np.float32)
            for pixels, slope, more in zip(
                stored.pixels, stored.slopes, stored.intercepts, strict=True
            )
        ]
    )
    if stored.padding is not None:
        padded = stored.pixels == stored.padding
        values[padded] = values[~padded].min()
    return values


def assert_same(one: Volume, other: Volume) -> None:
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_allclose(one.affine, other.affine, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(one.spacing, other.spacing, rtol=1e-6)
    assert (one.modality, one.unit) == (other.modality, other.unit)


@settings(max_examples=60, **SEEDED)
@given(stored=stored_series(), affine=affines())
def test_hu_survive_whatever_the_scanner_stored(stored, affine):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        volume = read_files(scanned(stored, affine, folder / "scan", "ct"))
        # The file's rows lie along i and j reversed (LPS); slices ascend.
        expected = real_values(stored)
        np.testing.assert_array_equal(np.sort(volume.array, None), np.sort(expected, None))
        np.testing.assert_allclose(volume.affine, affine, rtol=1e-6, atol=1e-6)
        assert_same(read_files(write_dicom(volume, folder / "dicom")), volume)
        again = read_files([write_nifti(volume, folder / "a.nii.gz")])
        assert_same(again, volume)


@settings(max_examples=25, **SEEDED)
@given(stored=stored_series(several=True), affine=affines())
def test_a_rescale_of_each_slice_survives(stored, affine):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        volume = read_files(scanned(stored, affine, folder / "scan", "ct"))
        np.testing.assert_array_equal(
            np.sort(volume.array, None), np.sort(real_values(stored), None)
        )
        paths = write_dicom(volume, folder / "dicom")
        assert_same(read_files(paths), volume)
        assert_same(read_files([write_nifti(volume, folder / "a.nii")]), volume)


def test_each_value_lies_where_its_pixel_did(tmp_path):
    pixels = np.arange(60, dtype=np.int16).reshape(SHAPE)
    stored = Stored(pixels, ["0.3"] * 5, ["-7.5"] * 5, 16, None, False)
    volume = read_files(scanned(stored, np.diag([0.7, 0.8, 2.5, 1]), tmp_path / "a", "ct"))
    for k, row, column in np.ndindex(SHAPE):
        value = np.float32(pixels[k, row, column] * 0.3 - 7.5)
        assert volume.array[SHAPE[2] - 1 - column, SHAPE[1] - 1 - row, k] == value


def test_fractions_from_nifti_are_kept_where_a_common_step_is_found(tmp_path):
    array = (np.arange(60) * 0.1 - 3).reshape(3, 4, 5).astype(np.float32)
    paths = write_dicom(Volume(array, np.eye(4), "ct", "HU"), tmp_path / "a")
    np.testing.assert_array_equal(read_files(paths).array, array)
    assert "rounded" not in dcmread(paths[0]).DerivationDescription


@pytest.mark.parametrize(
    ("modality", "unit", "words"),
    [("ct", "HU", "rounded to whole HU"), ("mri", "signal", "rounded to steps of")],
)
def test_what_16_bits_cannot_hold_is_said_in_the_file(tmp_path, modality, unit, words):
    array = np.random.default_rng(0).normal(0, 300, (6, 5, 4)).astype(np.float32)
    paths = write_dicom(Volume(array, np.eye(4), modality, unit), tmp_path / "a")
    assert words in dcmread(paths[0]).DerivationDescription


def test_an_extended_ct_scale_fits_without_sign(tmp_path):
    array = np.array([-1024, 0, 60000], np.float32).reshape(3, 1, 1)
    volume = Volume(array, np.eye(4), "ct", "HU", provenance={"rescale": "1.0 -1024.0"})
    paths = write_dicom(volume, tmp_path / "a")
    assert dcmread(paths[0]).PixelRepresentation == 0
    np.testing.assert_array_equal(read_files(paths).array, array)


@pytest.mark.parametrize("rescaled", [False, True])
def test_a_real_world_value_map_is_applied_only_without_a_rescale(tmp_path, rescaled):
    pixels = np.arange(60, dtype=np.int16).reshape(SHAPE)
    stored = Stored(pixels, ["3"] * 5, ["1"] * 5, 16, None, False)
    paths = scanned(stored, np.eye(4), tmp_path / "a", "mri")
    for path in paths:
        image = dcmread(path)
        mapping = Dataset()
        mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.25, -2.0
        image.RealWorldValueMappingSequence = [mapping]
        if not rescaled:
            del image.RescaleSlope, image.RescaleIntercept
        image.save_as(path)
    volume = read_files(paths)
    slope, intercept = (3, 1) if rescaled else (0.25, -2)
    assert volume.array.max() == 59 * slope + intercept
    expected = "not applied" if rescaled else "applied"
    assert volume.provenance["real_world_values"] == expected

"""From files to encoded slices, as the cache is built."""

import nibabel
import numpy as np
import pytest
from monai.transforms import LoadImage
from pydicom import dcmread

from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.transforms import STORED_MAX, Slices, VolumeReader, slicing_pipeline
from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.imaging import ReadOptions, Volume, write_dicom


def cut(image, modality, chain=None, mask=None, size=32) -> Slices:
    item = {"image": str(image), "modality": modality} | ({"mask": str(mask)} if mask else {})
    pipeline = slicing_pipeline(size, 0.0, with_mask=mask is not None, chain=chain or ChainConfig())
    return pipeline(item)["slices"]


def save(array, spacing, path):
    nibabel.save(nibabel.Nifti1Image(np.asarray(array, np.float32), np.diag([*spacing, 1])), path)
    return path


@pytest.fixture
def sagittal(tmp_path):
    """Twelve sagittal slices, 6 mm thick: a rod from left to right, and its mask."""
    rod = np.zeros((12, 40, 30))
    rod[:, 10:14, 20:25] = 1
    scan = 100 + 300 * rod + np.random.default_rng(0).uniform(0, 20, rod.shape)
    image = save(scan, (6, 1, 1), tmp_path / "t1.nii.gz")
    return image, save(rod, (6, 1, 1), tmp_path / "mask.nii.gz")


def test_bones_of_a_monochrome1_radiograph_end_bright(tmp_path):
    rng = np.random.default_rng(0)
    bone_is_dark = rng.uniform(3000, 3800, (40, 30, 1)).astype(np.float32).round()
    bone_is_dark[15:25, 10:20] = 200
    volume = Volume(bone_is_dark, np.diag([0.2, 0.2, 1, 1]), modality="xray", stored="LPS")
    (path,) = write_dicom(volume, tmp_path / "series")
    dataset = dcmread(path)
    dataset.Modality, dataset.PhotometricInterpretation = "DX", "MONOCHROME1"
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.save_as(path)
    (picture,) = cut(path, "xray", size=40).pictures / STORED_MAX
    assert picture.shape == (40, 40)
    bone = picture[15:25, 15:25]
    assert bone.min() > 0.9
    assert np.median(picture[5:35]) < -0.5


def test_thick_sagittal_slices_are_cut_in_their_own_plane(sagittal):
    with pytest.raises(RuntimeError) as refused:  # MONAI's wrapper
        cut(sagittal[0], "mri")
    assert isinstance(refused.value.__cause__, UnreadableError)
    assert "--transform.plane acquired" in str(refused.value.__cause__)
    slices = cut(sagittal[0], "mri", ChainConfig(plane="acquired"))
    assert slices.pictures.shape == (12, 32, 32)
    assert slices.pixel_mm == pytest.approx(40 / 32)
    # Front is at the left and the top at the top: the rod lies right of the middle, above it.
    rows, columns = np.nonzero(slices.pictures[5] > 0.3 * STORED_MAX)
    assert columns.mean() > 20
    assert rows.mean() < 14


@pytest.mark.parametrize(
    ("chain", "areas"),
    [
        (ChainConfig(plane="sagittal"), [20.0] * 12),
        (ChainConfig(plane="sagittal", crop="body", margin=0.0), [20.0] * 12),
        (ChainConfig(plane="sagittal", spacing=(6.0, 0.5, 0.5)), [20.0] * 12),
        (ChainConfig(plane="sagittal", spacing=(12.0, 0.0, 0.0)), [20.0] * 6),
        (ChainConfig(spacing=(2.0, 2.0, 5.0)), [0, 0, 0, 0, 72 * 4, 0]),
    ],
)
def test_mask_areas_are_in_square_millimetres_of_the_cut_plane(sagittal, chain, areas):
    found = cut(sagittal[0], "mri", chain, mask=sagittal[1]).areas.total
    np.testing.assert_allclose(found, areas, rtol=1e-5)


def test_a_crop_makes_the_body_fill_the_picture(tmp_path):
    scan = np.zeros((60, 60, 6))
    scan[20:40, 22:38, 1:5] = np.random.default_rng(0).uniform(300, 400, (20, 16, 4))
    path = save(scan, (1, 1, 3), tmp_path / "t1.nii.gz")
    whole = cut(path, "mri")
    body = cut(path, "mri", ChainConfig(crop="body", margin=0.0))
    assert len(body.pictures) == 4
    assert body.pixel_mm < 0.5 * whole.pixel_mm
    assert (body.pictures > 0).mean() > 0.6 > (whole.pictures[1:5] > 0).mean() * 3


def test_landmarks_travel_with_the_slices(sagittal):
    chain = ChainConfig(plane="sagittal", intensity="nyul")
    slices = cut(sagittal[0], "mri", chain)
    assert slices.landmarks.shape == (11,)
    plain = cut(sagittal[0], "mri", ChainConfig(plane="sagittal"))
    assert np.array_equal(slices.pictures, plain.pictures)  # the map is applied on the batch


@pytest.mark.parametrize("window", ["wide", "full", "brain", "lung"])
def test_slices_of_air_are_blank_in_every_window(tmp_path, window):
    scan = np.full((30, 30, 6), -1000.0)
    scan[8:22, 8:22, 2:5] = 60
    path = save(scan, (1, 1, 3), tmp_path / "ct.nii.gz")
    pipeline = slicing_pipeline(32, 0.01, with_mask=False, chain=ChainConfig(window=window))
    slices = pipeline({"image": str(path), "modality": "ct"})["slices"]
    assert slices.index.tolist() == [2, 3, 4]
    assert slices.blank == 3


def test_what_is_refused_is_not_read_by_another_reader(tmp_path):
    """MONAI's LoadImage tries all its readers when one fails; they would invent the spacing."""
    values = np.random.default_rng(0).integers(0, 4000, (7, 6, 9)).astype(np.float32)
    volume = Volume(values, np.diag([1.0, 1.0, 2.5, 1.0]), "mri", "signal")
    paths = write_dicom(volume, tmp_path / "scan")
    load = LoadImage(reader=VolumeReader(), image_only=True)
    np.testing.assert_array_equal(load(tmp_path / "scan"), values)
    paths[4].unlink()
    with pytest.raises(DataError, match=r"not evenly spaced|holds 0 readable series"):
        load(tmp_path / "scan")
    with pytest.raises(DataError, match="not evenly spaced"):
        load([path for path in paths if path.exists()])
    mended = LoadImage(reader=VolumeReader(ReadOptions(on_gap="resample")), image_only=True)
    assert mended(tmp_path / "scan").shape == (7, 6, 9)

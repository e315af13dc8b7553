from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import find_series, read_files, read_volumes, write_picture


def test_row_0_is_the_top_and_column_0_the_patients_right(tmp_path):
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(picture).save(tmp_path / "a.png")
    volume = read_files([tmp_path / "a.png"])
    assert volume.array.shape == (4, 3, 1)
    for row in range(3):
        for column in range(4):
            assert volume.array[3 - column, 2 - row, 0] == picture[row, column]
    assert (volume.unit, volume.spacing, volume.stored) == ("display", (1, 1, 1), "LPS")


def test_16_bits_stay_16_bits(tmp_path):
    picture = np.array([[0, 255, 256], [1000, 40000, 65535]], np.uint16)
    Image.fromarray(picture).save(tmp_path / "a.png")
    Image.fromarray(picture).save(tmp_path / "b.tiff")
    for name in ("a.png", "b.tiff"):
        volume = read_files([tmp_path / name])
        np.testing.assert_array_equal(volume.array[::-1, ::-1, 0].T, picture)
        assert volume.unit == "signal"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1", "CMYK"])
def test_colour_becomes_luminance(tmp_path, mode):
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    picture = Image.fromarray(colours).convert(mode)
    picture.save(tmp_path / "a.tiff")
    volume = read_files([tmp_path / "a.tiff"])
    expected = np.asarray(picture.convert("RGB")) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(volume.array[::-1, ::-1, 0].T, expected, rtol=1e-6)
    assert volume.unit == "display"


def test_grey_saved_as_colour_keeps_its_levels_exactly(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).convert("RGB").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_files([tmp_path / "a.png"]).array[::-1, ::-1, 0].T, grey)


def test_a_photograph_is_turned_upright(tmp_path):
    picture = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise to view
    picture.save(tmp_path / "a.png", exif=exif)
    (series,), _ = find_series(tmp_path)
    volume = read_files(series.paths)
    assert series.shape == volume.array.shape == (3, 4, 1)
    np.testing.assert_array_equal(
        volume.array[::-1, ::-1, 0].T, np.rot90(np.asarray(picture), k=-1)
    )


def test_several_pictures_in_one_file_are_refused(tmp_path):
    page = Image.fromarray(np.zeros((3, 4), np.uint8))
    page.save(tmp_path / "a.tiff", save_all=True, append_images=[page, page])
    found, (problem,) = find_series(tmp_path)
    assert found == []
    assert "3 pictures in one file" in problem.reason


def test_a_damaged_picture_is_one_problem(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(noise).save(tmp_path / name)
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:900])
    volumes, problems = read_volumes(tmp_path)
    assert len(volumes) == 1
    assert [problem.path.name for problem in problems] == ["a.png", "b.png"]


def test_a_picture_of_nan_is_refused(tmp_path):
    Image.fromarray(np.full((3, 4), np.nan, np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(UnreadableError, match="NaN"):
        read_files([tmp_path / "a.tiff"])


def test_written_pictures_have_16_bits_and_clip(tmp_path):
    image = np.array([[0, 0.5, 1], [-1, 2, 1 / 65535]])
    path = write_picture(image, tmp_path / "new" / "a.png")
    expected = [[0, 32768, 65535], [0, 65535, 1]]
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)
    assert [one.name for one in path.parent.iterdir()] == ["a.png"]

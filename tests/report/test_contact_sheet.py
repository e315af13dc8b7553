"""The contact sheet: what it shows, whom it does not name, and how it stays small."""

import base64
import io
import re
import tracemalloc

import nibabel
import numpy as np
import pytest
from PIL import Image

from medimg_gan.data.index import build_index, survey
from medimg_gan.data.settings import DataConfig
from medimg_gan.imaging import Problem, Volume, write_dicom, write_nifti, write_picture
from medimg_gan.report import contact_sheet, thumbnails
from medimg_gan.report.contact_sheet import Shown, page_paths, write_contact_sheet
from medimg_gan.report.thumbnails import Look, look, look_at, middle_plane, windows_of

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])


def head(modality="ct", shape=(10, 12, 6), stored="LPS") -> Volume:
    """Air around a block of 40 HU, and each slice with a mark of its own."""
    unit, air = ("HU", -1000) if modality == "ct" else ("signal", 0)
    array = np.full(shape, air, np.float32)
    array[2:8, 2:10] = 40
    array[4, 4] = np.arange(shape[2]) * 10
    return Volume(array, AFFINE, modality, unit, stored)


@pytest.fixture
def folder(tmp_path):
    """Every format, under a patient's name."""
    place = tmp_path / "d" / "Doe^Jane"
    write_dicom(head(), place / "ct" / "head")
    write_nifti(head("mri", stored="RAS"), place / "Jane_t1.nii.gz")
    write_picture(np.linspace(0, 1, 64).reshape(8, 8), place / "Jane.png")
    (place / "Jane_broken.nii.gz").write_bytes(b"x")
    return tmp_path / "d"


def index_of(folder, tmp_path):
    return survey(DataConfig(data=folder, cache=tmp_path / "c" / "cache"))


def shown(index, pictures=True):
    for scan, seen in look_at(index.scans, len(index.scans), pictures=pictures):
        index.problems.extend(contact_sheet.problem_of(scan, seen))
        yield Shown(scan, seen, scan.label)


def sheet(folder, tmp_path) -> str:
    index = index_of(folder, tmp_path)
    (path,) = write_contact_sheet(tmp_path / "out", index, shown(index))
    return path.read_text(encoding="utf-8")


def test_the_page_names_keys_and_nobody(folder, tmp_path):
    page = sheet(folder, tmp_path)
    for word in ("Doe", "Jane", "broken", str(tmp_path)):
        assert word not in page
    index = index_of(folder, tmp_path)
    assert len(index.scans) == 3
    for scan in index.scans:
        assert scan.series.key in page
        assert scan.patient in page


def test_the_page_asks_for_nothing_from_outside(folder, tmp_path):
    page = sheet(folder, tmp_path)
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 3 + 1 + 1  # CT in three windows
    for source in sources:
        assert source.startswith("data:image/png;base64,")
        picture = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
        assert picture.mode == "L"
        assert 0 < max(picture.size) <= 208
    assert all(name in page for name in ("brain 40/80", "bone 500/2000", "lung -600/1500"))


def test_problems_come_with_a_remedy(folder, tmp_path):
    page = sheet(folder, tmp_path)
    assert "not a readable NIfTI file" in page
    assert re.search(r"class='todo'>[^<]+copy or export it again", page)


def test_an_undecodable_series_is_a_line_not_the_end(folder, tmp_path):
    path = next(folder.rglob("*_t1.nii.gz"))
    nibabel.save(nibabel.Nifti1Image(np.full((8, 8, 3), np.nan, np.float32), AFFINE), path)
    index = index_of(folder, tmp_path)
    (page,) = write_contact_sheet(tmp_path / "out", index, shown(index))
    text = page.read_text()
    key = next(scan.series.key for scan in index.scans if scan.series.format == "nifti")
    assert text.count(key) == 2  # its card, and its problem
    assert "cannot be shown" in text
    assert "Problems (2)" in text


def test_text_is_escaped(folder, tmp_path):
    (folder / "labels.csv").write_text(f"path,label\n{'Doe^Jane/Jane.png'},<script>x\n")
    assert "<script>" not in sheet(folder, tmp_path)


def test_folder_names_that_pass_for_labels_stay_off_the_page(folder, tmp_path):
    index = index_of(folder, tmp_path)
    assert any(scan.label == "Doe^Jane" for scan in index.scans)  # a guess gone wrong
    assert "by folder" in sheet(folder, tmp_path)


def test_many_series_fill_pages(folder, tmp_path):
    index = index_of(folder, tmp_path)
    paths = write_contact_sheet(tmp_path / "out", index, shown(index), a_page=2)
    assert paths == page_paths(tmp_path / "out", 3, 2)
    texts = [path.read_text() for path in paths]
    assert [text.count("<article") for text in texts] == [2, 1]
    assert 'href="contact_sheet_2.html"' in texts[0]
    assert 'href="contact_sheet.html"' in texts[1]
    assert ["Problems (" in text for text in texts] == [False, True]
    write_contact_sheet(tmp_path / "out", index, shown(index))
    assert not paths[1].exists()  # a page of an earlier, longer sheet


def test_memory_does_not_grow_with_the_number_of_series(folder, tmp_path):
    index = index_of(folder, tmp_path)
    seen = look(index.scans[0], True)
    one = Shown(index.scans[0], seen, "")
    peaks = []
    for count in (20, 400):
        many = type(index)(index.root, index.scans[:1] * count)
        tracemalloc.start()
        write_contact_sheet(tmp_path / str(count), many, (one for _ in range(count)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_only_the_middle_file_of_a_series_is_opened(folder, tmp_path):
    index = index_of(folder, tmp_path)
    scan = next(scan for scan in index.scans if scan.modality == "ct")
    whole = look(scan, True)
    for path in scan.series.paths:
        if path != scan.series.paths[len(scan.series.paths) // 2]:
            path.write_bytes(b"gone")
    assert look(scan, True) == whole


@pytest.mark.parametrize(
    ("stored", "plane", "shape"),
    [("LPS", "axial", (12, 10)), ("LSP", "coronal", (6, 10)), ("PSR", "sagittal", (6, 12))],
)
def test_the_middle_slice_is_that_of_acquisition(stored, plane, shape):
    picture, spacing, name = middle_plane(head(stored=stored))
    assert (name, picture.shape) == (plane, shape)
    assert spacing == ((2.0, 2.0) if plane == "axial" else (4.0, 2.0))


def test_the_view_is_radiological():
    volume = head()
    volume.array[9, 6, 3] = 500  # the patient's right
    picture, _, _ = middle_plane(volume)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert (row, column) == (12 - 1 - 6, 0)
    volume.array[5, 11, 3] = 900  # the front
    assert middle_plane(volume)[0].argmax() < picture.shape[1]


def test_windows_are_level_and_width():
    windows = {caption: (low, high) for low, high, caption in windows_of(np.zeros(1), "HU", "ct")}
    assert windows["brain 40/80"] == (0, 80)
    assert windows["bone 500/2000"] == (-500, 1500)
    assert windows["lung -600/1500"] == (-1350, 150)
    (low, high, _), = windows_of(np.arange(101.0), "signal", "mri")  # fmt: skip
    assert (low, high) == (1, 99)
    assert windows_of(np.zeros(4), "display", "xray") == [(0.0, 255.0, "as stored")]


@pytest.mark.parametrize("worth", [2, 1000])
def test_masks_are_measured_on_the_way(nifti_folder, tmp_path, monkeypatch, worth):
    monkeypatch.setattr(thumbnails, "WORTH_WORKERS", worth)
    config = DataConfig(
        data=nifti_folder, mask="{patient}/{visit}_Mask.nii.gz", cache=tmp_path / "c"
    )
    index = build_index(config)
    looks = [seen for _, seen in look_at(index.scans, len(index.scans), pictures=False)]
    assert len(looks) == 18
    assert [seen.areas.total.tolist() for seen in looks[:3]] == [
        [0] * 5, [0] * 5, [0, 0, 100, 100, 0],
    ]  # fmt: skip
    assert not any(seen.pictures for seen in looks)


def test_a_look_that_failed_is_a_problem(folder, tmp_path):
    scan = index_of(folder, tmp_path).scans[0]
    assert contact_sheet.problem_of(scan, Look(reason="why")) == [
        Problem(scan.series.paths[0], "why")
    ]
    assert contact_sheet.problem_of(scan, Look()) == []

"""DICOM SEG beside the images that it was drawn on: joined by reference, laid on their grid."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes

from medimg_gan.data.index import build_index
from medimg_gan.data.masks import measure_mask
from medimg_gan.data.prepare import prepare
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import Volume, read_series, write_dicom

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of names that are pseudonyms

SHAPE = (10, 12, 6)


def scan(folder: Path, seed=0, tilt=0.0, spacing=(2.0, 2.0, 5.0)) -> list[pydicom.Dataset]:
    """A small CT series on disk; its data sets from the lowest slice to the highest."""
    array = np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.float32)
    affine = np.eye(4)
    turn = [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    affine[:3, :3] = np.array(turn) * spacing
    write_dicom(Volume(array, affine, "ct", "HU", "LPS"), folder)
    slices = [pydicom.dcmread(path) for path in folder.iterdir()]
    return sorted(slices, key=lambda one: float(one.ImagePositionPatient[2]))


def segment(number: int, label: str) -> SegmentDescription:
    return SegmentDescription(
        number, label, codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm, "MANUAL"
    )


def draw(sources, pixels, path, labels=("edema", "enhancing"), kind="BINARY", **more):
    """Write a SEG; ``pixels`` (slices, rows, columns[, segments]) in the order of ``sources``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Segmentation(
        sources, pixels, kind, [segment(n, label) for n, label in enumerate(labels, 1)],
        highdicom.UID(), 9, highdicom.UID(), 1, "m", "m", "1", "1", **more,
    )  # fmt: skip
    made.save_as(path)
    return path


def marks(count=SHAPE[2]):
    """Two overlapping segments: rows, columns 2:5 of slice 2, and 4:6 of slices 2 and 3."""
    pixels = np.zeros((count, SHAPE[1], SHAPE[0], 2), np.uint8)
    pixels[2, 2:5, 2:5, 0] = 1
    pixels[2:4, 4:6, 4:6, 1] = 1
    return pixels


@pytest.fixture
def settings(tmp_path):
    return lambda **more: DataConfig(data=tmp_path / "d", cache=tmp_path / "c" / "cache", **more)


def areas_of(index):
    one = index.scans[0]
    volume = read_series(one.series)
    return measure_mask(one.mask, volume.array.shape, volume.affine), volume


def test_a_segmentation_is_the_mask_of_what_it_refers_to(tmp_path, settings):
    scan(tmp_path / "d" / "a", seed=1)
    sources = scan(tmp_path / "d" / "b")
    path = draw(sources, marks(), tmp_path / "d" / "a" / "looks_like_a.dcm")
    index = build_index(settings())
    assert [one.mask for one in index.scans] == [None, path]
    assert index.problems == []
    assert index.scans[1].notes == ("mask: DICOM SEG, 2 segments",)
    assert index.scans[1].mask_names == {1: "edema", 2: "enhancing"}
    assert index.table()["notes"].tolist() == ["", "mask: DICOM SEG, 2 segments"]


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_areas_lie_where_they_were_drawn_and_overlaps_count_once(tmp_path, settings, tilt):
    sources = scan(tmp_path / "d" / "b", tilt=tilt)
    draw(sources, marks(), tmp_path / "d" / "s.dcm")
    areas, _ = areas_of(build_index(settings()))
    assert areas.of_value[1].tolist() == [0, 0, 36, 0, 0, 0]  # a pixel is 4 mm2
    assert areas.of_value[2].tolist() == [0, 0, 16, 16, 0, 0]
    assert areas.total.tolist() == [0, 0, 48, 16, 0, 0]


def test_marked_voxels_are_the_very_voxels(tmp_path, settings):
    """What is marked by value in the images is marked by value in the volume."""
    from medimg_gan.imaging.dicom_segmentation import segments_on_grid

    sources = scan(tmp_path / "d" / "b")
    stored = np.stack(
        [one.pixel_array * one.RescaleSlope + one.RescaleIntercept for one in sources]
    )
    draw(sources, (stored > 500).astype(np.uint8), tmp_path / "d" / "s.dcm", labels=("bone",))
    index = build_index(settings())
    volume = read_series(index.scans[0].series)
    path = index.scans[0].mask
    ((_, voxels),) = segments_on_grid(path, volume.array.shape, volume.affine)
    marked = np.zeros(SHAPE, bool)
    marked[tuple(voxels.T)] = True
    assert np.array_equal(marked, volume.array > 500)


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_every_type_of_segmentation_is_read(tmp_path, settings, kind):
    sources = scan(tmp_path / "d" / "b")
    pixels = marks()[..., 0]
    if kind == "FRACTIONAL":
        pixels = pixels * 0.8 + 0.2 * (marks()[..., 1] > 0)
        pixels[0, 0, 0] = 0.4
    draw(sources, pixels, tmp_path / "d" / "s.dcm", labels=("edema",), kind=kind)
    areas, _ = areas_of(build_index(settings()))
    assert areas.of_value[1].tolist() == [0, 0, 36, 0, 0, 0]


def test_frames_in_any_order_of_some_slices_only(tmp_path, settings):
    sources = scan(tmp_path / "d" / "b")
    chosen = [4, 0, 2]
    pixels = np.zeros((3, SHAPE[1], SHAPE[0]), np.uint8)
    pixels[0, 0, :1], pixels[1, 0, :2], pixels[2, 0, :3] = 1, 1, 1
    draw([sources[n] for n in chosen], pixels, tmp_path / "d" / "s.dcm", labels=("lesion",))
    areas, _ = areas_of(build_index(settings()))
    assert areas.total.tolist() == [8, 0, 12, 0, 4, 0]


def test_one_slice_alone(tmp_path, settings):
    sources = scan(tmp_path / "d" / "b")
    pixels = np.ones((1, SHAPE[1], SHAPE[0]), np.uint8)
    draw(sources[3:4], pixels, tmp_path / "d" / "s.dcm", labels=("all",))
    areas, _ = areas_of(build_index(settings()))
    assert areas.total.tolist() == [0, 0, 0, 4 * 120, 0, 0]


def test_another_grid_is_refused_by_name(tmp_path, settings):
    sources = scan(tmp_path / "d" / "b")
    path = draw(sources, marks(), tmp_path / "d" / "s.dcm")
    volume = read_series(build_index(settings()).scans[0].series)
    finer = volume.affine @ np.diag([0.5, 0.5, 1, 1])
    with pytest.raises(UnreadableError, match="another grid"):
        measure_mask(path, SHAPE, finer)
    moved = volume.affine.copy()
    moved[0, 3] += 0.7
    with pytest.raises(UnreadableError, match="another grid"):
        measure_mask(path, SHAPE, moved)
    with pytest.raises(UnreadableError, match="outside its image"):
        measure_mask(path, (10, 12, 2), volume.affine)


def problem_of(index) -> str:
    (problem,) = index.problems
    return problem.reason


def test_what_a_segmentation_cannot_be_joined_with_is_said(tmp_path, settings):
    scan(tmp_path / "d" / "a")
    sources = scan(tmp_path / "gone", seed=2)
    path = draw(sources, marks(), tmp_path / "d" / "s.dcm")
    assert "series that is not here" in problem_of(build_index(settings()))
    path.unlink()
    sources = scan(tmp_path / "d" / "b", seed=3)
    draw(sources, marks(), path)
    changed = pydicom.dcmread(path)
    changed.FrameOfReferenceUID = highdicom.UID()
    changed.save_as(path)
    assert "another frame of reference" in problem_of(build_index(settings()))


def test_two_segmentations_of_a_series_need_the_users_word(tmp_path, settings):
    sources = scan(tmp_path / "d" / "b")
    draw(sources, marks(), tmp_path / "d" / "s1.dcm")
    second = draw(sources, marks(), tmp_path / "d" / "s2.dcm", labels=("x", "y"))
    index = build_index(settings())
    assert len(index.problems) == 2
    assert index.scans[0].mask is None
    (tmp_path / "d" / "labels.csv").write_text("path,mask\nb,s2.dcm\n")
    told = build_index(settings())
    assert told.scans[0].mask == second
    assert told.scans[0].mask_names == {1: "x", 2: "y"}


def test_segments_label_slices_by_name_even_where_numbers_differ(tmp_path, settings):
    for number in range(4):
        sources = scan(tmp_path / "d" / f"P{number}", seed=number)
        labels = ("edema", "enhancing") if number % 2 else ("enhancing", "edema")
        pixels = marks() if number % 2 else marks()[..., ::-1]
        draw(sources, pixels, tmp_path / "d" / f"P{number}" / "seg.dcm", labels=labels)
    config = settings(layout="{patient}")
    rows = prepare(config, (), size=32, seed=0, folder=tmp_path / "run").cache.rows
    assert set(rows["label"]) == {"background", "edema", "enhancing"}
    by_index = rows.groupby("index")["label"].apply(set)
    assert by_index[3] == {"enhancing"}  # only that segment lies there, whatever its number
    assert len(by_index[2]) == 1  # both lie there: one priority for the whole data set

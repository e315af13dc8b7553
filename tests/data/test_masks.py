"""Labels from masks: areas per slice, several values in one mask, names and their priority."""

import nibabel
import numpy as np
import pandas as pd
import pytest

from medimg_gan.data.geometry import geometry_of
from medimg_gan.data.masks import (
    BACKGROUND,
    UNNAMED,
    Labelling,
    measure_mask,
)
from medimg_gan.data.prepare import prepare
from medimg_gan.data.settings import DataConfig, mask_names
from medimg_gan.errors import ConfigError, LabelError

AFFINE = np.diag([2.0, 3.0, 5.0, 1.0])
SHAPE = (8, 8, 4)


@pytest.fixture
def mask_file(tmp_path):
    """Value 1 in 3 voxels of slice 1; values 2 (4 voxels) and 4 (1 voxel) in slice 2."""
    values = np.zeros(SHAPE, np.float32)
    values[0, :3, 1] = 1
    values[0, :4, 2] = 2
    values[7, 7, 2] = 4
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)
    return path


def test_areas_are_square_millimetres_of_each_value_in_each_slice(mask_file):
    areas = measure_mask(mask_file, SHAPE, AFFINE)
    assert areas.total.tolist() == [0, 18, 30, 0]  # a pixel is 6 mm2
    assert {value: area.tolist() for value, area in areas.of_value.items()} == {
        1: [0, 18, 0, 0],
        2: [0, 0, 24, 0],
        4: [0, 0, 6, 0],
    }


def test_a_mask_on_another_grid_is_refused(mask_file):
    with pytest.raises(LabelError, match="another grid"):
        measure_mask(mask_file, (8, 8, 5), AFFINE)
    with pytest.raises(LabelError, match="another grid"):
        measure_mask(mask_file, SHAPE, np.diag([2.0, 3.0, 4.0, 1.0]))


def test_an_image_is_no_mask(tmp_path):
    grey = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
    nibabel.save(nibabel.Nifti1Image(grey, AFFINE), tmp_path / "scan.nii")
    with pytest.raises(LabelError, match="grey levels"):
        measure_mask(tmp_path / "scan.nii", (8, 8, 8), AFFINE)


def classes(labels, *, of_data=None, **areas) -> list[str]:
    """Classes of one scan's slices, from areas in mm2 by value."""
    config = DataConfig(mask_label=tuple(labels.split()))
    return labelling_of(config, of_data or {}).classes(0, table(**areas)).tolist()


def labelling_of(config, *of_data) -> Labelling:
    return Labelling.of(config, dict(enumerate(of_data)))


def table(**columns):
    frame = pd.DataFrame(columns)
    frame["area"] = frame.fillna(0).sum(axis=1)
    return frame


def test_the_first_name_that_is_present_is_a_slices_class():
    areas = {"area_2": [0, 20, 20, 0], "area_4": [0, 0, 12, 12]}
    first = classes("4=enhancing 2=edema", **areas)
    assert first == [BACKGROUND, "edema", "enhancing", "enhancing"]
    other = classes("2=edema 4=enhancing", **areas)
    assert other == [BACKGROUND, "edema", "edema", "enhancing"]


def test_the_least_area_counts_for_each_label_by_itself():
    areas = {"area_2": [20, 9], "area_4": [9, 9]}
    assert classes("4=e 2=o", **areas) == ["o", BACKGROUND]
    assert classes("", **areas) == ["tumor", "tumor"]


def test_values_of_one_name_are_taken_together():
    assert classes("1=core 4=core", area_1=[6, 0], area_4=[6, 6]) == ["core", "no-core"]


def test_a_value_that_a_scan_lacks_is_no_area():
    areas = {"area_1": [12.0, np.nan], "area_2": [np.nan, 12.0]}
    assert classes("2=b 1=a", **areas) == ["a", "b"]
    assert classes("7=c", **areas) == ["no-c", "no-c"]


def test_the_user_names_before_the_data_and_the_data_highest_first():
    of_data = {1: "liver", 2: "cancer"}
    areas = {"area_1": [20, 20], "area_2": [0, 20]}
    assert classes("", of_data=of_data, **areas) == ["liver", "cancer"]
    assert classes("lesion", of_data=of_data, **areas) == ["lesion", "lesion"]
    assert labelling_of(DataConfig(), {}).names == {0: UNNAMED}


def test_one_data_set_has_one_priority_and_one_word_for_nothing():
    labelling = labelling_of(DataConfig(), {1: "a", 2: "b"}, {1: "b", 3: "a"}, {1: "a"})
    assert [list(names.values()) for names in labelling.names.values()] == [
        ["a", "b"], ["a", "b"], ["a"],
    ]  # fmt: skip
    assert labelling.classes(2, table(area_1=[0.0])).tolist() == [BACKGROUND]


def test_unnamed_values_are_counted():
    areas = table(area_1=[1, 0, 1], area_2=[0, 5, 5])
    config = DataConfig(mask_label=("2=edema",))
    assert labelling_of(config, {}).slices_with_unnamed(0, areas) == {1: 2}
    assert labelling_of(DataConfig(), {}).slices_with_unnamed(0, areas) == {}


@pytest.mark.parametrize(
    "words", [("tumor", "2=edema"), ("2=",), ("x=edema",), ("0=air",), ("2=a", "2=b"), ("",)]
)
def test_a_label_that_means_nothing_is_refused(words):
    with pytest.raises(ConfigError, match="mask-label"):
        DataConfig(mask_label=words)


def test_the_order_of_the_words_is_the_priority():
    assert list(mask_names(("4=enhancing", "2=edema"))) == [4, 2]


def test_several_labels_reach_the_slices_and_strangers_are_said(nifti_folder, tmp_path, capsys):
    for path in nifti_folder.glob("*/*_Mask.nii.gz"):
        image = nibabel.load(path)
        values = image.get_fdata()
        values[5:10, 5:10, 3] *= 2  # slice 2 holds value 1, slice 3 value 2
        values[0, 0, 3] = 9 if values.any() else 0
        nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), image.affine), path)
    config = DataConfig(
        data=nifti_folder,
        mask="{patient}/{visit}_Mask.nii.gz",
        mask_label=("2=edema", "1=core"),
        cache=tmp_path / "cache",
    )
    prepared = prepare(config, (), size=32, seed=0, folder=tmp_path / "run")
    rows = prepared.cache.rows
    assert prepared.classes == (BACKGROUND, "core", "edema")
    ill = rows.groupby("scan").filter(lambda part: part["area"].any())
    assert ill.groupby("scan")["label"].apply(list).iloc[0] == [
        BACKGROUND, BACKGROUND, "core", "edema", BACKGROUND,
    ]  # fmt: skip
    assert ill["area_2"].max() == 100
    assert "value 9 in 12 slices" in capsys.readouterr().out


def test_labels_are_measured_in_the_planes_that_are_cut(mask_file):
    """However the grid is turned or made finer, each label keeps its volume."""
    axial = measure_mask(mask_file, SHAPE, AFFINE)
    steps = tuple(np.diag(AFFINE)[:3])
    volume = {value: area.sum() * steps[2] for value, area in axial.of_value.items()}
    for plane, across in (("coronal", 1), ("sagittal", 0)):
        turned = geometry_of(SHAPE, steps, plane, (0, 0, 0))
        areas = measure_mask(mask_file, SHAPE, AFFINE, turned)
        assert len(areas.total) == SHAPE[across]
        for value, area in areas.of_value.items():
            assert area.sum() * steps[across] == pytest.approx(volume[value])
    finer = geometry_of(SHAPE, steps, "axial", tuple(step / 2 for step in steps))
    areas = measure_mask(mask_file, SHAPE, AFFINE, finer)
    np.testing.assert_allclose(areas.total[::2], axial.total)

"""From figures of scans to figures of patients, and to a page."""

import json
import re

import numpy as np
import pytest
import torch
from scipy import ndimage

from medimg_gan.evaluation import translation
from medimg_gan.evaluation.translation_networks import cycle_error
from medimg_gan.evaluation.translation_page import Evaluation, in_words, write
from medimg_gan.evaluation.translation_pictures import Shown, as_pixels, draw
from medimg_gan.imaging import Volume
from medimg_gan.imaging.phantom import phantom_patient
from medimg_gan.metrics.lesions import invented, lesions_of
from medimg_gan.metrics.paired import tissues
from medimg_gan.metrics.statistics import mean_of_patients
from medimg_gan.modalities import Scale
from medimg_gan.recipes import Spec, TranslationRecipe
from medimg_gan.synthesis import Translator

HU = (-1024.0, 3000.0)


@pytest.fixture(scope="module")
def head():
    return phantom_patient(0, 2, (32, 40, 8), tumour=True)


def test_the_truth_itself_has_no_fault(head):
    truth = head.ct.array
    body = translation.body_of(head.ct, "ct")
    found = translation.against_truth(truth, truth, body, head.ct.spacing, "HU", HU)
    zero = ("mae", "me", "mae_bone", "bone_hd95", "slope_error", "slope_ratio")
    assert [found[name] for name in zero] == [0] * len(zero)
    one = ("ssim", "ms_ssim", "bone_dice", "edges")
    assert [found[name] for name in one] == pytest.approx([1] * len(one))
    assert found.keys() <= translation.MEASURES.keys()


def test_a_picture_has_no_tissue_and_no_neighbour():
    grey = np.random.default_rng(0).uniform(0, 255, (30, 30, 1))
    found = translation.against_truth(
        grey + 5, grey, np.ones(grey.shape, bool), (1, 1, 1), "display", (0, 255)
    )
    assert found["me"] == pytest.approx(5)
    assert found.keys() == {"mae", "me", "psnr", "ssim", "ms_ssim", "edges"}


def test_a_patient_counts_once_however_many_scans():
    rows = [("a", {"mae": 10.0}), ("a", {"mae": 20.0}), ("b", {"mae": 45.0, "bone_dice": np.nan})]
    patients = translation.by_patient(rows)
    (summary,) = translation.summaries(patients)  # a figure that nobody has is left out
    assert summary.interval.mean == pytest.approx(30)
    assert summary.spread == pytest.approx(np.std([15, 45], ddof=1))
    assert (summary.interval.low, summary.interval.high) == (15, 45)
    assert summary.patients == 2


def test_the_interval_of_a_mean_over_patients():
    values = np.random.default_rng(0).normal(50, 10, 40)
    found = mean_of_patients(values.tolist())
    error = values.std() / np.sqrt(40)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.15 * error)
    assert np.isnan(mean_of_patients([np.nan]).mean)


def test_lesions_of_twins_are_counted(head):
    """With and without a tumour the phantom is the same to the voxel."""
    size, spacing = (64, 80, 26), (3.0, 3.0, 5.0)
    ill, well = (phantom_patient(0, 2, size, tumour=tumour) for tumour in (True, False))
    body = translation.body_of(ill.ct, "ct")
    mask = ill.mask.array > 0.5
    empty = np.zeros_like(mask)
    true, faulty = translation.LesionCount(), translation.LesionCount()
    true.see(ill.ct.array, ill.ct.array, body, mask, spacing)
    true.see(well.ct.array, well.ct.array, body, empty, spacing)
    faulty.see(well.ct.array, ill.ct.array, body, mask, spacing)
    faulty.see(ill.ct.array, well.ct.array, body, empty, spacing)
    counts = [(found["kept_share"], found["invented_share"]) for found in
              (true.as_dict(), faulty.as_dict())]  # fmt: skip
    assert counts == [(1.0, 0.0), (0.0, 1.0)]
    assert true.as_dict()["median_contrast_ratio"] == pytest.approx(1)


def faults(truth, spacing, tissue):
    """What translations do to a truth without inventing anything."""
    middle = np.median(truth[tissue])
    louder, fainter = (middle + gain * (truth - middle) for gain in (1.4, 0.7))
    moved = [2 / spacing[0], -1.5 / spacing[1], 1.5 / spacing[2]]
    return {
        "moved": ndimage.shift(truth, moved, order=1, mode="nearest"),
        "louder": louder,
        "fainter": fainter,
        "blurred": ndimage.gaussian_filter(truth, (1, 1, 0)),
        "more blurred": ndimage.gaussian_filter(truth, (2, 2, 0)),
        "blurred, moved and louder": ndimage.shift(
            ndimage.gaussian_filter(louder, (1, 1, 0)), moved, order=1, mode="nearest"
        ),
    }


def test_blur_shift_and_contrast_invent_nothing_and_hide_no_tumour():
    """Heads of another seed than those by which the constants were set."""
    spacing = (3.0, 3.0, 5.0)
    ill, well = (phantom_patient(7, 3, (64, 80, 26), tumour=tumour) for tumour in (True, False))
    truth = well.ct.array.astype(np.float64)
    body, mask = translation.body_of(well.ct, "ct"), ill.mask.array > 0.5
    kinds = tissues(truth, body)
    tissue = kinds["soft"] | kinds["fat"]
    of_the_ill = tissues(ill.ct.array, translation.body_of(ill.ct, "ct"))
    where = of_the_ill["soft"] | of_the_ill["fat"]
    made = faults(truth, spacing, tissue)
    found = {name: invented(one, truth, tissue, spacing, 4.0) for name, one in made.items()}
    assert found == {name: [] for name in made}
    # The twin with a tumour shows one more thing, unless it pales below what can be seen.
    made = faults(ill.ct.array.astype(np.float64), spacing, where)
    for name in ("moved", "blurred", "louder"):
        (lesion,) = lesions_of(made[name], ill.ct.array, mask, where, spacing)
        assert lesion.kept, name
        assert invented(made[name], truth, tissue, spacing, 4.0), name


def test_the_page_stands_alone_and_the_figures_are_plain(head, tmp_path):
    made = head.ct.with_array(head.ct.array + 30, modality="ct", unit="HU")
    png = draw(Shown(head.mri, made, head.ct.array, *HU))
    assert as_pixels(png).shape[2] == 3
    assert len(draw(Shown(head.mri, made, None, *HU))) < len(png)
    found = Evaluation(
        run="runs/<x>",
        source="mri",
        target="ct",
        unit="HU",
        patients={"p-1": {"mae": 30.0, "psnr": np.inf}, "p-2": {"mae": 40.0, "psnr": 20.0}},
        lesions=None,
        notes=["a & b"],
        pictures={"p-1": png},
    )
    write(tmp_path, found)
    page = (tmp_path / "translation.html").read_text()
    assert "runs/&lt;x&gt;" in page
    assert "a &amp; b" in page
    assert "over the mask, in 2D" in page  # nobody has a z-gradient
    assert not re.search(r'(src|href)="(?!data:)', page)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert content["figures"]["mae"]["mean"] == 35
    assert content["figures"]["psnr"]["patients"] == 1
    assert content["patients"]["p-1"]["psnr"] is None
    assert (tmp_path / "figures.csv").read_text().splitlines()[2] == "p-2,40.0,20.0"
    assert "35.0 [30.0, 40.0]" in in_words(found)


def test_a_picture_of_one_slice_is_one_row():
    grey = np.random.default_rng(0).uniform(0, 255, (16, 16, 1))
    flat = Volume(grey, np.eye(4), "mri", "display")
    volume = Volume(np.repeat(grey, 8, axis=2), np.eye(4), "mri", "display")
    one, two = (as_pixels(draw(Shown(scan, scan, None, 0, 255))) for scan in (flat, volume))
    assert two.shape[0] > 1.3 * one.shape[0]


class Back(torch.nn.Module):
    """Makes two sequences of one, the first 0.2 too bright."""

    def forward(self, made):
        return torch.cat([made + 0.2, made], dim=1)


class ThereAndBack(TranslationRecipe):
    """Gives back the first of two sequences of three slices."""

    def __init__(self):
        super().__init__(None, Spec(3, 32, source_channels=6))
        self.weights = torch.nn.Linear(1, 1)  # holds the device
        self.to_source = Back()

    def translate(self, image):
        return image[:, :3]


def test_a_way_back_is_measured_on_all_that_the_network_sees(head):
    """Half of the channels are off by 0.2, a tenth of the range."""
    translator = Translator(
        ThereAndBack(), "mri", "ct", "HU", Scale(*HU), adjacent=3, sequences=("t1", "t2")
    )
    assert cycle_error(translator, [head.mri, head.mri])["cycle"] == pytest.approx(5, rel=1e-4)
    del translator.recipe.to_source
    assert cycle_error(translator, [head.mri, head.mri]) == {}

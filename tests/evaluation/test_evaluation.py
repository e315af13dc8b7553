"""Figures beside their floors, and a generator that copies."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from medimg_gan.evaluation import Material, RealSlices, draw_material, plots, results
from medimg_gan.evaluation.checks import class_consistency, copies, duplicates
from medimg_gan.evaluation.figures import ALL, all_rows, cautions, table
from medimg_gan.metrics.features import build_extractor
from medimg_gan.metrics.images import IMAGE_METRICS
from medimg_gan.metrics.measurements import make_instrument


def discs(labels: np.ndarray, seed: int) -> np.ndarray:
    """Dark (0) or bright (1) discs of random place and size, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32]
    images = np.full((len(labels), 1, 32, 32), -1.0, np.float32)
    for image, label in zip(images[:, 0], labels, strict=True):
        row, column, radius = rng.uniform([13, 13, 6], [19, 19, 11])
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        image[inside] = (-0.5, 0.4)[label] + rng.normal(0, 0.1, int(inside.sum()))
    return images


@pytest.fixture(scope="module")
def real() -> RealSlices:
    owner = np.repeat(np.arange(20), 8)
    labels = np.tile([0, 0, 0, 1], 40)
    part = np.array(["train"] * 10 + ["val"] * 4 + ["test"] * 6)
    return RealSlices(
        discs(labels, 0),
        labels,
        np.char.add("p", owner.astype(str)),
        part[owner],
        ("dark", "light"),
    )


@pytest.fixture(scope="module")
def material_of(real):
    extractors = {"random": build_extractor("random", real.images)}
    instrument = make_instrument(real.images, low=0.0, high=100.0, unit="signal", pixel_mm=1.0)

    def material(synthesise) -> Material:
        return draw_material(real, synthesise, extractors, instrument, most=60, seed=0)

    return material, instrument


@pytest.fixture(scope="module")
def good(material_of) -> Material:
    return material_of[0](lambda count, label, seed: discs(np.full(count, label), seed + 50))


@pytest.fixture(scope="module")
def copying(material_of, real) -> Material:
    def copy(count, label, seed):
        mine = real.images[real.trained & (real.labels == label)]
        noise = np.random.default_rng(seed).normal(0, 0.01, (count, 1, 32, 32))
        return mine[np.arange(count) % len(mine)] + noise.astype(np.float32)

    return material_of[0](copy)


def test_a_perfect_generator_is_about_as_good_as_the_training_slices(good):
    rows = {row.score.metric: row for row in all_rows(good) if row.group == ALL}
    assert set(rows) == set(IMAGE_METRICS)
    for name in ("frechet", "coverage", "similarity", "radiomics"):
        assert rows[name].ratio == pytest.approx(1, abs=0.5)
    assert abs(rows["kid"].score.value) < 4 * rows["kid"].score.standard_error


def test_each_group_has_every_figure_at_equal_counts(good):
    rows = all_rows(good)
    assert {row.group for row in rows} == {ALL, "dark", "light"}
    counts = dict(zip(good.classes, good.counts, strict=True))
    for group, count in {ALL: sum(good.counts), **counts}.items():
        some = [row for row in rows if row.group == group]
        assert len(some) == len(IMAGE_METRICS)
        assert {row.count for row in some} == {count}
        assert all(row.floor is not None and row.halves is not None for row in some)


def test_a_generator_of_one_image_is_told_by_recall_coverage_and_similarity(material_of):
    collapsed = material_of[0](
        lambda count, label, seed: np.repeat(discs(np.array([label]), 3), count, axis=0)
    )
    rows = {row.score.metric: row for row in all_rows(collapsed) if row.group == ALL}
    assert rows["recall"].ratio < 0.3
    assert rows["coverage"].ratio < 0.5
    assert rows["similarity"].score.value > rows["similarity"].base + 0.2


def test_a_mirrored_copy_is_a_copy_where_training_flips(material_of, real):
    own = real.images[real.trained][..., ::-1]

    def flip(count, label, seed):
        return own[real.labels[real.trained] == label][:count]

    flipping, may = material_of[0](flip), dataclasses.replace(real, mirror=True)
    assert copies(flipping, may)["pixels"]["too_close"] == 1
    assert copies(flipping, real)["pixels"]["too_close"] < 0.3
    assert copies(flipping, may)["pixels"]["training_slices"] == real.trained.sum()
    assert duplicates(own, may)["too_close_to_training"] == 1
    assert duplicates(own, real)["too_close_to_training"] < 0.3


def test_copies_are_flagged_and_a_good_generator_is_not(copying, good, real):
    for space in ("pixels", "random"):
        assert copies(copying, real)[space]["too_close"] > 0.9
        assert copies(good, real)[space]["too_close"] < 0.3
        assert copies(copying, real)[space]["training_slices"] == real.trained.sum()


def test_swapped_classes_are_found(material_of, real):
    swapped = material_of[0](lambda count, label, seed: discs(np.full(count, 1 - label), seed))
    found = class_consistency(swapped, real, steps=60, seed=0, device="cpu")
    assert found["real"] > 0.8
    assert found["synthetic"] < 0.2
    assert found["by_class"]["dark"] < 0.3


def test_the_table_names_features_counts_and_floors(good):
    text = table(all_rows(good))
    total = sum(good.counts)
    assert f"all: {total} synthetic against {total} held-out real slices" in text
    assert "Fréchet distance (random)" in text
    assert "FID" not in text
    assert any("biased upwards" in note for note in cautions(good, patients_known=True))
    assert any("names the patients" in note for note in cautions(good, patients_known=False))


def test_results_are_plain_json_and_pictures_show_different_slices(
    copying, material_of, real, tmp_path
):
    rows = all_rows(copying)
    results.write_results(tmp_path, rows, copying, material_of[1], copies=copies(copying, real))
    content = json.loads((tmp_path / "evaluation.json").read_text())
    assert len(content["figures"]) == len(rows)
    assert {figure["features"] for figure in content["figures"]} >= {"pixels", "random"}
    assert len((tmp_path / "figures.csv").read_text().splitlines()) == len(rows) + 1
    plots.plot_measurements(copying, material_of[1], tmp_path / "measurements.png")
    plots.plot_spectra(copying, tmp_path / "spectra.png")
    plots.draw_neighbours(copying, real, tmp_path / "neighbours.png")
    strip = np.asarray(Image.open(tmp_path / "neighbours.png")).astype(float)
    side = strip.shape[0] // 4
    sample, match = strip[: side - 8, : side - 8], strip[side : 2 * side - 8, : side - 8]
    other = strip[: side - 8, 3 * side : 4 * side - 8]
    assert np.abs(sample - match).mean() < 0.2 * np.abs(sample - other).mean()

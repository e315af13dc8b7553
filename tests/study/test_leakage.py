"""What is caught between splits, what is not, and how often new patients raise an alarm."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from small_study import TINY

from medimg_gan.errors import SplitError
from medimg_gan.metrics.likeness import (
    content_hashes,
    limit_of_copies,
    mirrored,
    nearest_apart,
    outlines,
    perceptual_hashes,
)
from medimg_gan.study import Split, StudyData, features
from medimg_gan.study.leakage import check_leakage, check_real, pooled

SIDE = 48


class Spectrum:
    """Features without a network: amplitudes of waves, which no shift changes."""

    name = "spectrum"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.abs(np.fft.rfft2(images[:, 0])).reshape(len(images), -1)


@pytest.fixture(autouse=True)
def quick_features(monkeypatch):
    monkeypatch.setattr(features, "build_extractor", lambda *_: Spectrum())


def anatomy(patients: int, slices: int, seed: int) -> Split:
    """Smooth pictures; slices of a patient are alike, patients share a common form."""
    generator = np.random.default_rng(seed)
    common = gaussian_filter(np.random.default_rng(99).normal(size=(SIDE, SIDE)), 6)
    images = []
    for _ in range(patients):
        own = common + gaussian_filter(generator.normal(size=(SIDE, SIDE)), 3)
        for _ in range(slices):
            one = own + 0.4 * gaussian_filter(generator.normal(size=(SIDE, SIDE)), 2)
            images.append(np.clip(one / (3 * one.std()), -0.9, 0.9))
    labels = np.arange(patients * slices) // slices % 2
    names = np.repeat([f"{seed}-{number}" for number in range(patients)], slices)
    return Split(np.stack(images)[:, None].astype(np.float32), labels, names)


def study(seed: int) -> StudyData:
    parts = [anatomy(count, 3, 3 * seed + place) for place, count in enumerate((20, 8, 8))]
    made = lambda count, label, seed: np.full((count, 1, SIDE, SIDE), 0.5, np.float32)  # noqa: E731
    return StudyData(*parts, classes=("common", "rare"), minority=1, synthesise=made)


@pytest.fixture(scope="module")
def clean() -> StudyData:
    return study(0)


def found(data: StudyData) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in check_leakage(data, TINY).table:
        counts[entry["check"]] = counts.get(entry["check"], 0) + entry["found"]
    return counts


def with_test_image(data: StudyData, image: np.ndarray) -> StudyData:
    images = data.test.images.copy()
    images[5] = image
    return replace(data, test=replace(data.test, images=images))


def recompressed(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(np.uint8((image[0] + 1) * 127.5)).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file), np.float32)[None] / 127.5 - 1


ALTERED = {
    "recompressed": recompressed,
    "darker": lambda image: 0.8 * (image + 1) - 1,
    "flipped": lambda image: image[..., ::-1],
    "noisy": lambda image: image + np.random.default_rng(0).normal(0, 0.02, image.shape),
}


def test_different_patients_are_clean(clean):
    leakage = check_leakage(clean, TINY)
    assert {entry["outcome"] for entry in leakage.table} == {"clean"}
    assert not leakage.warnings
    assert not leakage.pictures


def test_new_patients_rarely_raise_an_alarm():
    alarms = sum(any(found(study(seed)).values()) for seed in range(1, 11))
    assert alarms <= 2


def test_an_exact_copy_is_refused_with_its_number(clean):
    leaking = with_test_image(clean, clean.train.images[7])
    with pytest.raises(SplitError, match="1 of 24 test slices in train"):
        check_leakage(leaking, TINY)


def test_what_real_slices_tell_is_found_before_there_is_a_generator(clean):
    """And asked no second time: the table is the same, whoever looked, and when."""

    def nothing(*_):
        raise AssertionError("there is no generator yet")

    early = replace(clean, synthesise=nothing)
    with pytest.raises(SplitError, match="1 of 24 test slices in train"):
        check_real(with_test_image(early, clean.train.images[7]), TINY)
    leaking = with_test_image(early, ALTERED["noisy"](clean.train.images[7]))
    real = check_real(leaking, TINY)
    late = leaking.with_generator(clean.synthesise, source="a GAN")
    again = check_leakage(late, TINY)
    late.extractors.clear()
    found = check_leakage(late, TINY, real)
    assert not late.extractors  # no features were taken
    assert found.table == again.table
    assert found.warnings == again.warnings
    assert found.warnings
    assert list(found.pictures) == list(again.pictures)


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_copy_is_found_by_its_hash_and_shown(clean, how):
    leaking = with_test_image(clean, ALTERED[how](clean.train.images[7]))
    leakage = check_leakage(leaking, TINY)
    warned = [entry for entry in leakage.table if entry["check"] == "near copies by hash"]
    assert [entry["found"] for entry in warned] == [0, 1, 0]
    assert "1 of 24 test slices in train" in leakage.warnings[0]
    held, source = leakage.pictures.values()
    np.testing.assert_array_equal(held[0], leaking.test.images[5])
    np.testing.assert_array_equal(source[0], clean.train.images[7])


def test_a_shifted_copy_is_found_by_features(clean):
    shifted = np.roll(clean.train.images[7], 1, axis=-1)
    assert found(with_test_image(clean, shifted))["near copies by features"] == 1


def test_two_labels_of_one_slice_are_told(clean):
    images = clean.train.images.copy()
    images[0] = images[3]  # of the next patient, who has the other label
    told = found(replace(clean, train=replace(clean.train, images=images)))
    assert told["labels of copies"] == 2


def test_blank_slices_are_no_copies(clean):
    empty = np.full((1, SIDE, SIDE), -1, np.float32)
    images = clean.train.images.copy()
    images[0] = empty
    both = with_test_image(replace(clean, train=replace(clean.train, images=images)), empty)
    assert not any(found(both).values())


def test_synthetic_slices_that_show_test_slices_are_told(clean):
    def copier(count: int, label: int, seed: int) -> np.ndarray:
        return np.resize(clean.test.images, (count, 1, SIDE, SIDE))

    assert found(replace(clean, synthesise=copier))["synthetic copies"] == 256


def test_a_generator_that_knows_test_patients_is_refused(clean):
    knows = dict.fromkeys([*clean.train.patients, clean.test.patients[0]], "train")
    with pytest.raises(SplitError, match="knows patients") as refused:
        check_leakage(replace(clean, generator_split=knows), TINY)
    assert "1 of its 21 training patients" in refused.value.observed
    fair = dict.fromkeys(clean.train.patients, "train")
    check_leakage(replace(clean, generator_split=fair), TINY)


def test_no_name_is_in_the_table(clean):
    text = str(check_leakage(clean, TINY).table)
    names = {*clean.train.patients, *clean.test.patients}
    assert not any(name in text for name in names)


def test_folds_add_up(clean):
    one = check_leakage(clean, TINY).table
    other = [{**entry, "found": 1, "outcome": "warning"} for entry in one]
    both = pooled([one, other])
    assert len(both) == len(one)
    assert {entry["outcome"] for entry in both} == {"warning"}
    assert [entry["found"] for entry in both] == [entry["found"] + 1 for entry in one]
    assert both[0]["looked_at"] == 2 * one[0]["looked_at"]


# --- the mathematics ---


def test_mirrored_outlines_are_those_of_the_mirrored_image(clean):
    images = clean.train.images[:5]
    np.testing.assert_allclose(
        mirrored(outlines(images), SIDE), outlines(images[..., ::-1]), atol=1e-6
    )


def test_half_the_squared_distance_of_hashes_counts_bits(clean):
    bits = perceptual_hashes(outlines(clean.train.images))
    distances, closest = nearest_apart(bits[:4], bits[4:])
    assert distances**2 / 4 == pytest.approx(
        [(bits[row] != bits[4 + place]).sum() for row, place in enumerate(closest)]
    )


def test_the_limit_is_half_of_the_tenth_percentile_and_survives_copies():
    control = np.linspace(10, 20, 101)
    assert limit_of_copies(control) == pytest.approx(5.5)
    with_copies = np.r_[np.zeros(5), control, np.inf]
    assert 5 < limit_of_copies(with_copies) < 5.5
    assert limit_of_copies(np.array([np.inf])) == 0


def test_equal_pictures_have_equal_hashes_of_any_type():
    pictures = np.random.default_rng(0).integers(0, 9, (3, 4, 4)).astype(np.int16)
    pictures[2] = pictures[0]
    first, second, third = content_hashes(pictures)
    assert first == third != second

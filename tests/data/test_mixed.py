"""Real and synthetic slices in one dataset."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from monai.data.dataset import Dataset as MonaiDataset
from torch.utils.data import DataLoader

from medimg_gan.data import MixedDataset, SyntheticSet, mixed_loader
from medimg_gan.data.cache import SliceCache
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.errors import ConfigError, DataError, LabelError, SplitError

SPLITS = np.repeat(["train", "val", "test"], [12, 3, 3])
CLASSES = ("common", "rare")


@pytest.fixture
def cache() -> SliceCache:
    """Pictures of one grey level each, its own row number; patient p-0 has rows 0 to 2, ..."""
    count = len(SPLITS)
    pictures = np.arange(count, dtype=np.int16)[:, None, None] * np.ones((1, 4, 4), np.int16)
    rows = pd.DataFrame(
        {
            "picture": np.arange(count),
            "scan": np.arange(count) // 3,
            "patient": [f"p-{row // 3}" for row in range(count)],
            "label": np.where(np.arange(count) % 4 == 0, "rare", "common"),
            "position": np.linspace(0, 1, count),
            "split": SPLITS,
            "modality": "mri",
        }
    )
    return SliceCache(pictures, rows)


def part(cache: SliceCache, *splits: str) -> SliceDataset:
    return SliceDataset(cache, np.flatnonzero(np.isin(SPLITS, splits)), CLASSES)


@pytest.fixture
def real(cache) -> SliceDataset:
    return part(cache, "train")  # 9 common, 3 rare


@pytest.fixture
def synthetic() -> SyntheticSet:
    """20 rare and 5 common slices; each is -1 times a hundredth of its number."""
    images = -np.arange(25, dtype=np.float32)[:, None, None, None] / 100 * np.ones((1, 1, 4, 4))
    return SyntheticSet.of_array(images, ["rare"] * 20 + ["common"] * 5, "gan seed 0")


def made(mixed: MixedDataset) -> list[str]:
    return [sample["source"] for sample in mixed if sample["synthetic"]]


@pytest.mark.parametrize(("ratio", "added"), [(1.0, 6), (2.0, 15), (0.5, 1)])
def test_a_ratio_is_that_of_the_study(real, synthetic, ratio, added):
    mixed = MixedDataset(real, synthetic, minority="rare", ratio=ratio)
    assert mixed.counts() == {
        "real": {"common": 9, "rare": 3},
        "synthetic": {"common": 0, "rare": added},
    }


def test_counts_are_taken_as_they_are(real, synthetic):
    mixed = MixedDataset(real, synthetic, counts={"rare": 4, "common": 5})
    assert mixed.counts()["synthetic"] == {"common": 5, "rare": 4}


def test_every_sample_says_where_it_comes_from_and_names_nobody(real, synthetic):
    mixed = MixedDataset(real, synthetic, counts={"rare": 3})
    assert len(mixed) == 15
    assert [sample["source"] for sample in mixed][:12] == [f"real {n}" for n in range(12)]
    for place, sample in enumerate(mixed):
        assert sample.keys() == {"image", "label", "synthetic", "source"}
        assert sample["synthetic"] == (place >= 12)
        number = int(sample["source"].split()[-1])
        grey = -number / 100 if sample["synthetic"] else number / 32767
        assert sample["image"].flatten().tolist() == pytest.approx([grey] * 16)
        assert sample["label"] == (1 if sample["synthetic"] else int(number % 4 == 0))
        assert "p-" not in str(sample)
    assert mixed[-1]["source"] == mixed[14]["source"]


def test_the_choice_is_a_function_of_the_seed_and_a_larger_one_keeps_the_smaller(real, synthetic):
    few, same, other = (
        made(MixedDataset(real, synthetic, counts={"rare": 6}, seed=seed)) for seed in (3, 3, 4)
    )
    many = made(MixedDataset(real, synthetic, counts={"rare": 19}, seed=3))
    assert few == same == many[:6]
    assert few != other
    assert len(set(many)) == 19


def test_loaders_see_every_slice_once_an_epoch_in_a_seeded_order(real, synthetic):
    mixed = MixedDataset(real, synthetic, minority="rare", ratio=1.0)

    def epochs() -> list[list[str]]:
        loader = mixed_loader(mixed, batch_size=5, seed=7)
        return [[name for batch in loader for name in batch["source"]] for _ in range(2)]

    first, second = epochs()
    assert sorted(first) == sorted(second) == sorted(sample["source"] for sample in mixed)
    assert first != second
    assert epochs() == [first, second]


def test_it_goes_to_worker_processes_and_into_torch_and_monai(real, synthetic):
    mixed = pickle.loads(pickle.dumps(MixedDataset(real, synthetic, counts={"rare": 4})))
    (batch,) = mixed_loader(mixed, batch_size=16, workers=1)
    assert batch["image"].shape == (16, 1, 4, 4)
    assert batch["synthetic"].sum() == 4
    (plain,) = DataLoader(mixed, batch_size=16)
    assert torch.equal(plain["label"], torch.from_numpy(mixed.labels))
    darker = MonaiDataset(mixed, lambda sample: {**sample, "image": sample["image"] - 1})
    assert torch.equal(darker[15]["image"], mixed[15]["image"] - 1)


def test_a_dataset_of_ones_own_is_mixed_by_the_labels_of_its_items(synthetic):
    own = MonaiDataset([{"image": torch.zeros(1, 4, 4), "label": int(n > 6)} for n in range(8)])
    mixed = MixedDataset(own, synthetic, minority="rare", ratio=1.0, classes=CLASSES)
    assert mixed.counts() == {
        "real": {"common": 7, "rare": 1},
        "synthetic": {"common": 0, "rare": 6},
    }


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_slices_of_held_out_patients_are_refused(cache, synthetic, held_out):
    with pytest.raises(SplitError, match=f"3 {held_out} among 15"):
        MixedDataset(part(cache, "train", held_out), synthetic, counts={"rare": 1})


@pytest.mark.parametrize(("patient", "role"), [("p-4", "train"), ("p-5", "train"), ("p-5", "val")])
def test_a_gan_that_knows_a_held_out_patient_is_refused(real, synthetic, patient, role):
    knowing = replace(synthetic, gan_split={"p-0": "train", patient: role})
    with pytest.raises(SplitError, match="knows patients"):
        MixedDataset(real, knowing, counts={"rare": 1})
    honest = replace(synthetic, gan_split={"p-0": "train", "p-4": "val", "p-5": "test"})
    assert len(MixedDataset(real, honest, counts={"rare": 1})) == 13


@pytest.mark.parametrize(
    ("mix", "error", "said"),
    [
        ({"counts": {"rare": 21}}, DataError, "21 synthetic slices of 'rare' wanted, 20 are"),
        ({"counts": {"rear": 1}}, LabelError, "'rear'"),
        ({"minority": "rare"}, ConfigError, "or counts"),
        ({"ratio": 1.0}, ConfigError, "or counts"),
        ({"minority": "rare", "ratio": 1.0, "counts": {}}, ConfigError, "or counts"),
        ({"minority": "rare", "ratio": float("nan")}, ConfigError, "positive"),
        ({"counts": {"rare": -1}}, ConfigError, "negative"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(real, synthetic, mix, error, said):
    with pytest.raises(error, match=said):
        MixedDataset(real, synthetic, **mix)


def test_slices_that_do_not_fit_are_refused(real, synthetic):
    large = SyntheticSet.of_array(np.zeros((2, 1, 8, 8)), ["rare", "rare"], "gan")
    with pytest.raises(DataError, match=r"\(1, 8, 8\), real ones \(1, 4, 4\)"):
        MixedDataset(real, large, counts={"rare": 1})
    with pytest.raises(DataError, match="slices are ct"):
        MixedDataset(real, replace(synthetic, modality="ct"), counts={"rare": 1})
    with pytest.raises(DataError, match=r"not in \[-1, 1\]"):
        SyntheticSet.of_array(np.full((1, 1, 4, 4), np.nan), ["rare"], "gan")

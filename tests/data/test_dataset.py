import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import DataLoader

from medimg_gan.data.cache import SliceCache
from medimg_gan.data.dataset import SliceDataset, Stream, UnpairedStream
from medimg_gan.data.slice_file import mapped
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.errors import LabelError
from medimg_gan.modalities.nyul import COLUMNS, StandardScale

SCANS = np.repeat([0, 1, 2], [4, 3, 5])


@pytest.fixture
def cache() -> SliceCache:
    count = len(SCANS)
    pictures = np.arange(count, dtype=np.int16)[:, None, None] * np.ones((1, 4, 4), np.int16)
    rows = pd.DataFrame(
        {
            "picture": np.arange(count),
            "scan": SCANS,
            "patient": [f"p-{scan}" for scan in SCANS],
            "label": np.where(np.arange(count) % 4 == 0, "rare", "common"),
            "position": np.linspace(0, 1, count),
        }
    )
    return SliceCache(pictures, rows)


def numbers(batch) -> list[int]:
    """Which slices a batch holds: each picture's value is its own row number."""
    return (batch["image"][:, 0, 0, 0] * 32767).round().int().tolist()


@pytest.fixture
def dataset(cache) -> SliceDataset:
    return SliceDataset(cache, np.arange(len(SCANS)), ("common", "rare"))


def test_gather_gives_images_labels_and_positions(dataset):
    batch = dataset.gather(np.array([8, 1]))
    assert batch["image"].shape == (2, 1, 4, 4)
    assert numbers(batch) == [8, 1]
    assert batch["label"].tolist() == [1, 0]


def test_adjacent_slices_stay_within_their_scan(cache):
    dataset = SliceDataset(cache, np.array([3, 4, 5]), (), adjacent=3)
    stacks = (dataset.gather(np.arange(3))["image"][:, :, 0, 0] * 32767).round().int()
    assert stacks.tolist() == [[2, 3, 3], [4, 4, 5], [4, 5, 6]]


def test_a_monai_loader_gives_the_same_as_gather(dataset):
    loader = DataLoader(dataset, batch_size=5, collate_fn=SliceDataset.collate)
    assert [n for batch in loader for n in numbers(batch)] == list(range(12))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_fetches_each_batch_by_one_gather(dataset, workers, monkeypatch):
    sizes = []
    gather = SliceDataset.gather
    monkeypatch.setattr(
        SliceDataset, "gather", lambda self, which: sizes.append(len(which)) or gather(self, which)
    )
    monkeypatch.setattr(SliceDataset, "__getitem__", lambda *_: pytest.fail("one by one"))
    loader = DataLoader(dataset, batch_size=4, collate_fn=SliceDataset.collate, num_workers=workers)
    assert [len(batch["image"]) for batch in loader] == [4, 4, 4]
    assert workers or sizes == [4, 4, 4]


def test_stored_values_become_the_network_range_exactly(cache):
    values = np.array([-STORED_MAX, -1, 0, 1, 12345, STORED_MAX], np.int16)
    pictures = values[:, None, None] * np.ones((1, 4, 4), np.int16)
    dataset = SliceDataset(SliceCache(pictures, cache.rows[:6]), np.arange(6))
    image = dataset.gather(np.arange(6))["image"]
    assert image.dtype == torch.float32
    assert image[[0, 2, 5], 0, 0, 0].tolist() == [-1.0, 0.0, 1.0]
    expected = torch.from_numpy(values / np.float64(STORED_MAX))
    torch.testing.assert_close(image[:, 0, 0, 0].double(), expected, rtol=1e-6, atol=0)


def test_a_cache_sent_to_another_process_is_mapped_not_copied(cache, tmp_path):
    path = tmp_path / "slices.int16"
    pictures = np.zeros((12, 64, 64), np.int16)
    pictures.tofile(path)
    sent = pickle.dumps(replace(cache, pictures=mapped(path, pictures.shape)))
    assert len(sent) < pictures.nbytes / 4
    pictures[3] = 7
    path.write_bytes(pictures.tobytes())
    assert (pickle.loads(sent).pictures[3] == 7).all()


def test_an_epoch_of_the_stream_is_a_permutation(dataset):
    stream = Stream(dataset, batch_size=3, seed=0)
    epoch = [n for position in range(4) for n in numbers(stream(position))]
    following = [n for position in range(4, 8) for n in numbers(stream(position))]
    assert sorted(epoch) == sorted(following) == list(range(12))
    assert epoch != following


def test_a_position_is_enough_to_go_on(dataset):
    stream = Stream(dataset, 5, seed=1)
    for position in (17, 2, 17):  # in any order, also across an epoch's end
        assert numbers(stream(position)) == numbers(Stream(dataset, 5, seed=1)(position))


def test_two_processes_that_take_turns_see_what_one_would_with_twice_the_batch(dataset):
    one, half = Stream(dataset, 6, seed=2), Stream(dataset, 3, seed=2)
    for position in range(5):
        together = numbers(half(2 * position)) + numbers(half(2 * position + 1))
        assert together == numbers(one(position))


def test_balanced_draws_classes_equally(dataset):
    stream = Stream(dataset, 100, seed=0, balanced=True)
    labels = torch.cat([stream(position)["label"] for position in range(20)])
    assert labels.float().mean().item() == pytest.approx(0.5, abs=0.05)  # rare: 3 of 12


def test_unpaired_streams_are_not_locked_to_each_other(dataset):
    stream = UnpairedStream(Stream(dataset, 12, seed=0), Stream(dataset, 12, seed=1))
    batch = stream(0)
    assert not torch.equal(batch["source"], batch["target"])


def test_a_label_without_a_class_is_named(cache):
    with pytest.raises(LabelError, match="'rare'"):
        SliceDataset(cache, np.arange(12), ("common",))


def test_slices_are_mapped_to_the_standard_scale_by_their_own_volumes_landmarks(cache):
    shifts = np.array([0.0, -0.04, 0.06], np.float32)[SCANS]
    knots = np.linspace(-0.9, 0.9, 11, dtype=np.float32) + shifts[:, None]
    rows = cache.rows.assign(**dict(zip(COLUMNS, knots.T, strict=True)))
    value = np.round((0.18 + shifts) * 32767).astype(np.int16)  # the 7th landmark of each scan
    pictures = value[:, None, None] * np.ones((1, 4, 4), np.int16)
    standard = StandardScale.fit(knots[[0]])
    dataset = SliceDataset(SliceCache(pictures, rows), np.arange(12), standard=standard)
    loader = DataLoader(dataset, batch_size=12, collate_fn=SliceDataset.collate)
    for image in (dataset.gather(np.arange(12))["image"], next(iter(loader))["image"]):
        np.testing.assert_allclose(image, 0.18, atol=1e-4)
    plain = SliceDataset(SliceCache(pictures, rows), np.arange(12)).images()
    assert np.ptp(plain) > 0.09


def test_a_part_without_slices_is_a_dataset_of_none(cache):
    dataset = SliceDataset(cache, np.array([], int), adjacent=3)
    assert len(dataset) == 0
    assert dataset.gather(np.array([], int))["image"].shape == (0, 3, 4, 4)

import numpy as np
import pandas as pd
import pytest
import torch

from medimg_gan.data.cache import SliceCache
from medimg_gan.data.dataset import SliceDataset, Stream
from medimg_gan.data.matched_streams import (
    JITTER,
    LabelMatchedStream,
    PairedStream,
    PositionMatchedStream,
)
from medimg_gan.errors import LabelError

CLASSES = ("no-tumor", "tumor")


def volumes(counts, patients, ill=0.0) -> SliceDataset:
    """A dataset whose pictures are their own row numbers; the first slices of a scan are ill."""
    scan = np.repeat(np.arange(len(counts)), counts)
    index = np.concatenate([np.arange(count) for count in counts])
    share = np.concatenate([np.linspace(0, 1, count) for count in counts])
    rows = pd.DataFrame(
        {
            "picture": np.arange(len(scan)),
            "scan": scan,
            "stack": scan,
            "index": index,
            "patient": np.array(patients, object)[scan],
            "label": np.where(share < ill, "tumor", "no-tumor"),
            "position": share,
        }
    )
    pictures = np.arange(len(scan), dtype=np.int16)[:, None, None] * np.ones((1, 2, 2), np.int16)
    return SliceDataset(SliceCache(pictures, rows), np.arange(len(scan)), CLASSES)


def items(batch, side) -> np.ndarray:
    return (batch[side][:, 0, 0, 0] * 32767).round().int().numpy()


def matched(batch_size=6, seed=3):
    source = volumes([9, 5], ["a", "b"], ill=0.5)
    target = volumes([21, 7, 11], ["a", "c", "d"], ill=0.2)
    return source, target, PositionMatchedStream(Stream(source, batch_size, seed), target)


STREAMS = {
    "position": lambda n: matched(n)[2],
    "label": lambda n: LabelMatchedStream(*matched()[:2], n, 3),
    "pairs": lambda n: PairedStream(Stream(matched()[0], n, 3), matched()[0]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_processes_that_take_turns_see_what_one_would_and_any_position_can_be_first(name):
    half, one = STREAMS[name](3), STREAMS[name](6)
    for position in (5, 0, 2):
        for side in ("source", "target"):
            turns = [half(2 * position + turn)[side] for turn in (0, 1)]
            assert torch.equal(torch.cat(turns), one(position)[side])
    assert not torch.equal(one(0)["target"], one(1)["target"])


def test_a_matched_target_is_at_about_the_sources_height_and_of_another_patient():
    source, target, stream = matched(batch_size=14)
    gaps, patients = [], set()
    for position in range(30):
        batch = stream(position)
        given, wanted = items(batch, "source"), items(batch, "target")
        assert (source.patients[given] != target.patients[wanted]).all()
        assert sorted(given) == list(range(14))  # every epoch has every source slice once
        gaps.append(source.position[given] - target.position[wanted])
        patients |= set(target.patients[wanted])
    # Half a slice of the thickest stack is how far the nearest slice can be.
    assert np.abs(gaps).max() <= JITTER + 0.5 / 6 + 1e-6
    assert np.std(gaps) > 0.01
    assert patients == {"a", "c", "d"}


def test_the_only_patient_may_be_its_own_counterpart():
    alone = volumes([4], ["a"])
    stream = PositionMatchedStream(Stream(alone, 4, 0), alone)
    assert stream(0)["target"].shape == (4, 1, 2, 2)


def test_labels_come_in_one_mix_on_both_sides():
    source, target, _ = matched()
    stream = LabelMatchedStream(source, target, 200, 0)
    own = [(side.labels == 1).mean() for side in (source, target)]
    assert own[0] > own[1] + 0.2
    batches = [stream(position) for position in range(10)]
    for name, side in (("source", source), ("target", target)):
        drawn = np.concatenate([side.labels[items(batch, name)] for batch in batches])
        assert drawn.mean() == pytest.approx(np.mean(own), abs=0.03)


def test_a_class_of_one_domain_only_is_not_drawn():
    source, target = volumes([9], ["a"], ill=0.5), volumes([9], ["b"])
    batch = LabelMatchedStream(source, target, 100, 0)(0)
    assert source.labels[items(batch, "source")].max() == 0


def test_labels_that_are_not_there_or_not_in_common_are_refused():
    plain = SliceDataset(volumes([4], ["a"]).cache, np.arange(4))
    with pytest.raises(LabelError, match="no labels"):
        LabelMatchedStream(plain, plain, 2, 0)
    with pytest.raises(LabelError, match="no class is in both"):
        LabelMatchedStream(volumes([4], ["a"], ill=2.0), volumes([4], ["b"]), 2, 0)

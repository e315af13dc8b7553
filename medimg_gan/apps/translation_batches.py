"""Which slices a translator in training is given beside which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from medimg_gan.data.dataset import SliceDataset, Stream, UnpairedStream
from medimg_gan.data.matched_streams import (
    LabelMatchedStream,
    PairedStream,
    PositionMatchedStream,
    from_volumes,
    has_heights,
)
from medimg_gan.data.translation import PreparedTranslation
from medimg_gan.errors import ConfigError, DataError
from medimg_gan.slices import spread_over

if TYPE_CHECKING:
    from medimg_gan.types import Batch
    from medimg_gan.types import Stream as StreamFunction

Balance = Literal["auto", "none", "position", "label"]
Sides = tuple[SliceDataset, SliceDataset]


def only_volumes(prepared: PreparedTranslation) -> bool:
    """Whether slices have neighbours, on both sides, in training and held out."""
    return all(
        from_volumes(side)
        for split in ("train", "val")
        for side in both_sides(prepared, split, adjacent=1)
    )


def both_sides(prepared: PreparedTranslation, split: str, adjacent: int) -> Sides:
    """The source and target images of one part of the patients.

    Raises:
        DataError: If one has none, or single pictures should have neighbours.
    """
    source, target = prepared.domains
    sides = tuple(prepared.domain(split, domain, adjacent) for domain in (source, target))
    for domain, side in zip((source, target), sides, strict=True):
        if not len(side):
            raise DataError(f"no {domain.name} slices in the {split} part", fix="add patients")
        if adjacent > 1 and not from_volumes(side):
            raise DataError(
                f"--adjacent {adjacent}: {domain.name} scans of the {split} part are single slices",
                cause="pictures, which have no neighbours",
                fix="--adjacent 1, or volumes",
            )
    return sides[0], sides[1]


def translation_stream(
    sides: Sides, batch_size: int, seed: int, paired: bool, balance: Balance
) -> tuple[StreamFunction, str]:
    """The batches of a training, and by what their two sides are balanced ("none" for pairs).

    Unpaired slices are drawn independently of each other, so that a patient's own slice comes
    beside it by chance alone, and with matched positions not at all.

    Args:
        sides: Source and target; item by item the same slices where ``paired``.
        batch_size: Images in a batch.
        seed: Of every draw.
        paired: Whether the recipe needs pairs.
        balance: As asked for; auto is position where both sides are of volumes, else none, as
            nobody said that the order of pictures' names is their order in the patient.

    Raises:
        ConfigError: If positions are asked for where slices have none.
        LabelError: If labels are asked for where there are none, or none in common.
    """
    source, target = sides
    drawn = Stream(source, batch_size, seed)
    if paired:
        return PairedStream(drawn, target), "none"
    if balance == "auto":
        balance = "position" if from_volumes(source) and from_volumes(target) else "none"
    if balance == "label":
        return LabelMatchedStream(source, target, batch_size, seed), balance
    if balance == "none":
        # Another seed: the two orders must not be locked to each other.
        return UnpairedStream(drawn, Stream(target, batch_size, seed + 1)), balance
    if not (has_heights(source) and has_heights(target)):
        raise ConfigError(
            "--balance-prior position: every patient has a single picture, which has no position",
            fix="--balance-prior none, or label",
        )
    return PositionMatchedStream(drawn, target), balance


def held_out_batch(source: SliceDataset, target: SliceDataset, count: int) -> Batch:
    """Up to ``count`` images of either side, evenly spread; pairs where items are pairs."""
    count = min(count, len(source), len(target))
    return {
        "source": source.gather(spread_over(len(source), count))["image"],
        "target": target.gather(spread_over(len(target), count))["image"],
    }

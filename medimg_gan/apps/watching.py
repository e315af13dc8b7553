"""What a training of a noise recipe is watched by: held-out slices, training slices, extractors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning_fabric import Fabric

from medimg_gan.apps.common import Budget, TrainingConfig
from medimg_gan.apps.processes import told_by_first
from medimg_gan.console import say
from medimg_gan.data.dataset import SliceDataset
from medimg_gan.engine.look import Reference, shrunk
from medimg_gan.engine.watch import FIRST_LOOK_SECONDS, SHARE, Watch
from medimg_gan.errors import ConfigError
from medimg_gan.metrics.features import Extractor, build_extractor
from medimg_gan.slices import middle_slice, spread_over

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

COMPARED = 128
"""Most slices on each side of a look: three seconds of one core in EfficientNet-Lite0."""
FEWEST_HELD_OUT = 24
"""Validation slices below which training slices stand in for them."""
MOST_SEARCHED = 4096
"""Training slices among which neighbours are sought, spread evenly: 64 MB."""
LEARNED_FROM = 512
"""Training slices that a self-supervised extractor is given."""
DEFAULT_FEATURES = "efficientnet-lite0"


def watch_for(
    fabric: Fabric,
    config: TrainingConfig,
    train: SliceDataset,
    val: SliceDataset,
    budget: Budget,
    patience: int,
) -> Watch | None:
    """The watch over a training, or None where it is turned off or the training is too short.

    Args:
        fabric: Launched.
        config: Flags of the verb.
        train: Slices of the training patients.
        val: Slices of held-out patients.
        budget: Of the training.
        patience: Looks without improvement after which it stops; 0 for never.

    Raises:
        ConfigError: If patience is asked of a training that is not watched, or an extractor is
            unknown or its weights are absent.
    """
    every = config.engine.watch_every
    if budget.minutes is None:
        long_enough = 0 < every <= (budget.steps or 0)
    else:
        long_enough = every > 0 and 60 * budget.minutes * SHARE >= FIRST_LOOK_SECONDS
    if not long_enough:
        if patience:
            raise ConfigError(
                f"--patience {patience}: this training is never looked at",
                observed=f"engine.watch-every {every}, {budget}",
                fix="a lower --engine.watch-every than --steps, or --minutes 4 and more",
            )
        return None
    made: list[Reference] = []
    told_by_first(fabric, lambda: made.append(_reference(config, train, val, str(fabric.device))))
    reference, by_clock = (made[0] if made else None), budget.minutes is not None
    return Watch(reference, every, patience=patience, by_clock=by_clock)


def _reference(
    config: TrainingConfig, train: SliceDataset, val: SliceDataset, device: str
) -> Reference:
    unseen = len(val) >= FEWEST_HELD_OUT
    if not unseen:
        say(
            f"  note: only {len(val)} validation slices: samples are compared with training "
            "slices while training, and neither overfitting nor copies can be noticed"
        )
    held_out = val if unseen else train
    # Standing in for held-out slices, training slices must not be compared with themselves.
    rows, others = np.arange(len(held_out)), np.arange(len(train))
    if not unseen:
        rows, others = rows[::2], others[1::2]
    rows = rows[spread_over(len(rows), COMPARED)]
    searched = [
        shrunk(middle_slice(train.gather(part)["image"].numpy()))
        for part in np.array_split(spread_over(len(train), MOST_SEARCHED), 16)
        if len(part)
    ]
    some = middle_slice(train.gather(spread_over(len(train), LEARNED_FROM))["image"].numpy())
    return Reference(
        held_out=held_out.gather(rows),
        patients=np.unique(held_out.patients[rows], return_inverse=True)[1],
        training=train.gather(others[_like(train.labels[others], held_out.labels[rows])]),
        searched=np.concatenate(searched),
        extractors=_extractors(config.engine.watch_features, some, device),
        unseen=unseen,
    )


def default_or_random(device: str = "cpu") -> Extractor:
    """The default extractor, or random features where its packages are not installed."""
    nothing = np.zeros((0, 1, 1, 1), np.float32)  # neither learns from the training images
    try:
        return build_extractor(DEFAULT_FEATURES, nothing, device)
    except ConfigError:
        say(f"  note: {DEFAULT_FEATURES} is not installed: compared in random features, which "
            "see less")  # fmt: skip
        return build_extractor("random", nothing, device)


def _extractors(names: tuple[str, ...], training: FloatArray, device: str) -> dict[str, Extractor]:
    """Extractors by the names that figures carry; only an unasked one may be replaced."""
    # A self-supervised encoder learns here: from random numbers that training does not share.
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        if names == (DEFAULT_FEATURES,):
            made = [default_or_random(device)]
        else:
            made = [build_extractor(name, training, device) for name in names]
    return {extractor.name: extractor for extractor in made}


def _like(there: IntArray, wanted: IntArray) -> IntArray:
    """Places in ``there`` of the wanted labels, spread over each; of any where it has none."""
    chosen = np.empty(len(wanted), np.int64)
    for label in np.unique(wanted):
        members, places = np.flatnonzero(there == label), np.flatnonzero(wanted == label)
        members = members if len(members) else np.arange(len(there))
        chosen[places] = members[np.linspace(0, len(members) - 1, len(places)).round().astype(int)]
    return chosen

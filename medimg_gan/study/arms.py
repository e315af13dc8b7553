"""The arms of a study: what a classifier may learn from.

To add an arm: one line in ARMS, and a function for the slices it adds if there is none yet. Weights
by the inverse of a class's share have no arm: they are the limit of the class-balanced loss, and
almost equal to it for classes of some hundred slices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from medimg_gan.classify import FOCUSING, TrainingSet, class_balanced_weights
from medimg_gan.data.ratio import count_to_add
from medimg_gan.errors import ConfigError
from medimg_gan.study.filter_stages import check_stages
from medimg_gan.study.real_additions import duplicates, interpolations
from medimg_gan.study.synthetic_additions import synthetic_everything, synthetic_minority

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.study.data import StudyData
    from medimg_gan.types import FloatArray, IntArray

    Adder = Callable[[StudyData, int, int], tuple[FloatArray, IntArray]]
    """(data, count, seed) -> slices (n, 1, H, W) and their labels (n,)."""

    Role = Literal["baseline", "synthetic", "probe"]
    Loss = Literal["cross-entropy", "class-balanced", "focal"]


@dataclass(frozen=True)
class Arm:
    """One way to train the classifier; everything not named here is equal in all arms.

    Attributes:
        title: Name in tables and plots.
        about: One sentence for the report.
        role: ``"baseline"`` needs no generator; ``"synthetic"`` is what the verdict is about;
            ``"probe"`` is shown, but never compared.
        add: Makes the slices that are added; None adds none.
        swept: Whether ``add`` is asked for each of the study's ratios.
        keeps_real: False for training on the added slices alone.
        weighted_sampling: Draw every class equally often.
        loss: What the optimiser lowers; see ``classify.losses``.
        augmented: Shift, turn, scale (and flip, where allowed) every batch.
        filtered: Whether synthetic slices must pass a chain of filters; ``NAME:copies+density``
            names it, ``NAME`` alone takes the study's.
    """

    title: str
    about: str
    role: Role
    add: Adder | None = None
    swept: bool = False
    keeps_real: bool = True
    weighted_sampling: bool = False
    loss: Loss = "cross-entropy"
    augmented: bool = False
    filtered: bool = False


ARMS: dict[str, Arm] = {
    "real": Arm("Real only", "The real training slices as they are.", "baseline"),
    "weighted": Arm(
        "Weighted sampling",
        "Real slices, every class drawn equally often.",
        "baseline",
        weighted_sampling=True,
    ),
    "class-balanced": Arm(
        "Class-balanced loss",
        "Real slices, the loss of each class weighted by its effective number of slices.",
        "baseline",
        loss="class-balanced",
    ),
    "focal": Arm(
        "Focal loss",
        "Real slices, the loss focused on those that the classifier still tells apart badly.",
        "baseline",
        loss="focal",
    ),
    "classical": Arm(
        "Classical augmentation",
        "Real slices, shifted, turned and scaled at random (and flipped where anatomy allows).",
        "baseline",
        augmented=True,
    ),
    "duplicate": Arm(
        "Duplicated real",
        "Real minority slices again, exactly as many as the synthetic arm adds.",
        "baseline",
        add=duplicates,
        swept=True,
    ),
    "interpolated": Arm(
        "Interpolated real",
        "Mixtures of two real minority slices each, exactly as many as the synthetic arm adds.",
        "baseline",
        add=interpolations,
        swept=True,
    ),
    "duplicate-classical": Arm(
        "Duplicated + classical",
        "Real minority slices again, and classical augmentation of every batch.",
        "baseline",
        add=duplicates,
        swept=True,
        augmented=True,
    ),
    "synthetic": Arm(
        "Synthetic added",
        "Synthetic minority slices added to the real ones.",
        "synthetic",
        add=synthetic_minority,
        swept=True,
    ),
    "synthetic-classical": Arm(
        "Synthetic + classical",
        "Synthetic minority slices added, and classical augmentation of every batch.",
        "synthetic",
        add=synthetic_minority,
        swept=True,
        augmented=True,
    ),
    "filtered": Arm(
        "Filtered",
        "Synthetic minority slices that passed the filters, added to the real ones.",
        "synthetic",
        add=synthetic_minority,
        swept=True,
        filtered=True,
    ),
    "filtered-classical": Arm(
        "Filtered + classical",
        "Filtered synthetic minority slices added, and classical augmentation of every batch.",
        "synthetic",
        add=synthetic_minority,
        swept=True,
        augmented=True,
        filtered=True,
    ),
    "tstr": Arm(
        "Synthetic alone",
        "Synthetic slices of every class and no real one (train on synthetic, test on real).",
        "probe",
        add=synthetic_everything,
        keeps_real=False,
    ),
}
"""Every arm that ``--arms`` can name."""


def find_arm(name: str) -> Arm:
    """The arm of a name, which for a filtered one may end in its stages.

    Raises:
        ConfigError: If there is none, or its stages cannot be.
    """
    base, colon, stages = name.partition(":")
    if base not in ARMS:
        raise ConfigError(
            f"study: arm '{name}' is not known",
            fix=f"choose from {', '.join(ARMS)}; or filtered:STAGE+STAGE",
        )
    arm = ARMS[base]
    if not colon:
        return arm
    if not arm.filtered:
        raise ConfigError(
            f"study: arm '{name}': only filtered arms take stages",
            fix=f"for example filtered:{stages}",
        )
    check_stages(tuple(stages.split("+")))
    return replace(arm, title=f"{arm.title}: {', '.join(stages.split('+'))}")


def stages_of(name: str, usual: tuple[str, ...]) -> tuple[str, ...]:
    """The filters of an arm: those its name ends in, else the ``usual`` ones; () if unfiltered.

    Raises:
        ConfigError: If the usual ones are needed and cannot be.
    """
    if not find_arm(name).filtered:
        return ()
    _, colon, stages = name.partition(":")
    if colon:
        return tuple(stages.split("+"))
    check_stages(usual)
    return usual


def build(arm: Arm, data: StudyData, ratio: float, seed: int) -> TrainingSet:
    """What the classifier of an arm learns from; validation and test are never touched."""
    images, labels = data.train.images, np.asarray(data.train.labels, dtype=np.int64)
    synthetic = np.zeros(len(labels), dtype=bool)
    if arm.add is not None:
        count = count_to_add(labels, data.minority, ratio)
        more, more_labels = arm.add(data, count, seed)
        made = np.full(len(more_labels), arm.role != "baseline")
        if arm.keeps_real:
            images, labels = np.concatenate([images, more]), np.r_[labels, more_labels]
            synthetic = np.r_[synthetic, made]
        else:
            images, labels, synthetic = more, more_labels, made
    counts = np.bincount(labels, minlength=len(data.classes))
    share = np.maximum(counts, 1) * np.count_nonzero(counts)
    return TrainingSet(
        images,
        labels,
        synthetic,
        sampling=1 / share[labels] if arm.weighted_sampling else None,
        loss_weights=class_balanced_weights(counts) if arm.loss == "class-balanced" else None,
        focusing=FOCUSING if arm.loss == "focal" else 0.0,
        augmented=arm.augmented,
        mirror=data.mirror,
    )

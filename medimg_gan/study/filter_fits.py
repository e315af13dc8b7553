"""How each filter learns what real training slices are like; nothing else is ever shown to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import pairwise_distances

from medimg_gan.classify import TrainingSet, fit_classifier, predict
from medimg_gan.errors import ConfigError, DataError
from medimg_gan.metrics.neighbours import COPY_QUANTILE, nearest
from medimg_gan.metrics.prdc import NEAREST, density_counts
from medimg_gan.study.features import extractor_of
from medimg_gan.study.threads import one_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.classify import Classifier
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.study.data import Split, StudyConfig, StudyData
    from medimg_gan.types import FloatArray, IntArray

CRITIC_QUANTILE = 0.25
"""Of the critic's scores of real training slices; lower ones are thrown away."""
DENSITY_QUANTILE = 0.05
"""Of the number of other patients' radii that a real training slice lies in."""
HELD_BACK = 0.2
"""Part of the training patients that choose the best state of the ``agreement`` classifier."""


@dataclass
class Candidates:
    """Some synthetic slices; what is found out about them is kept.

    Attributes:
        images: (N, 1, H, W) in [-1, 1].
        known: Stage -> (N,) scores, NaN where nobody has asked yet.
    """

    images: FloatArray
    known: dict[str, FloatArray] = field(default_factory=dict)
    _features: dict[int, FloatArray] = field(default_factory=dict)

    def features(self, rows: IntArray, encode: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """(n, d) of some rows; each slice is encoded once."""
        new = np.array([row for row in rows if row not in self._features], dtype=np.int64)
        if len(new):
            self._features.update(zip(new.tolist(), encode(self.images[new]), strict=True))
        return np.stack([self._features[row] for row in rows.tolist()])


@dataclass(frozen=True)
class Fitted:
    """A stage that knows the training slices.

    Attributes:
        score: (candidates, rows) -> (n,); a slice passes with ``least`` or more.
        least: See ``score``.
        taken_for: (n, 1, H, W) -> what each slice shows instead; None where it is no such stage.
    """

    score: Callable[[Candidates, IntArray], FloatArray]
    least: float
    taken_for: Callable[[FloatArray], list[str]] | None = None


class TrainingSide:
    """All that a filter may know of a study: its training split and how it was synthesised from.

    Args:
        data: Only ``train``, the class names and the critic are ever read.
        config: Features and classifier.
        label: The class of the slices to be filtered.
    """

    def __init__(self, data: StudyData, config: StudyConfig, label: int) -> None:
        self.train: Split = data.train
        self.classes, self.mirror = data.classes, data.mirror
        self.critique, self.source = data.critique, data.source
        self.config, self.label = config, label
        self._extractor = partial(extractor_of, data, config)
        rows = np.flatnonzero(data.train.labels == label)
        self.images, self.patients = data.train.images[rows], data.train.patients[rows]

    @property
    def name(self) -> str:
        """Of the class."""
        return self.classes[self.label]

    @property
    def encode(self) -> Extractor:
        """Slices (n, 1, H, W) -> features (n, d)."""
        return self._extractor()

    def between_patients(self, points: FloatArray) -> FloatArray:
        """(N, N) distances of the class's training slices; infinite within a patient."""
        several_patients(self)
        same = self.patients[:, np.newaxis] == self.patients
        return np.where(same, np.inf, pairwise_distances(points))


def several_patients(side: TrainingSide) -> None:
    """What copies and density need, to tell how near slices of different patients are.

    Raises:
        DataError: If all of the class's training slices are of one patient.
    """
    if len(np.unique(side.patients)) < 2:
        raise DataError(
            "study: filters 'copies' and 'density' compare slices of different patients",
            observed=f"all training slices of {side.name} are of one patient",
            fix="leave them out of --filters and --arms, or give data with more patients",
        )


def fit_copies(side: TrainingSide) -> Fitted:
    """A slice nearer to a training slice than slices of two patients are to one another."""
    flat = side.images.reshape(len(side.images), -1)
    between = side.between_patients(flat).min(axis=1) / np.sqrt(flat.shape[1])
    return Fitted(
        lambda some, rows: nearest(some.images[rows], side.images)[0],
        float(np.quantile(between, COPY_QUANTILE)),
    )


def fit_density(side: TrainingSide) -> Fitted:
    """A slice off the manifold of the training slices (Naeem 2020, eq. 5, for one image).

    The radius of a real slice is its distance to the k-th nearest of other patients: slices of its
    own patient would make it as small as the difference of two neighbouring slices.
    """
    real = side.encode(side.images)
    between = side.between_patients(real)
    k = min(NEAREST, int(np.isfinite(between).sum(axis=1).min()))
    radii = np.partition(between, k - 1, axis=1)[:, k - 1]
    of_real = (between < radii[:, np.newaxis]).sum(axis=0)
    return Fitted(
        lambda some, rows: density_counts(real, radii, some.features(rows, side.encode)).astype(
            float
        ),
        max(1.0, float(np.quantile(of_real, DENSITY_QUANTILE))),
    )


def fit_critic(side: TrainingSide) -> Fitted:
    """A slice that the GAN's own critic finds less real than most training slices."""
    critique, label = side.critique, side.label
    if critique is None:
        raise ConfigError(
            "study: filter 'critic' needs the critic of the GAN",
            observed=f"none came with the synthetic slices ({side.source or 'unnamed source'})",
            fix="leave 'critic' out of the filters",
        )
    return Fitted(
        lambda some, rows: critique(some.images[rows], label),
        float(np.quantile(critique(side.images, label), CRITIC_QUANTILE)),
    )


def fit_agreement(side: TrainingSide) -> Fitted:
    """A slice that a classifier of the real training slices takes for another class.

    Its best state is chosen on training patients that it did not learn from.
    """
    with one_thread():  # or a repetition on more cores would let other slices pass
        classifier = _own_classifier(side)

    def margin(some: Candidates, rows: IntArray) -> FloatArray:
        chances = predict(classifier, some.images[rows])
        others = np.delete(chances, side.label, axis=1).max(axis=1)
        return chances[:, side.label] - others

    def taken_for(images: FloatArray) -> list[str]:
        return [side.classes[label] for label in predict(classifier, images).argmax(axis=1)]

    return Fitted(margin, 0.0, taken_for)


def _own_classifier(side: TrainingSide) -> Classifier:
    """Every class drawn equally often, or a rare one would never be named."""
    train, config = side.train, side.config
    back = held_back(side)
    images, labels = train.images[~back], np.asarray(train.labels[~back], dtype=np.int64)
    counts = np.bincount(labels, minlength=len(side.classes))
    share = np.maximum(counts, 1) * np.count_nonzero(counts)
    return fit_classifier(
        TrainingSet(
            images,
            labels,
            np.zeros(len(labels), dtype=bool),
            sampling=1 / share[labels],
            augmented=True,
            mirror=side.mirror,
        ),
        train.images[back],
        train.labels[back],
        classes=len(side.classes),
        minority=side.label,
        config=config.classifier,
        seed=config.seed,
    )


def held_back(side: TrainingSide) -> np.ndarray:
    """What agreement needs, to choose its classifier.

    Returns:
        (N,) bool: all slices of a fifth of the training patients with the class, and of the others.

    Raises:
        DataError: If that leaves either part without the class, or without another.
    """
    train = side.train
    patients, which = np.unique(train.patients, return_inverse=True)
    has = np.zeros(len(patients), dtype=bool)
    has[which[train.labels == side.label]] = True
    generator = np.random.default_rng([side.config.seed, 5])
    chosen = np.zeros(len(patients), dtype=bool)
    for group in (np.flatnonzero(has), np.flatnonzero(~has)):
        count = min(len(group), max(1, round(HELD_BACK * len(group))))
        chosen[generator.permutation(group)[:count]] = True
    back = chosen[which]
    for part in (train.labels[back], train.labels[~back]):
        if (part == side.label).all() or not (part == side.label).any():
            raise DataError(
                "study: filter 'agreement' holds training patients back to choose its classifier",
                observed=f"{int(has.sum())} training patients have {side.name}, and "
                f"{int((~has).sum())} have none: too few for two parts with slices of both kinds",
                fix="leave it out of --filters and --arms, or give data with more patients",
            )
    return back

"""What a study needs: three real splits, a way to synthesise, and its settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.classify import ClassifierConfig
from medimg_gan.errors import ConfigError, DataError, LabelError, SplitError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from medimg_gan.data.thinning import Thinned
    from medimg_gan.metrics.features import Extractor
    from medimg_gan.types import FloatArray, IntArray

    Synthesise = Callable[[int, int, int], FloatArray]
    """(count, label, seed) -> (count, 1, H, W) float32 in [-1, 1]."""
    Critique = Callable[[FloatArray, int], FloatArray]
    """(slices (n, 1, H, W), label) -> (n,) scores of the GAN's critic; larger is more real."""


@dataclass(frozen=True)
class Split:
    """Real slices of some patients.

    Attributes:
        images: (N, 1, H, W) float32 in [-1, 1]; may be memory-mapped.
        labels: (N,) int64 classes.
        patients: (N,) pseudonym of each slice's patient.
    """

    images: FloatArray
    labels: IntArray
    patients: np.ndarray[Any, Any]

    def of_class(self, label: int) -> FloatArray:
        """The slices (n, 1, H, W) of one class."""
        return self.images[np.flatnonzero(self.labels == label)]

    def patients_with(self, label: int) -> int:
        """How many patients have at least one slice of a class."""
        return len(np.unique(self.patients[self.labels == label]))


@dataclass(frozen=True)
class StudyData:
    """The input of :func:`medimg_gan.study.run_study`.

    Attributes:
        train: What the generator and the classifiers learn from.
        val: What every choice is made on.
        test: What the figures come from.
        classes: Names, in the order of the labels.
        minority: Index of the class that the study is about.
        synthesise: ``(count, label, seed)`` -> (count, 1, H, W) float32 in [-1, 1], from a
            generator that saw ``train`` only; equal arguments must give equal slices.
        mirror: Whether a left-right flip leaves the anatomy possible.
        patients_known: False if ``patients`` are stand-ins (one per slice).
        source: What made the synthetic slices (run and checkpoint); another source makes cached
            classifiers be trained again.
        thinned: What was taken from ``train`` to make the minority rarer on purpose.
        generator_split: Patient -> split of the generator's own training, if there was one;
            ``leakage.check_leakage`` holds it against this split.
        critique: What the GAN's critic says of slices, for the filter of that name.
        fitted: Filters that this training split was asked for; a copy of the data begins anew.
        extractors: The features that it was asked for; see ``features.extractor_of``.

    Raises:
        SplitError: If a patient is in two splits, or a split lacks the minority or the rest.
        DataError: If the slices of the splits differ in size or hold values that are not finite.
        LabelError: If the minority or a label is no index into the classes.
    """

    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    minority: int
    synthesise: Synthesise
    mirror: bool = False
    patients_known: bool = True
    source: str = ""
    thinned: Thinned | None = None
    generator_split: Mapping[str, str] | None = None
    critique: Critique | None = None
    fitted: dict[Any, Any] = field(init=False, default_factory=dict, repr=False, compare=False)
    extractors: dict[Any, Extractor] = field(
        init=False, default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        _check_labels(self)
        _check_images(self)
        _check_classes_present(self)
        if self.patients_known:
            _check_patients_apart(self)

    def with_generator(
        self,
        synthesise: Synthesise,
        *,
        source: str,
        generator_split: Mapping[str, str] | None = None,
        critique: Critique | None = None,
    ) -> StudyData:
        """The same real slices, and what makes synthetic ones."""
        made = replace(
            self,
            synthesise=synthesise,
            source=source,
            generator_split=generator_split,
            critique=critique,
        )
        made.extractors.update(self.extractors)  # they know real slices alone
        return made

    @property
    def splits(self) -> dict[str, Split]:
        """The three splits by name."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def minority_name(self) -> str:
        """Name of the class that the study is about."""
        return self.classes[self.minority]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a slice."""
        height, width = self.train.images.shape[-2:]
        return height, width

    def digest(self) -> str:
        """A hash of every real slice, label and setting; patients are left out."""
        hashed = hashlib.sha256(
            repr((self.classes, self.minority, self.mirror, self.source)).encode()
        )
        for split in self.splits.values():
            hashed.update(np.ascontiguousarray(split.labels, dtype=np.int64).data)
            hashed.update(np.ascontiguousarray(split.images, dtype=np.float32).data)
        return hashed.hexdigest()


@dataclass(frozen=True)
class StudyConfig:
    """The settings of a study.

    Attributes:
        arms: Keys of :data:`medimg_gan.study.ARMS`.
        ratios: Mixing ratios of the arms that add slices; see ``data.ratio.count_to_add``.
        seeds: Trainings per arm and ratio.
        seed: Of the first training; the others follow.
        specificity: Operating point of the minority sensitivity.
        resamples: Bootstrap draws.
        classifier: The same for every arm.
        filters: Stages of the filtered arms that name none themselves (keys of
            :data:`medimg_gan.study.filter_stages.STAGES`), in this order.
        features: Of filters and fidelity; see ``metrics.features.build_extractor``.
    """

    arms: tuple[str, ...] = (
        "real", "weighted", "class-balanced", "classical", "duplicate", "interpolated",
        "duplicate-classical", "synthetic", "synthetic-classical",
    )  # fmt: skip
    ratios: tuple[float, ...] = (0.25, 0.5, 1.0)
    seeds: int = 5
    seed: int = 0
    specificity: float = 0.9
    resamples: int = 10_000
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    filters: tuple[str, ...] = ("copies", "agreement", "density")
    features: str = "efficientnet-lite0"


def check_folds(folds: Sequence[StudyData]) -> None:
    """Refuse folds that do not make one study.

    Raises:
        ConfigError: If there is none, or classes or the minority differ.
        SplitError: If a patient is tested in two folds.
    """
    if not folds:
        raise ConfigError("study: there is no fold")
    if len({(data.classes, data.minority, data.patients_known) for data in folds}) > 1:
        raise ConfigError("study: the folds differ in their classes or in the minority")
    tested = [patient for data in folds for patient in np.unique(data.test.patients).tolist()]
    twice = len(tested) - len(set(tested))
    if twice:
        raise SplitError(
            f"study: {twice} patients are tested in two folds",
            cause="the folds were drawn one by one, not dealt out",
            fix="deal the patients out to folds, so that each is tested once at the most",
        )


def thinned_in(folds: Sequence[StudyData]) -> str:
    """What was taken from the training splits on purpose, fold by fold; empty if nothing was."""
    return "; ".join(dict.fromkeys(str(data.thinned) for data in folds if data.thinned))


def _check_labels(data: StudyData) -> None:
    known = range(len(data.classes))
    if data.minority not in known:
        raise LabelError(
            f"study: minority class {data.minority} is no class",
            observed=f"there are {len(data.classes)}: {', '.join(data.classes)}",
        )
    for name, split in data.splits.items():
        strange = sorted(set(np.unique(split.labels).tolist()) - set(known))
        if strange:
            raise LabelError(
                f"study: labels of the {name} split are no index into the classes",
                observed=f"found {strange}, expected 0 to {len(data.classes) - 1}",
            )


def _check_images(data: StudyData) -> None:
    shapes = {name: split.images.shape[1:] for name, split in data.splits.items()}
    if len(set(shapes.values())) > 1 or len(data.train.images.shape) != 4:
        raise DataError("study: slices of the splits differ in shape", observed=str(shapes))
    for name, split in data.splits.items():
        if not np.isfinite(split.images).all():
            raise DataError(f"study: the {name} split holds values that are not finite")


def _check_classes_present(data: StudyData) -> None:
    for name, split in data.splits.items():
        found = int((split.labels == data.minority).sum())
        if found in (0, len(split.labels)):
            missing = data.minority_name if found == 0 else "any other class"
            raise SplitError(
                f"study: the {name} split has no slice of {missing}",
                observed=f"{found} of its {len(split.labels)} slices are {data.minority_name}",
                cause="too few patients of that class to go round",
                fix="give data with more patients, or another split",
            )


def _check_patients_apart(data: StudyData) -> None:
    seen = {name: set(split.patients.tolist()) for name, split in data.splits.items()}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = len(seen[one] & seen[other])
        if shared:
            raise SplitError(
                f"study: {shared} patients are in both the {one} and the {other} split",
                cause="the split was made by slice, not by patient",
                fix="split by patient; a leaking split inflates every figure",
            )

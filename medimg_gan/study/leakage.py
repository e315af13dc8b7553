"""Does anything of the test patients reach what is learnt or chosen? It is looked for, and told.

Exact copies across splits are refused. What is merely alike is held against what is
usual between different patients (``near_copies``). What the real slices alone tell can be asked
before a generator is trained (:func:`check_real`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.data.known_patients import KnownPatients
from medimg_gan.errors import SplitError
from medimg_gan.metrics.likeness import limit_of_copies
from medimg_gan.study.features import extractor_of
from medimg_gan.study.near_copies import APART, Compared, by_features, by_outline, line
from medimg_gan.study.synthetic_additions import synthesise_checked

if TYPE_CHECKING:
    from medimg_gan.study.data import Split, StudyConfig, StudyData
    from medimg_gan.study.near_copies import Entry, Pairs
    from medimg_gan.types import FloatArray

OUTCOMES = ("clean", "warning", "refused")
MADE = 256
"""Synthetic slices held against the held-out ones."""
SHOWN = 8


@dataclass(frozen=True)
class Leakage:
    """What was found.

    Attributes:
        table: An entry a check: ``check``, ``what``, ``found``, ``looked_at``, ``outcome``
            (clean, warning) and ``detail``; counts only, no names.
        warnings: A sentence for each kind of finding, for the caveats.
        pictures: Title -> (n, 1, H, W): suspicious slices, and what each is like.
    """

    table: list[Entry]
    warnings: list[str] = field(default_factory=list)
    pictures: dict[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True)
class RealLeakage:
    """What the real slices alone tell.

    Attributes:
        exact: Entries of patients and copies in two splits.
        alike: Entries of near copies.
        limit: Bits of a perceptual hash, below which two slices are too alike.
        pictures: See :class:`Leakage`.
    """

    exact: list[Entry]
    alike: list[Entry]
    limit: float
    pictures: dict[str, FloatArray]


def check_real(data: StudyData, config: StudyConfig) -> RealLeakage:
    """Look for test (and validation) patients in other splits; no generator is asked.

    Raises:
        SplitError: If splits share exact copies, or the generator's split file (if there is one)
            says that it knows held-out patients.
    """
    seen = {
        name: Compared.of(split.images, split.labels, split.patients)
        for name, split in data.splits.items()
    }
    exact = [_patients(data, *names) for names in APART]
    exact += [_exact(seen, *names) for names in APART]
    exact.append(_labels(seen.values()))
    _refuse(exact)
    _generator(data)
    pairs: Pairs = []
    control, _ = seen["train"].nearest_bits(seen["train"], apart=True)
    alike = by_outline(seen, control, pairs)
    alike += by_features(seen, extractor_of(data, config), pairs)
    return RealLeakage(exact, alike, limit_of_copies(control), _side_by_side(pairs))


def check_leakage(data: StudyData, config: StudyConfig, real: RealLeakage | None = None) -> Leakage:
    """Look for test (and validation) patients in what is learnt or chosen, before anything is.

    Args:
        data: With its generator.
        config: Names the features.
        real: What :func:`check_real` found in the same slices, where it was asked before.

    Raises:
        SplitError: If splits share exact copies, or the generator knows held-out patients.
    """
    real = real or check_real(data, config)
    table = [
        *real.exact,
        *_generator(data),
        *real.alike,
        *_synthetic(data, config, real.limit),
        _statistics(data.train),
    ]
    return Leakage(table, in_words(table), real.pictures)


def pooled(tables: Iterable[list[Entry]]) -> list[Entry]:
    """One table of those of several folds: counts add up, and the worst outcome counts."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in (entry for table in tables for entry in table):
        name = (entry["check"], entry["what"])
        same = found.setdefault(name, {**entry, "found": 0, "looked_at": 0})
        if OUTCOMES.index(entry["outcome"]) > OUTCOMES.index(same["outcome"]):
            same.update(outcome=entry["outcome"], detail=entry["detail"])
        for count in ("found", "looked_at"):
            same[count] += entry[count]
    return list(found.values())


def _patients(data: StudyData, one: str, other: str) -> Entry:
    names = [set(data.splits[name].patients.tolist()) for name in (one, other)]
    entry = line(
        "same patient", f"{one} and {other}", len(names[0] & names[1]), len(names[0] | names[1]),
        "Pseudonyms in both.", "refused",
    )  # fmt: skip
    if not data.patients_known:
        detail = (
            "Nothing names the patients: slices of one may stand in both, and no check can tell."
        )
        return {**entry, "outcome": "warning", "detail": detail}
    return entry


def _exact(seen: dict[str, Compared], one: str, other: str) -> Entry:
    sources, held = seen[one], seen[other]
    found = np.isin(held.content, sources.content).sum()
    detail = f"Equal pixels; {held.blank + sources.blank} blank slices are passed over."
    return line(
        "exact copies", f"{other} slices in {one}", found, len(held.content), detail, "refused"
    )


def _labels(splits: Iterable[Compared]) -> Entry:
    labels_of: dict[str, set[int]] = {}
    contents = []
    for split in splits:
        contents += split.content.tolist()
        for content, label in zip(split.content.tolist(), split.labels.tolist(), strict=True):
            labels_of.setdefault(content, set()).add(label)
    found = sum(len(labels_of[content]) > 1 for content in contents)
    detail = "Slices with equal pixels and another label."
    return line("labels of copies", "all splits", found, len(contents), detail, "warning")


def _refuse(table: list[Entry]) -> None:
    shared = [e for e in table if e["outcome"] == "refused" and e["check"] == "exact copies"]
    if shared:
        raise SplitError(
            "study: the same slices stand in two splits",
            observed="; ".join(f"{e['found']} of {e['looked_at']} {e['what']}" for e in shared),
            cause="files were copied between folders, or one patient bears two names",
            fix="keep each slice once (--drop-duplicates), or its copies in one split",
        )


def _generator(data: StudyData) -> list[Entry]:
    """The generator's own split against the study's.

    Raises:
        SplitError: If it learnt from, or its weights were chosen on, patients held out here.
    """
    if data.generator_split is None:
        return []
    known = KnownPatients.of(data.generator_split)
    known.refuse(
        data.source,
        foreign=known.learnt - set(data.train.patients.tolist()),
        tested=set(data.test.patients.tolist()),
        fix="use the seed, --data and --cache of that run, or leave --gan away",
    )
    return [
        line(
            "generator", "its training patients held out here", 0, len(known.learnt),
            "By its own split file.", "refused",
        ),
        line(
            "generator", "its validation patients in test", 0, len(known.chose),
            "They chose its weights.", "refused",
        ),
    ]  # fmt: skip


def _synthetic(data: StudyData, config: StudyConfig, limit: float) -> list[Entry]:
    images = synthesise_checked(data, MADE, data.minority, config.seed)
    numbers = np.arange(len(images))
    made = Compared.of(images, np.full(len(images), data.minority), numbers)
    entries = []
    for name in ("val", "test"):
        held = data.splits[name]
        held_out = Compared.of(held.images, held.labels, held.patients)
        found = 0
        if len(made.bits):
            found = int((made.nearest_bits(held_out)[0] < limit).sum())
        detail = (
            f"Perceptual hash: fewer than {math.ceil(limit)} bits from a slice that no generator "
            "may know."
        )
        what = f"synthetic slices in {name}"
        entries.append(line("synthetic copies", what, found, len(made.bits), detail, "warning"))
    return entries


def _statistics(train: Split) -> Entry:
    detail = (
        "By construction, not measured: slices are scaled each by their own volume, and what is "
        "learnt over patients (standard histogram, conditions) from training patients alone."
    )
    patients = len(np.unique(train.patients))
    return line(
        "statistics", "held-out patients in intensity statistics", 0, patients, detail, "refused"
    )


def in_words(table: Iterable[Entry]) -> list[str]:
    """A sentence for each warning."""
    said = []
    for entry in table:
        if entry["found"] and entry["outcome"] == "warning":
            said.append(
                f"Leakage: {entry['found']} of {entry['looked_at']} {entry['what']}, "
                f"{entry['check']}. {entry['detail']}"
            )
    return said


def _side_by_side(pairs: Pairs) -> dict[str, FloatArray]:
    if not pairs:
        return {}
    held, sources = (np.stack(images) for images in zip(*pairs[:SHOWN], strict=True))
    return {"Near copies: held-out slices": held, "What each is like in another split": sources}

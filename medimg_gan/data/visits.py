"""Scans that show one patient at one time: the channels of an image, or a pair."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from medimg_gan.data.layouts import SEQUENCES
from medimg_gan.data.scan import Scan
from medimg_gan.modalities import MODALITIES

PASSED_OVER = {*MODALITIES, *SEQUENCES, "mr"}
"""Words of a path that tell scans of one visit apart."""
ENDING = re.compile(r"(\.nii(\.gz)?|\.[a-z]{3,4})$", re.IGNORECASE)
LAST_WORD = re.compile(r"[_-]([a-z0-9]+)$", re.IGNORECASE)


def common_name(path: str) -> str:
    """What scans of one visit share: the path without modality, sequence and ending.

    'mri/P001' and 'ct/P001.nii.gz' -> 'P001'; 'case/case_t1.nii.gz' -> 'case/case'.
    """
    *folders, name = Path(path).parts
    names = (_without_last_word(part) for part in (*folders, ENDING.sub("", name)))
    return "/".join(part for part in names if part.lower() not in PASSED_OVER)


def _without_last_word(part: str) -> str:
    found = LAST_WORD.search(part)
    return part[: found.start()] if found and found[1].lower() in PASSED_OVER else part


def visits(channels: Sequence[Iterable[Scan]]) -> list[tuple[Scan, ...]]:
    """Scans of one patient and visit, one of each channel.

    A patient with exactly one scan of each is one visit; else scans belong together that share
    their :func:`common_name`. Where a name stands for several scans of a channel, nobody can tell
    which is meant, and none is taken. All scans of a visit have one shape.

    Args:
        channels: The scans that can be the first channel, the second ...
    """
    if len(channels) == 1:
        return [(scan,) for scan in channels[0]]
    by_patient: dict[str, list[list[Scan]]] = defaultdict(lambda: [[] for _ in channels])
    for number, scans in enumerate(channels):
        for scan in scans:
            by_patient[scan.patient][number].append(scan)
    found: list[tuple[Scan, ...]] = []
    for own in by_patient.values():
        if all(len(scans) == 1 for scans in own):
            found.append(tuple(scans[0] for scans in own))
        else:
            found += _by_name(own)
    return [visit for visit in found if len({scan.series.shape for scan in visit}) == 1]


def _by_name(channels: list[list[Scan]]) -> list[tuple[Scan, ...]]:
    named: dict[str, list[list[Scan]]] = defaultdict(lambda: [[] for _ in channels])
    for number, scans in enumerate(channels):
        for scan in scans:
            named[common_name(scan.path)][number].append(scan)
    return [
        tuple(scans[0] for scans in own)
        for own in named.values()
        if all(len(scans) == 1 for scans in own)
    ]


def with_patients_by_name(scans: list[Scan]) -> list[Scan]:
    """The same scans; those whose patient nobody knows are one's where their common name is."""
    first: dict[str, Scan] = {}
    for scan in sorted(scans, key=lambda scan: not scan.patient_known):
        first.setdefault(common_name(scan.path), scan)
    return [
        scan if scan.patient_known else replace(scan, patient=first[common_name(scan.path)].patient)
        for scan in scans
    ]


def with_patients_of(scans: list[Scan], others: list[Scan]) -> list[Scan]:
    """Scans of another folder as their patients' whose scans have the same common name here.

    Args:
        scans: True targets, of a folder that need not name patients.
        others: The scans that they are the truth of.
    """
    known = {common_name(scan.path): scan for scan in others}
    patients = {scan.patient for scan in others}
    found = []
    for scan in scans:
        mate = known.get(common_name(scan.path))
        if mate is not None:
            found.append(replace(scan, patient=mate.patient, split=mate.split, label=mate.label))
        elif scan.patient_known and scan.patient in patients:
            found.append(scan)
    return found

"""Folders as public data sets lay them out: BraTS, Medical Segmentation Decathlon, nnU-Net.

Where a folder follows one of these, file names say whose a scan is, which sequence it shows and
where its mask lies. Only paths and ``dataset.json`` are read.

Sources: Menze et al. 2015 (BraTS) and the challenge's pages of 2020 to 2024; Antonelli et al. 2022
(Decathlon); Isensee et al. 2021 (nnU-Net) and its page on dataset formats.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from medimg_gan.errors import RunError
from medimg_gan.runs import read_json

SEQUENCES = {
    "t1": "t1", "t1n": "t1", "t1w": "t1",
    "t1ce": "t1ce", "t1c": "t1ce", "t1gd": "t1ce", "t1post": "t1ce",
    "t2": "t2", "t2w": "t2",
    "flair": "flair", "t2f": "flair", "t2flair": "flair",
    "adc": "adc", "dwi": "dwi", "pd": "pd",
}  # fmt: skip
"""Names of MR sequences in these data sets -> one name for each."""
NIFTI = r"\.nii(?:\.gz)?"
BRATS = re.compile(
    r"(?P<case>[^/]+)(?P<joint>[_-])(?P<what>t1|t1ce|t2|flair|t1n|t1c|t2w|t2f|seg)" + NIFTI,
    re.IGNORECASE,
)
BRATS_VISIT = re.compile(r"(?P<patient>BraTS-[A-Za-z]+-\d+)-\d{3}", re.IGNORECASE)
"""From 2023 on a case is one visit of a patient: BraTS-GLI-00005-101."""
BRATS_NAMES = {
    "_": {1: "necrotic", 2: "edema", 4: "enhancing"},  # until 2021; no value 3
    "-": {1: "necrotic", 2: "edema", 3: "enhancing", 4: "resection-cavity"},  # from 2023
}
DECATHLON = re.compile(
    r"(?P<root>(?:.*/)?)(?P<kind>images|labels)(?P<part>T[rs])/"
    r"(?P<stem>[^/]+?)(?:_(?P<channel>\d{4}))?" + NIFTI
)


@dataclass(frozen=True)
class LayoutFacts:
    """What a file's place in a known layout says of it; "" where it says nothing."""

    patient: str
    modality: str = ""
    sequence: str = ""
    mask: str = ""
    mask_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A recognised layout.

    Attributes:
        name: As its users call it.
        scans: Path relative to the data folder -> what it says.
        masks: Paths that are masks, and no scans.
        channels: Path of a scan of several channels (4D) -> the channels' names.
        fault: Path and reason of a ``dataset.json`` that cannot be read.
    """

    name: str
    scans: dict[str, LayoutFacts]
    masks: frozenset[str]
    channels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fault: tuple[Path, str] | None = None

    def one_line(self) -> str:
        """What was recognised, for the user."""
        patients = len({facts.patient for facts in self.scans.values()})
        counts = Counter(facts.sequence for facts in self.scans.values() if facts.sequence)
        parts = [f"recognised: {self.name} layout, {patients} patients, {len(self.scans)} scans"]
        if counts:
            parts.append(", ".join(f"{count} {name}" for name, count in counts.items()))
        if self.masks:
            names = {
                value: name
                for facts in self.scans.values()
                for value, name in facts.mask_names.items()
            }
            labels = ", ".join(f"{value}={names[value]}" for value in sorted(names))
            parts.append("masks with labels " + labels if labels else "masks without names")
        return "; ".join(parts)


def recognise(paths: Iterable[str], root: Path) -> list[Layout]:
    """The known layouts among NIfTI files; a file belongs to one layout at most.

    Args:
        paths: Relative to ``root``, with '/' between folders.
        root: The data folder.
    """
    paths = sorted(paths)
    layouts = [*_brats(paths), *_decathlon(paths, root)]
    return [layout for layout in layouts if layout.scans]


def _brats(paths: list[str]) -> list[Layout]:
    """``CASE/CASE_t1.nii.gz`` ... ``CASE/CASE_seg.nii.gz``, with at least two sequences a case."""
    cases: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for path in paths:
        match = BRATS.fullmatch(PurePosixPath(path).name)
        folder = PurePosixPath(path).parent
        if match and match["case"].lower() == folder.name.lower():
            cases[str(folder), match["joint"]][match["what"].lower()] = path
    layouts = []
    for joint, name in (("_", "BraTS 2020"), ("-", "BraTS 2023")):
        scans, masks = {}, set()
        for (folder, own_joint), files in cases.items():
            if own_joint != joint or len(files.keys() - {"seg"}) < 2:
                continue
            case = PurePosixPath(folder).name
            visit = BRATS_VISIT.fullmatch(case)
            mask = files.pop("seg", "")
            masks |= {mask} - {""}
            for what, path in files.items():
                names = BRATS_NAMES[joint] if mask else {}
                patient = visit["patient"] if visit else case
                scans[path] = LayoutFacts(patient, "mri", SEQUENCES[what], mask, names)
        layouts.append(Layout(name, scans, frozenset(masks)))
    return layouts


def _decathlon(paths: list[str], root: Path) -> list[Layout]:
    """``imagesTr/x_001.nii.gz`` (or ``x_001_0000.nii.gz``) with ``labelsTr/x_001.nii.gz``."""
    tasks: dict[str, list[re.Match[str]]] = defaultdict(list)
    for path in paths:
        if match := DECATHLON.fullmatch(path):
            tasks[match["root"]].append(match)
    return [_task(folder, files, root) for folder, files in tasks.items()]


def _task(folder: str, files: list[re.Match[str]], root: Path) -> Layout:
    description, fault = root / folder / "dataset.json", None
    try:
        content = read_json(description) if description.is_file() else {}
    except RunError as error:
        content, fault = {}, (description, error.one_line())
    channels, names = _dataset_json(content)
    # A label map is never split by channel: what looks like one is part of the case's name.
    masks = {
        (match["part"], PurePosixPath(match.string).name.partition(".nii")[0]): match.string
        for match in files
        if match["kind"] == "labels"
    }
    suffixed = any(match["channel"] for match in files if match["kind"] == "images")
    scans, several = {}, {}
    for match in (match for match in files if match["kind"] == "images"):
        whole = PurePosixPath(match.string).name.partition(".nii")[0]
        # 'case_0001' is a case of its own where a mask has just that name.
        split = match["channel"] and (match["part"], whole) not in masks
        case, number = (match["stem"], int(match["channel"])) if split else (whole, 0)
        channel = channels.get(number, "")
        mask = masks.get((match["part"], case), "")
        scans[match.string] = LayoutFacts(
            patient=case,
            modality=_modality(channel),
            sequence=_sequence(channel),
            mask=mask,
            mask_names=names if mask else {},
        )
        if len(channels) > 1 and not split:
            several[match.string] = tuple(_sequence(channels[key]) for key in sorted(channels))
    kind = "nnU-Net" if suffixed else "Decathlon (MSD)"
    return Layout(kind, scans, frozenset(masks.values()), several, fault)


def _dataset_json(content: Any) -> tuple[dict[int, str], dict[int, str]]:
    """Channel number -> name, and mask value -> name; empty where the file does not say.

    The Decathlon writes ``{"1": "liver"}``; nnU-Net from version 2 on ``{"liver": 1}``, or
    ``{"whole": [1, 2]}`` for regions, which are no values and are passed over.
    """
    if not isinstance(content, dict):
        return {}, {}
    channels = content.get("channel_names") or content.get("modality")
    labels = _numbered(content.get("labels"))
    return _numbered(channels), {value: name for value, name in labels.items() if value > 0}


def _numbered(table: Any) -> dict[int, str]:
    pairs = table.items() if isinstance(table, dict) else ()
    numbered = {}
    for key, value in pairs:
        number, name = (key, value) if str(key).isdigit() else (value, key)
        if isinstance(number, int | str) and str(number).isdigit() and isinstance(name, str):
            numbered[int(number)] = name.strip()
    return numbered


def _modality(channel: str) -> str:
    word = re.sub(r"[^a-z0-9]", "", channel.lower())
    if word in ("ct", "cbct"):
        return "ct"
    return "mri" if word in ("mri", "mr") or word in SEQUENCES else ""


def _sequence(channel: str) -> str:
    word = re.sub(r"[^a-z0-9]", "", channel.lower())
    return SEQUENCES.get(word, "" if word in ("ct", "cbct", "mri", "mr") else word)

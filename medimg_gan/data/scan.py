"""One scan with all that the table says of it, each fact from the best source that has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medimg_gan.data.folders import folder_facts
from medimg_gan.data.layouts import Layout, LayoutFacts, recognise
from medimg_gan.data.mask_files import PatternMasks, masks_by_pattern, segmentations_among
from medimg_gan.data.patterns import compile_pattern
from medimg_gan.data.pseudonyms import pseudonym
from medimg_gan.data.settings import DataConfig
from medimg_gan.data.tables import Row
from medimg_gan.imaging import Problem, Series


@dataclass(frozen=True)
class Scan:
    """One series with all that the table says of it.

    Attributes:
        series: Where its files are.
        path: Its file or folder, relative to the data folder.
        patient: Pseudonym.
        modality: Key of ``MODALITIES``, or "" where unknown.
        label: Class of the whole scan, or "".
        sequence: MR sequence (t1, t1ce, t2, flair ...), or "" where nothing says it.
        mask: Mask file (label map or DICOM SEG) that labels the scan's slices, or None.
        mask_names: Mask value -> name, where the data themselves name what the mask marks.
        label_guessed: Whether the label is a folder's name that nobody said to be a class; it may
            be a patient's, and is shown nowhere but in the table.
        split: train, val, test, or "" to be decided.
        numbers: Columns of the user's table that were asked for, as written there.
        patient_known: False where nothing said whose it is, and the file stands for its patient.
        notes: What a user should know of it, a line each.
    """

    series: Series
    path: str
    patient: str
    modality: str
    label: str = ""
    label_guessed: bool = False
    sequence: str = ""
    mask: Path | None = None
    mask_names: Mapping[int, str] = field(default_factory=dict)
    split: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    patient_known: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """What speaks about scans besides their own headers and the user's table.

    Attributes:
        layouts: Known layouts among the files.
        layout_facts: Path -> what its layout says.
        channels: Path of a 4D file -> what its volumes are called.
        pattern_masks: What ``--mask`` matches.
        segmentation_of: First file of a DICOM series -> its DICOM SEG.
        mask_names: Mask file -> value -> name, where the data name them.
        mask_files: Files that are masks, and no scans.
        problems: Of the search, less what found its use.
    """

    layouts: list[Layout]
    layout_facts: dict[str, LayoutFacts]
    channels: dict[str, tuple[str, ...]]
    pattern_masks: PatternMasks
    segmentation_of: dict[Path, Path]
    mask_names: dict[Path, Mapping[int, str]]
    mask_files: set[Path]
    problems: list[Problem]


def gather_sources(
    series: list[Series],
    problems: list[Problem],
    root: Path,
    config: DataConfig,
    rows: Iterable[Row],
) -> Sources:
    """Look through everything that was found for what explains it.

    Raises:
        LabelError: If ``--mask`` matches nothing.
    """
    paths = [(relative_path(item.paths[0], root), item.paths[0]) for item in series]
    nifti = {item.paths[0] for item in series if item.format == "nifti"}
    layouts = recognise((relative for relative, path in paths if path in nifti), root)
    facts = {path: told for layout in layouts for path, told in layout.scans.items()}
    patterned = masks_by_pattern(paths, root, config.mask)
    segmentations = segmentations_among(problems, series)
    masks = {root / path for layout in layouts for path in layout.masks}
    chosen = {row.mask for row in rows if row.mask}
    refused = [problem for problem in segmentations.problems if problem.path not in chosen]
    faults = [Problem(*layout.fault) for layout in layouts if layout.fault]
    named = {root / told.mask: told.mask_names for told in facts.values() if told.mask}
    return Sources(
        layouts,
        facts,
        {path: names for layout in layouts for path, names in layout.channels.items()},
        patterned,
        segmentations.of_series,
        {**named, **segmentations.names},
        masks | patterned.files | chosen,
        [*segmentations.rest, *refused, *faults],
    )


def describe(
    item: Series, root: Path, config: DataConfig, sources: Sources, row: Row | None, key: bytes
) -> Scan:
    """Join all that is said of one series.

    A table's word goes before a pattern's, a pattern's before a known layout's, that before the
    header's, and the header's before a folder name's.
    """
    path, row = path_of(item, root), row or Row()
    named = _fields(path, config.layout)
    told = sources.layout_facts.get(path) or LayoutFacts("")
    patterned = sources.pattern_masks.of(path)
    folders = folder_facts(path, picture=item.format == "picture")
    patient = (
        row.patient
        or named.get("patient")
        or (patterned[1].get("patient") if patterned else "")
        or told.patient
        or item.patient
        or folders.get("patient", "")
    )
    modality = (
        config.modality or row.modality or named.get("modality") or told.modality or item.modality
    )
    if not modality and item.format == "picture":
        modality = "picture"
    mask = (
        row.mask
        or (patterned[0] if patterned else None)
        or sources.segmentation_of.get(item.paths[0])
        or (root / told.mask if told.mask else None)
    )
    names = sources.mask_names.get(mask, {}) if mask else {}
    label = row.label or named.get("label", "")
    guess = "" if label or mask else folders.get("label", "")
    channels = sources.channels.get(path, ())[item.volume or 0 :]
    return Scan(
        series=item,
        path=path,
        patient=pseudonym(patient or path, key),
        modality=modality,
        sequence=row.sequence or named.get("sequence") or (*channels, told.sequence)[0],
        label=label or guess,
        label_guessed=bool(guess),
        mask=mask,
        mask_names=names,
        split=row.split or named.get("split") or folders.get("split", ""),
        numbers=row.numbers,
        patient_known=bool(patient),
        notes=(*item.notes, *_mask_note(mask, names)),
    )


def _mask_note(mask: Path | None, names: Mapping[int, str]) -> list[str]:
    """What labels the slices, where the mask itself names it."""
    if not (mask and names):
        return []
    if mask.name.lower().endswith((".nii", ".nii.gz")):
        return []
    return [f"mask: DICOM SEG, {len(names)} segment{'s' * (len(names) != 1)}"]


def _fields(path: str, layout: str) -> dict[str, str]:
    match = compile_pattern(layout).fullmatch(path) if layout else None
    return match.groupdict() if match else {}


def path_of(item: Series, root: Path) -> str:
    """A file's own path; a DICOM series of several files is named by its folder."""
    path = item.paths[0]
    named_by_folder = item.fills_a_folder and path.parent != root
    return relative_path(path.parent if named_by_folder else path, root)


def relative_path(path: Path, root: Path) -> str:
    """A path as the table writes it: below ``root`` with '/', elsewhere in full."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

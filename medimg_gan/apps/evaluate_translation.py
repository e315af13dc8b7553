"""The half of ``evaluate`` that measures translators, on patients that their training did not see.

Figures against the truth need one: scans of the same patients in the target's modality, in --data
itself or in --truth. Without it there remain what the source and other patients' scans tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.apps import comparison
from medimg_gan.console import progress, say
from medimg_gan.data.index import build_index, say_what_is_wrong
from medimg_gan.data.masks import marked_voxels
from medimg_gan.errors import SplitError
from medimg_gan.evaluation import translation
from medimg_gan.evaluation.translation_networks import cycle_error
from medimg_gan.evaluation.translation_page import FEW, PAGE, Evaluation, in_words, write
from medimg_gan.evaluation.translation_pictures import Shown, as_pixels, draw
from medimg_gan.evaluation.translation_real import RealTargets
from medimg_gan.imaging import Volume, read_series

if TYPE_CHECKING:
    from medimg_gan.data.index import Scan
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.synthesis import Translator

MOST_REAL = 8
"""Real target scans of held-out patients whose histograms are pooled."""


@dataclass(frozen=True)
class Material:
    """What is measured on.

    Attributes:
        scans: Source scans of unseen patients, those with lesions first.
        truths: True target scans by their common name.
        real: Target scans of other unseen patients, or of the same.
        notes: What a reader must know.
    """

    scans: list[Scan]
    truths: dict[str, Scan]
    real: list[Scan]
    notes: list[str]


def evaluate_translator(
    translator: Translator, source: DataConfig, truth: Path | None, run: Path, folder: Path
) -> dict[str, Any]:
    """Measure, write and print everything.

    Args:
        translator: Of the run.
        source: The data flags.
        truth: Folder of true target scans, where they do not lie among the data.
        run: Folder of the training; gets the pictures in its TensorBoard.
        folder: Where to write.

    Returns:
        Counts for the manifest.
    """
    material = _material(translator, source, truth, run)
    found = _measure(translator, material, str(run))
    write(folder, found)
    _to_tensorboard(run, found)
    say("\n" + in_words(found))
    say(f"\nfigures: {folder}/evaluation.json, {folder}/figures.csv")
    say(f"page: {folder}/{PAGE}   pictures too: tensorboard --logdir {run}")
    return {"scans": len(material.scans), "patients": len(found.patients)}


def _material(
    translator: Translator, source: DataConfig, truth: Path | None, run: Path
) -> Material:
    index = build_index(source)
    say_what_is_wrong(index)
    scans, validation = comparison.unseen(index.of_modality(translator.source).scans, run)
    if not scans:
        raise SplitError(
            f"{index.root}: no {translator.source} scans of patients that the training did not see",
            cause="all patients of --data are training patients of the run",
            fix="give --data with the run's own held-out patients, or with new ones",
        )
    targets = [scan for scan in index.scans if scan.modality == translator.target]
    notes = []
    if validation:
        notes.append(
            "none of these are test patients of the run: figures are of its validation patients"
        )
    if truth is not None:
        known = comparison.truths(replace(source, data=truth, labels=None, mask="", layout=""))
    else:
        known = comparison.by_name(targets)
    paired = [scan for scan in scans if comparison.common_name(scan.path) in known]
    if truth is not None and not paired:
        raise comparison.without_truth(scans, known)
    if not paired:
        notes.append("no truth: errors, tissues and lesions cannot be measured (--truth DIR)")
    elif len(paired) < len(scans):
        notes.append(f"{len(scans) - len(paired)} of {len(scans)} scans have no truth: left out")
        scans = paired
    patients = len({scan.patient for scan in scans})
    if patients < FEW:
        plural = "s" * (patients > 1)
        notes.append(f"{patients} patient{plural}: too few for the intervals to mean much")
    real, _ = comparison.unseen(targets, run)
    # A lesion's usual strength is learnt before lesions are looked for where there are none.
    scans.sort(key=lambda scan: not (scan.mask and _lesions(scan, read_series(scan.series)).any()))
    return Material(scans, known, real, notes)


def _lesions(scan: Scan, volume: Volume) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Where the scan's mask, which it must have, marks anything."""
    assert scan.mask is not None
    return marked_voxels(scan.mask, volume.array.shape, volume.affine)


def _measure(translator: Translator, material: Material, run: str) -> Evaluation:
    real = RealTargets.of(_volumes(material.real[:MOST_REAL]), translator)
    lesions, rows, pictures = translation.LesionCount(), [], {}
    with progress("measuring", len(material.scans), "scans") as ticker:
        for scan in material.scans:
            volume = read_series(scan.series)
            truth = comparison.truth_of(scan, material.truths, volume)
            made = translator.translate(volume)
            what = comparison.shown(volume, made, truth, translator)
            figures = _figures(scan, what, truth, translator, lesions)
            figures |= real.distance(made) | cycle_error(translator, volume)
            rows.append((scan.patient, figures))
            if scan.patient not in pictures or _nearer_middle(scan, material):
                pictures[scan.patient] = draw(what)
            ticker.advance()
    patients = translation.by_patient(rows)
    for figures in patients.values():
        figures |= real.floor()
    return Evaluation(
        run=run,
        source=translator.source,
        target=translator.target,
        unit=translator.unit,
        patients=dict(sorted(patients.items())),
        lesions=lesions.as_dict() if lesions.lesions or lesions.new else None,
        notes=material.notes,
        pictures=dict(sorted(pictures.items())),
    )


def _figures(
    scan: Scan,
    what: Shown,
    truth: Volume | None,
    translator: Translator,
    lesions: translation.LesionCount,
) -> translation.Figures:
    """Figures of one scan; its lesions are added to the count."""
    source, made = what.source, what.made.array
    body = translation.body_of(source, translator.source)
    if truth is None or what.truth is None:
        return translation.against_source(made, source.array, body)
    body |= translation.body_of(truth, translator.target)
    unit = truth.unit if truth.unit == "display" else translator.unit
    limits = translation.limits_of(unit, translator.scale)
    figures = translation.against_truth(made, what.truth, body, source.spacing, unit, limits)
    figures |= translation.against_source(made, source.array, body)
    floor = translation.against_source(what.truth, source.array, body)
    figures["structure_of_truth"] = floor["structure"]
    if scan.mask and unit == "HU":
        lesions.see(made, what.truth, body, _lesions(scan, source), source.spacing)
    return figures


def _nearer_middle(scan: Scan, material: Material) -> bool:
    """Whether this is the middle one of its patient's scans (pictures: one slice each)."""
    own = [one.path for one in material.scans if one.patient == scan.patient]
    return scan.path == sorted(own)[len(own) // 2]


def _volumes(scans: list[Scan]) -> Iterator[Volume]:
    return (read_series(scan.series) for scan in scans)


def _to_tensorboard(run: Path, found: Evaluation) -> None:
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(str(run / "tensorboard")) as board:
        for patient, png in found.pictures.items():
            board.add_image(f"evaluation/{patient}", as_pixels(png), 0, dataformats="HWC")

"""The half of ``evaluate`` that measures translators, on patients that their training did not see.

Figures against the truth need one: scans of the same patients in the target's modality, in --data
itself or in --truth. Without it there remain what the source and other patients' scans tell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan.apps import comparison
from medimg_gan.apps.translate_sources import as_trained, found_visits, targets_of
from medimg_gan.console import progress, say
from medimg_gan.data.index import build_index, say_what_is_wrong
from medimg_gan.data.masks import marked_voxels
from medimg_gan.data.settings import ANY, mask_names
from medimg_gan.errors import DataError, MedimgError, SplitError
from medimg_gan.evaluation import translation
from medimg_gan.evaluation.translation_networks import cycle_error
from medimg_gan.evaluation.translation_page import FEW, PAGE, Evaluation, in_words, write
from medimg_gan.evaluation.translation_pictures import Shown, as_pixels, draw
from medimg_gan.evaluation.translation_real import RealTargets
from medimg_gan.imaging import Volume, read_series
from medimg_gan.metrics.paired import spread_agreement

if TYPE_CHECKING:
    from medimg_gan.apps.translate_sources import Visit
    from medimg_gan.data.index import Scan
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.evaluation.translation import Mask
    from medimg_gan.synthesis import Translator
    from medimg_gan.types import FloatArray

MOST_REAL = 8
"""Real target scans of held-out patients whose histograms are pooled."""


@dataclass(frozen=True)
class Material:
    """What is measured on.

    Attributes:
        visits: Source scans of unseen patients, as the translator takes them, those with lesions
            first.
        truths: True target scans.
        real: Target scans of other unseen patients, or of the same.
        lesions: Values of the masks that mark lesions; () for all.
        notes: What a reader must know.
    """

    visits: list[Visit]
    truths: comparison.Truths
    real: list[Scan]
    lesions: tuple[int, ...]
    notes: list[str]


def evaluate_translator(
    translator: Translator,
    source: DataConfig,
    truth: Path | None,
    run: Path,
    folder: Path,
    uncertainty: int = 0,
) -> dict[str, Any]:
    """Measure, write and print everything.

    Args:
        translator: Of the run.
        source: The data flags.
        truth: Folder of true target scans, where they do not lie among the data.
        run: Folder of the training; gets the pictures in its TensorBoard.
        folder: Where to write.
        uncertainty: Patients on one of whose visits the uncertainty is held against the error.

    Returns:
        Counts for the manifest.
    """
    material = _material(translator, source, truth, run)
    found = _measure(translator, material, str(run), uncertainty)
    write(folder, found)
    _to_tensorboard(run, found)
    say("\n" + in_words(found))
    say(f"\nfigures: {folder}/evaluation.json, {folder}/figures.csv")
    say(f"page: {folder}/{PAGE}   pictures too: tensorboard --logdir {run}")
    return {"scans": len(material.visits), "patients": len(found.patients)}


def _material(
    translator: Translator, source: DataConfig, truth: Path | None, run: Path
) -> Material:
    index = as_trained(build_index(source))
    say_what_is_wrong(index)
    found, _ = found_visits(index.of_modality(translator.source), translator)
    visits, validation = comparison.unseen(found, run)
    if not visits:
        raise SplitError(
            f"{index.root}: no {translator.source_name} scans of patients that the training did "
            "not see",
            cause="all patients of --data are training patients of the run",
            fix="give --data with the run's own held-out patients, or with new ones",
        )
    targets = targets_of(index, translator)
    notes = []
    if not comparison.known_to(run, index.scans):
        notes.append(comparison.NOBODY_KNOWN)
    if validation:
        notes.append(
            "none of these are test patients of the run: figures are of its validation patients"
        )
    given = truth is not None
    true_scans = comparison.truths_in(source, truth, translator) if given else targets
    truths = comparison.Truths(true_scans, found, given=given)
    paired = [visit for visit in visits if truths.of(visit)]
    if given and not paired:
        raise truths.none_for(visits)
    if not paired:
        notes.append(
            "no truth: errors, tissues, lesions and what the uncertainty is worth cannot be "
            "measured (--truth DIR)"
        )
    elif len(paired) < len(visits):
        notes.append(f"{len(visits) - len(paired)} of {len(visits)} scans have no truth: left out")
        visits = paired
    patients = len({visit[0].patient for visit in visits})
    if patients < FEW:
        plural = "s" * (patients > 1)
        notes.append(f"{patients} patient{plural}: too few for the intervals to mean much")
    real, _ = comparison.unseen([(scan,) for scan in targets], run)
    marks = tuple(value for value in mask_names(source.mask_label) if value != ANY)
    named = {name for visit in visits for scan in visit for name in scan.mask_names.values()}
    if len(named) > 1 and not marks:
        notes.append(
            f"the masks mark {', '.join(sorted(named))}: all of it counts as lesions "
            "(--mask-label 2=tumor names those that are)"
        )
    # A lesion's usual strength is learnt before lesions are looked for where there are none.
    visits.sort(key=lambda visit: not _has_lesions(visit, marks))
    return Material(visits, truths, [scan for (scan,) in real], marks, notes)


def _has_lesions(visit: Visit, marks: tuple[int, ...]) -> bool:
    try:
        found = _lesions(visit, read_series(visit[0].series), marks)
    except MedimgError:
        return False  # which is told when it is measured
    return found is not None and bool(found.any())


def _lesions(visit: Visit, volume: Volume, marks: tuple[int, ...]) -> Mask | None:
    """What the first mask among a visit's scans, which share one grid, marks; None without one."""
    mask = next((scan.mask for scan in visit if scan.mask), None)
    return None if mask is None else marked_voxels(mask, volume.array.shape, volume.affine, marks)


def _measure(translator: Translator, material: Material, run: str, uncertainty: int) -> Evaluation:
    """All figures, and a picture of each patient; structure and picture are of first sequences.

    Raises:
        DataError: If no scan can be measured.
    """
    bench = _Bench(translator, material, uncertainty)
    with progress("measuring", len(material.visits), "scans") as ticker:
        for visit in material.visits:
            try:
                bench.measure(visit)
            except MedimgError as error:
                bench.failed.append((visit[0].path, error.one_line()))
            ticker.advance()
    return bench.evaluation(run)


class _Bench:
    """Measures one visit after the other, and keeps what is told of all."""

    def __init__(self, translator: Translator, material: Material, uncertainty: int) -> None:
        self.translator, self.material = translator, material
        self.failed: list[tuple[str, str]] = []
        self.real = RealTargets.of(self._readable(material.real[:MOST_REAL]), translator)
        self.unsure = sorted({visit[0].patient for visit in material.visits})[:uncertainty]
        self.lesions, self.elsewhere = translation.LesionCount(), 0
        self.rows: list[tuple[str, translation.Figures]] = []
        self.pictures: dict[str, bytes] = {}

    def measure(self, visit: Visit) -> None:
        """All figures of a visit, and its patient's picture."""
        translator, truths = self.translator, self.material.truths
        patient, volumes = visit[0].patient, comparison.read_visit(visit)
        truth = comparison.truth_of(visit, truths, volumes[0], translator.unit)
        self.elsewhere += truth is None and truths.of(visit) is not None
        made = translator.translate(volumes)
        what = comparison.shown(volumes[0], made, truth, translator)
        marked = _lesions(visit, volumes[0], self.material.lesions)
        figures = _figures(what, truth, translator, marked, self.lesions)
        figures |= self.real.distance(made) | cycle_error(translator, volumes)
        middle = _nearer_middle(visit, self.material)
        if truth is not None and middle and patient in self.unsure:
            figures |= _of_spread(translator, volumes, what, truth)
        self.rows.append((patient, figures))
        if patient not in self.pictures or middle:
            self.pictures[patient] = draw(what)

    def evaluation(self, run: str) -> Evaluation:
        """What was found."""
        notes, translator, lesions = [*self.material.notes], self.translator, self.lesions
        if not self.rows:
            raise DataError(
                f"none of {len(self.material.visits)} scans could be measured",
                observed="the first: " + ": ".join(self.failed[0]),
            )
        for path, reason in self.failed:
            say(f"  not measured: {path}: {reason}")
        if self.failed:  # a page that is passed on names no files
            notes.append(f"scans that could not be measured: {len(self.failed)}")
        if self.elsewhere:
            notes.append(
                f"truths that do not lie on their scan's grid, not compared: {self.elsewhere}"
            )
        patients = translation.by_patient(self.rows)
        for figures in patients.values():
            figures |= self.real.floor()
        return Evaluation(
            run=run,
            source=translator.source_name,
            target=translator.target_name,
            unit=translator.unit,
            patients=dict(sorted(patients.items())),
            lesions=lesions.as_dict() if lesions.lesions or lesions.new else None,
            notes=notes,
            pictures=dict(sorted(self.pictures.items())),
        )

    def _readable(self, scans: list[Scan]) -> Iterator[tuple[Volume, FloatArray]]:
        for scan in scans:
            try:
                volume = read_series(scan.series)
                values = self.translator.as_made(volume)
            except MedimgError as error:
                self.failed.append((scan.path, error.one_line()))
            else:
                yield volume, values


def _figures(
    what: Shown,
    truth: Volume | None,
    translator: Translator,
    marked: Mask | None,
    lesions: translation.LesionCount,
) -> translation.Figures:
    """Figures of one visit; its marked lesions are added to the count."""
    source, made = what.source, what.made.array
    if truth is None or what.truth is None:
        body = translation.body_of(source, translator.source)
        return translation.against_source(made, source.array, body)
    body = comparison.body(source, truth, translator)
    unit = truth.unit if truth.unit == "display" else translator.unit
    limits = translation.limits_of(unit, translator.scale)
    figures = translation.against_truth(made, what.truth, body, source.spacing, unit, limits)
    figures |= translation.against_source(made, source.array, body)
    floor = translation.against_source(what.truth, source.array, body)
    figures["structure_of_truth"] = floor["structure"]
    if marked is not None and unit == "HU":
        lesions.see(made, what.truth, body, marked, source.spacing)
    return figures


def _of_spread(
    translator: Translator, volumes: list[Volume], what: Shown, truth: Volume
) -> translation.Figures:
    """How well the translator's uncertainty tells its error."""
    assert what.truth is not None
    _, spread = translator.translate_with_spread(volumes)
    body = comparison.body(volumes[0], truth, translator)
    found = spread_agreement(spread.array, what.made.array, what.truth, body)
    return {f"spread_{name}": value for name, value in found.items()}


def _nearer_middle(visit: Visit, material: Material) -> bool:
    """Whether this is the middle one of its patient's visits (pictures: one slice each)."""
    own = [one[0].path for one in material.visits if one[0].patient == visit[0].patient]
    return visit[0].path == sorted(own)[len(own) // 2]


def _to_tensorboard(run: Path, found: Evaluation) -> None:
    from torch.utils.tensorboard.writer import SummaryWriter

    with SummaryWriter(str(run / "tensorboard")) as board:
        for patient, png in found.pictures.items():
            board.add_image(f"evaluation/{patient}", as_pixels(png), 0, dataformats="HWC")

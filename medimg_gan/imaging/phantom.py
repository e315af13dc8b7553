"""The embedded data set: generated, labelled heads, unpaired for training, paired for scoring.

Nothing here comes from a patient. Every patient is a function of (seed, number), so any part of a
set can be made again bit by bit.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from medimg_gan import runs
from medimg_gan.console import progress
from medimg_gan.errors import ConfigError, DataError
from medimg_gan.files import written_aside
from medimg_gan.imaging.dicom_write import write_dicom
from medimg_gan.imaging.nifti import write_nifti
from medimg_gan.imaging.phantom_anatomy import Size
from medimg_gan.imaging.phantom_patient import (
    SIZE,
    PhantomPatient,
    Weightings,
    phantom_patient,
)
from medimg_gan.imaging.volume import Volume

__all__ = ["SIZE", "PhantomPatient", "PhantomSet", "make_phantom", "phantom_patient"]

SMALLEST, LARGEST = 8, 512
"""Voxels along a side."""
ROUNDING = 1e-9
"""Ten times 0.3 must be 3."""
Format = Literal["dicom", "nifti"]


@dataclass(frozen=True)
class PhantomSet:
    """What :func:`make_phantom` left behind.

    Attributes:
        data: Folder for training: mri/, ct/, masks/ and index.csv.
        truth: Folder of each patient's other modality, for scoring only.
        made: Patients that this call generated; 0 when the set was complete already.
    """

    data: Path
    truth: Path
    made: int


@dataclass(frozen=True)
class Plan:
    """The settings of a set, as for :func:`make_phantom`; what its manifest compares."""

    patients: int
    seed: int
    size: Size
    tumour_fraction: float
    mri_fraction: float
    weighting: Weightings
    format: Format
    tumour_fraction_ct: float | None = None

    def modality(self, number: int) -> str:
        """Which modality's training set a patient belongs to; spread evenly over the numbers."""
        before = math.ceil((number - 1) * self.mri_fraction - ROUNDING)
        return "mri" if math.ceil(number * self.mri_fraction - ROUNDING) > before else "ct"

    def has_tumour(self, number: int) -> bool:
        """Spread evenly within each modality, so that neither is left without its tumours."""
        share = self.tumour_fraction
        if self.tumour_fraction_ct is not None and self.modality(number) == "ct":
            share = self.tumour_fraction_ct
        rank = sum(self.modality(n) == self.modality(number) for n in range(1, number + 1))
        before = math.floor((rank - 1) * share + ROUNDING)
        return math.floor(rank * share + ROUNDING) > before


def make_phantom(
    folder: Path,
    patients: int = 40,
    seed: int = 0,
    *,
    size: Size = SIZE,
    tumour_fraction: float = 0.5,
    mri_fraction: float = 0.5,
    weighting: Weightings = "t1",
    format: Format = "dicom",
    tumour_fraction_ct: float | None = None,
    workers: int = 2,
    restart: bool = False,
) -> PhantomSet:
    """Write a set; a call that was interrupted is completed by repeating it.

    ``folder/data`` is what a loader reads: ``mri/P001`` or ``ct/P002`` (a DICOM series, or one
    NIfTI file), never both of one patient, ``masks/P001.nii.gz`` on the same grid, and
    ``index.csv`` (path, patient, modality, mask). ``folder/truth`` holds the other modality of
    each patient, ``truth/ct/P001.nii.gz``: the answer to a translation. With both weightings, MR
    scans are ``mri/t1/P001`` and ``mri/t2/P001``, and the table has a column sequence.

    Args:
        folder: A new folder, or one that the same settings began.
        patients: How many.
        seed: Of everything.
        size: Voxels right-left, back-front, low-high.
        tumour_fraction: Share of patients with a tumour, in each modality.
        mri_fraction: Share of patients in the MRI training set; the others are in that of CT.
        weighting: MR contrast: "t1", "t2", or "both" of every MRI patient.
        format: Of the training scans, "dicom" or "nifti".
        tumour_fraction_ct: Share of CT patients with a tumour, where it is another; with 0,
            tumours are in one domain only.
        workers: Processes; 1 works within this one.
        restart: Delete what is there and begin again.

    Raises:
        ConfigError: If the settings make no set.
        RunError: If the folder holds something else, or a set with other settings.
        DataError: If the folder cannot be written.
    """
    plan = Plan(
        patients, seed, size, tumour_fraction, mri_fraction, weighting, format, tumour_fraction_ct
    )
    _check(plan, workers)
    settings = {**asdict(plan), "size": list(size)}
    if tumour_fraction_ct is None:  # a set from before it could be given is the same set
        del settings["tumour_fraction_ct"]
    run = runs.open_run(folder, "make-phantom", settings, restart=restart)
    result = PhantomSet(folder / "data", folder / "truth", made=0)
    numbers = range(1, patients + 1)
    try:
        return _completed(run, plan, result, numbers, workers)
    finally:
        runs.let_go(folder)  # whoever trains on it reads, and others may train on it meanwhile


def _completed(
    run: runs.Run, plan: Plan, result: PhantomSet, numbers: range, workers: int
) -> PhantomSet:
    """Generate the patients that are not there yet."""
    folder = run.folder
    missing = [number for number in numbers if not _is_complete(folder, plan, number)]
    index = result.data / "index.csv"
    if run.finished and not missing and index.exists():
        return result
    with progress("generating heads", plan.patients, "patients") as ticker:
        ticker.start_at(plan.patients - len(missing))
        for _ in _finished(folder, plan, missing, workers):
            ticker.advance()
    _write_index(index, folder, plan)
    run.finish(
        mri_patients=sum(plan.modality(number) == "mri" for number in numbers),
        tumour_patients=sum(map(plan.has_tumour, numbers)),
        patients_written=plan.patients,
    )
    return PhantomSet(result.data, result.truth, made=len(missing))


def _check(plan: Plan, workers: int) -> None:
    """Refuse settings that make no set."""
    if plan.patients < 1 or workers < 1 or plan.seed < 0:
        raise ConfigError(
            "the phantom needs at least one patient, one worker and a seed that is not negative",
            observed=f"patients {plan.patients}, workers {workers}, seed {plan.seed}",
        )
    if not all(SMALLEST <= count <= LARGEST for count in plan.size):
        raise ConfigError(
            f"a phantom of {' x '.join(map(str, plan.size))} voxels",
            observed=f"each side must have {SMALLEST} to {LARGEST}",
            fix=f"for example {' '.join(map(str, SIZE))}",
        )
    for name in ("tumour_fraction", "mri_fraction", "tumour_fraction_ct"):
        share = getattr(plan, name)
        if share is not None and not 0 <= share <= 1:
            raise ConfigError(f"{name} {share:g}", observed="must lie in [0, 1]")


@dataclass(frozen=True)
class _Files:
    """Where a patient's files lie: scan name ("ct", "mri"; "t1" and "t2" of both) -> path."""

    scans: dict[str, Path]
    truths: dict[str, Path]
    mask: Path

    def all(self) -> list[Path]:
        return [*self.scans.values(), *self.truths.values(), self.mask]


def _files(folder: Path, plan: Plan, number: int) -> _Files:
    name = f"P{number:03d}"
    magnetic = {"mri": "mri"}
    if plan.weighting == "both":
        magnetic = {"t1": "mri/t1", "t2": "mri/t2"}
    own, other = magnetic, {"ct": "ct"}
    if plan.modality(number) == "ct":
        own, other = other, own
    scan = name if plan.format == "dicom" else f"{name}.nii.gz"
    return _Files(
        {kind: folder / "data" / place / scan for kind, place in own.items()},
        {kind: folder / "truth" / place / f"{name}.nii.gz" for kind, place in other.items()},
        folder / "data" / "masks" / f"{name}.nii.gz",
    )


def _is_complete(folder: Path, plan: Plan, number: int) -> bool:
    """Whether all of a patient is there; each part appears at once, by a rename."""
    return all(path.exists() for path in _files(folder, plan, number).all())


def _finished(folder: Path, plan: Plan, numbers: list[int], workers: int) -> Iterator[int]:
    """Write patients; yields each number as soon as it is on the disk."""
    if workers == 1 or len(numbers) < 2:
        for number in numbers:
            yield _write_patient(folder, plan, number)
        return
    # Spawned, not forked: the caller may hold torch's threads, which a fork would copy dead.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(numbers)), context, initializer=_leave_ctrl_c)
    try:
        tasks = [pool.submit(_write_patient, folder, plan, number) for number in numbers]
        for task in as_completed(tasks):
            yield task.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_ctrl_c() -> None:
    """Ctrl-C is the parent's to handle: it cancels what has not begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _write_patient(folder: Path, plan: Plan, number: int) -> int:
    files = _files(folder, plan, number)
    patient = phantom_patient(
        plan.seed, number, plan.size, tumour=plan.has_tumour(number), weighting=plan.weighting
    )
    volumes = {"ct": patient.ct, "mri": patient.mri, "t1": patient.mri, "t2": patient.t2}
    for kind, path in files.truths.items():
        write_nifti(_there(volumes[kind]), path)
    write_nifti(patient.mask, files.mask)
    for kind, path in files.scans.items():
        if plan.format == "nifti":
            write_nifti(_there(volumes[kind]), path)
        elif not path.exists():
            word = {"ct": "CT", "mri": "MR"}.get(kind, f"MR {kind.upper()}")
            _write_series(_there(volumes[kind]), path, f"phantom {plan.seed} {number}", word)
    return number


def _there(volume: Volume | None) -> Volume:
    assert volume is not None, "made whenever it is asked for"
    return volume


def _write_series(volume: Volume, folder: Path, seed: str, kind: str) -> None:
    try:
        write_dicom(
            volume,
            folder,
            description=f"Phantom head {kind}",
            template_patient=folder.name,
            study_seed=seed,
            series_seed=f"{seed} {kind}",
        )
    except DataError:
        # Another process that makes the same set may have been first: its files are the same.
        if not folder.exists():
            raise


def _write_index(path: Path, folder: Path, plan: Plan) -> None:
    both = plan.weighting == "both"
    rows = ["path,patient,modality,mask" + (",sequence" if both else "")]
    for number in range(1, plan.patients + 1):
        files = _files(folder, plan, number)
        mask = files.mask.relative_to(path.parent).as_posix()
        for kind, scan in files.scans.items():
            where = scan.relative_to(path.parent).as_posix()
            row = f"{where},P{number:03d},{plan.modality(number)},{mask}"
            sequence = "" if kind == "ct" else kind
            rows.append(f"{row},{sequence}" if both else row)
    with written_aside(path) as aside:
        aside.write_text("\n".join(rows) + "\n", encoding="utf-8")

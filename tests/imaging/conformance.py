"""Read every series of a folder of reference sets, and compare it with the reference NIfTI.

Usage: python tests/imaging/conformance.py [FOLDER]    (default: MEDIMG_DATA/reader)

The sets ``dcm_qa_*`` hold ``In`` and ``Ref``/``Ref_dcm2niix`` made by dcm2niix; ``dicom2nifti``
holds ``NAME`` beside ``NAME_ground_truth.nii.gz``. A reference is reproduced if every voxel is
equal (in float32) and no corner of the volume lies more than a micrometre elsewhere.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom

from medimg_gan.imaging import find_series, read_series
from medimg_gan.imaging.orientation import reoriented
from medimg_gan.read_options import ReadOptions

CORNER_MM = 1e-3
EXACT, DIFFERENT = "exact", "different"


@dataclass(frozen=True)
class Row:
    """One reference and what came of it."""

    reference: str
    syntax: str
    shape: str
    result: str


@dataclass(frozen=True)
class Read:
    """All volumes of one series: (T, I, J, K) in RAS order."""

    array: np.ndarray
    affine: np.ndarray
    syntax: str
    note: str


def rows(folder: Path) -> list[Row]:
    """One row for every reference below the folder, by path."""
    references = [path for path in sorted(folder.rglob("*.nii*")) if _is_reference(path)]
    return [_row(path, folder) for path in references]


def _is_reference(path: Path) -> bool:
    return path.parent.name.startswith("Ref") or path.name.endswith("_ground_truth.nii.gz")


def _row(path: Path, folder: Path) -> Row:
    name = path.relative_to(folder).as_posix()
    image = nib.load(path)
    if image.get_data_dtype().fields:
        return Row(name, "", _times(image.shape), "colour: read as grey without geometry")
    array, affine = _canonical(image)
    found = [read for source in _sources(path) for read in _read(source)]
    alike = [read for read in found if read.array.shape == array.shape]
    if not alike:
        reasons = {read.note for read in found} or {
            reason for s in _sources(path) for reason in _problems(s)
        }
        return Row(name, "", _times(array.shape), "; ".join(sorted(reasons)) or DIFFERENT)
    apart = [
        (_difference(read, array), _corners(read, affine, array.shape), read) for read in alike
    ]
    difference, corner, best = min(apart, key=lambda one: (one[0], one[1]))
    exact = difference == 0 and corner < CORNER_MM
    said = (
        EXACT if exact else f"{DIFFERENT}: voxels by {difference:.2g}, corners by {corner:.2g} mm"
    )
    return Row(name, best.syntax, _times(array.shape), said)


def _sources(reference: Path) -> list[Path]:
    """Where the images of a reference are: a file of its name, a folder, or its set's folder."""
    if reference.name.endswith("_ground_truth.nii.gz"):
        return [reference.with_name(reference.name.removesuffix("_ground_truth.nii.gz"))]
    inputs = reference.parent.parent / "In"
    own = inputs / f"{reference.name.split('.')[0]}.dcm"
    return [own if own.exists() else inputs]


@cache
def _read(source: Path) -> list[Read]:
    """Every series below ``source``, with each choice that the reader's options leave."""
    philips = "display" if "dicom2nifti" in source.parts else "precise"
    found = []
    for tilt in ("resample", "keep"):
        options = ReadOptions(on_tilt=tilt, volume="all", philips_scaling=philips)
        groups = defaultdict(list)
        for series in find_series(source, options=options)[0]:
            if series.format == "dicom":
                # Volumes of one series, be they frames of one file or sets of files.
                groups[series.paths[0].parent, series.part, series.shape].append(series)
        for members in groups.values():
            volumes = [read_series(one) for one in members]
            syntax = pydicom.dcmread(
                members[0].paths[0], stop_before_pixels=True
            ).file_meta.TransferSyntaxUID
            found.append(
                Read(
                    np.stack([volume.array for volume in volumes]),
                    volumes[0].affine,
                    syntax.name,
                    "; ".join(members[0].notes),
                )
            )
    return found


def _problems(source: Path) -> list[str]:
    return [problem.reason.split(": ", 1)[-1] for problem in find_series(source)[1]]


def _canonical(image: nib.Nifti1Image) -> tuple[np.ndarray, np.ndarray]:
    array = image.get_fdata(dtype=np.float32)
    frames = array.reshape(*array.shape, *[1] * (4 - array.ndim)).transpose(3, 0, 1, 2)
    turned = [reoriented(frame, image.affine, "RAS") for frame in frames]
    return np.stack([frame for frame, _ in turned]), turned[0][1]


def _difference(read: Read, truth: np.ndarray) -> float:
    """Largest difference between voxels, relative to the largest value where float32 rounds."""
    apart = float(np.abs(read.array - truth).max())
    largest = float(np.abs(truth).max()) or 1.0
    return 0.0 if apart <= np.finfo(np.float32).eps * largest else apart


def _corners(read: Read, affine: np.ndarray, shape: tuple[int, ...]) -> float:
    corners = np.array([(*corner, 1) for corner in product(*[(0, n - 1) for n in shape[1:]])])
    return float(np.abs((read.affine - affine) @ corners.T).max())


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def table(found: list[Row]) -> str:
    """The rows and their count, for a terminal."""
    width = max(len(row.reference) for row in found)
    lines = [
        f"{row.reference:{width}}  {row.syntax[:38]:38} {row.shape:>14}  {row.result}"
        for row in found
    ]
    exact = sum(row.result == EXACT for row in found)
    return "\n".join([*lines, f"{exact} of {len(found)} references reproduced exactly"])


def main() -> None:
    """Print the table; without the reference sets, say so."""
    warnings.simplefilter("ignore")
    default = Path(os.environ.get("MEDIMG_DATA", "../shared/data")) / "reader"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    if not folder.is_dir():
        print(f"no reference sets at {folder}: give their folder, or set MEDIMG_DATA")
        return
    print(table(rows(folder)))


if __name__ == "__main__":
    main()

"""dcm2niix (Li 2016) as a second engine, for series that are no single regular volume.

Siemens mosaics, time series, mixed multi-frame files and tilted gantries need vendor knowledge
that dcm2niix has collected for twenty years; its wheel carries the program. It sees links with
numbered names in a private folder, never names or paths of a patient, and what it says is not
quoted: it may hold what headers hold.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING

import dcm2niix

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import nifti, orientation
from medimg_gan.imaging.volume import Volume
from medimg_gan.read_options import PhilipsScaling

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

NAME = f"dcm2niix {importlib.metadata.version('dcm2niix')}"
FLAGS = ("-g", "i", "-b", "n", "-z", "n", "-d", "0", "-q", "n", "-f", "v")
"""No defaults file, no sidecar, no compression, no subfolders, outputs named v<part>.nii."""
SLOWEST_BYTES_A_SECOND = 2**20
LEAST_SECONDS = 60
MEMORY_FOR_INPUT, LEAST_MEMORY = 8, 4 * 2**30
"""Bytes of memory for each byte of input, and for any input: beyond is a damaged file."""
PREFIX, STALE_SECONDS = "medimg-gan-", 24 * 3600
LIMITED = 'ulimit -v "$0"; exec "$@"'


@dataclass(frozen=True)
class Part:
    """One NIfTI file that dcm2niix made.

    Attributes:
        name: What tells it from the others of the same series ("", "_e2", "_Tilt_1").
        shape: (I, J, K) in RAS order.
        affine: (4, 4), voxel index in RAS order -> mm in RAS+.
        volumes: Time points; 1 for a single volume.
    """

    name: str
    shape: tuple[int, int, int]
    affine: FloatArray
    volumes: int

    @property
    def resampled(self) -> bool:
        """Whether its voxels were interpolated (upright, evenly spaced)."""
        return "_Tilt" in self.name or "_Eq" in self.name

    @property
    def voxels(self) -> int:
        """Of all its volumes."""
        return math.prod(self.shape) * self.volumes


PartsOf = Callable[[tuple[Path, ...], PhilipsScaling], list[Part]]


def parts_of(paths: tuple[Path, ...], scaling: PhilipsScaling) -> list[Part]:
    """What dcm2niix makes of these files, in the order of names.

    Raises:
        UnreadableError: If it fails, takes too long or makes nothing.
    """
    folder = _converted(paths, scaling, _stamps(paths), os.getpid())
    return [_part(path) for path in sorted(folder.path.glob("v*.nii"))]


def read_part(
    paths: tuple[Path, ...], name: str, volume: int | None, scaling: PhilipsScaling
) -> Volume:
    """One volume of what dcm2niix makes of these files; modality and unit are the caller's.

    Args:
        paths: All files of the series.
        name: The part's.
        volume: Which frame of a part that has several; None where it has one.
        scaling: As in ``ReadOptions``.

    Raises:
        UnreadableError: If dcm2niix fails, or the part is not there any more.
    """
    folder = _converted(paths, scaling, _stamps(paths), os.getpid())
    path = folder.path / f"v{name}.nii"
    if not path.exists():
        raise UnreadableError(
            f"{paths[0].parent}: {NAME} does not give the volume that the index names",
            cause="files changed since they were indexed",
            fix="run the same command again",
        )
    read = nifti.read_nifti(path, volume=volume)
    # dcm2niix counts rows from the bottom; the images themselves do from the top.
    columns, rows, slices = read.stored
    own_order = columns + orientation.OPPOSITE[rows] + slices
    about = {"format": "dicom", "engine": NAME, "slices": str(read.array.shape[2])}
    return replace(read, stored=own_order, provenance=about)


def _part(path: Path) -> Part:
    shape, affine, _, volumes = nifti.nifti_grid(path)
    return Part(path.stem[1:], *orientation.grid_in_ras(shape, affine), volumes)


def _stamps(paths: tuple[Path, ...]) -> tuple[tuple[int, int], ...]:
    """Size and time of change: a changed file is converted anew."""
    try:
        states = [path.stat() for path in paths]
    except OSError as error:
        raise UnreadableError(f"{paths[0].parent}: a file of the series is gone") from error
    return tuple((state.st_size, state.st_mtime_ns) for state in states)


class _Folder:
    """A private folder that goes when nothing refers to it, or when its process ends.

    Unlike ``tempfile.TemporaryDirectory`` also at the end of a data loader's worker, which skips
    ``atexit``; what a killed process left behind goes a day later.
    """

    def __init__(self) -> None:
        for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(old)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        Finalize(self, shutil.rmtree, (self.path,), {"ignore_errors": True}, exitpriority=0)


@lru_cache(maxsize=1)  # the volumes of one time series are read one after another
def _converted(
    paths: tuple[Path, ...],
    scaling: PhilipsScaling,
    stamps: tuple[tuple[int, int], ...],
    owner: int,
) -> _Folder:
    """A folder of NIfTI files; ``owner`` keeps a forked worker from its parent's."""
    size = sum(size for size, _ in stamps)
    folder = _Folder()
    images = folder.path / "images"
    images.mkdir()
    for number, path in enumerate(paths):
        _link(path.absolute(), images / f"{number:06d}.dcm")
    command = [dcm2niix.bin, *FLAGS, "-p", "y" if scaling == "precise" else "n"]
    command += ["-o", str(folder.path), str(images)]
    if os.name == "posix":
        memory = max(LEAST_MEMORY, MEMORY_FOR_INPUT * size)
        command = ["/bin/sh", "-c", LIMITED, str(memory // 1024), *command]
    _run(command, size, paths[0].parent)
    shutil.rmtree(images)
    if not any(folder.path.glob("v*.nii")):
        raise UnreadableError(f"{paths[0].parent}: {NAME} finds no volume in it")
    return folder


def _run(command: list[str], size: int, place: Path) -> None:
    seconds = LEAST_SECONDS + size // SLOWEST_BYTES_A_SECOND
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise UnreadableError(
            f"{place}: {NAME} does not come to an end", observed=f"stopped after {seconds} s"
        ) from error
    except OSError as error:
        raise UnreadableError(
            f"{place}: {NAME} cannot be started",
            observed=error.strerror or "",
            cause="its wheel carries no program for this system",
        ) from error
    if done.returncode:
        raise UnreadableError(
            f"{place}: {NAME} cannot convert it",
            observed=f"exit status {done.returncode}",
            cause="damaged files, a compression that it does not know, or a full disk "
            f"(it writes to {tempfile.gettempdir()})",
        )


def _link(path: Path, place: Path) -> None:
    try:
        place.symlink_to(path)
    except OSError:  # not every system lets everybody make links
        shutil.copyfile(path, place)

"""A first look at a scan: its middle slice for the eye, and what its mask marks."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medimg_gan.data.masks import MaskAreas, measure_mask
from medimg_gan.data.scan import Scan
from medimg_gan.errors import DataError
from medimg_gan.imaging import Volume, read_files, read_series
from medimg_gan.modalities.ct import WINDOWS

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

CT_WINDOWS = ("brain", "bone", "lung")
"""Shown side by side; their values are those of a training."""
PERCENTILES = (1, 99)
"""Of the slice shown: black and white, where values are arbitrary."""
PLANES = {"R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal"}
SIDE = 208
"""Longest side of a thumbnail in pixels."""
WORTH_WORKERS = 24
"""From this many scans on, worker processes pay for their start."""
NOTED = ("geometry", "precision")
"""Entries of a volume's provenance that a person should know of."""


@dataclass(frozen=True)
class Picture:
    """One thumbnail: a PNG, how it was windowed, and its size in pixels."""

    png: bytes
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Look:
    """What a first look at one scan showed.

    Attributes:
        pictures: The middle slice, once for each window.
        plane: axial, coronal or sagittal; "" for a picture.
        areas: What the mask marks, None without a mask.
        notes: What decoding brought to light.
        reason: Why it cannot be shown, else "".
    """

    pictures: tuple[Picture, ...] = ()
    plane: str = ""
    areas: MaskAreas | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""


def look_at(scans: Iterable[Scan], count: int, *, pictures: bool) -> Iterator[tuple[Scan, Look]]:
    """Decode scans in order, in worker processes where there are enough.

    Only a few scans are under way at a time, so that memory does not grow with their number.

    Args:
        scans: What to look at.
        count: How many they are.
        pictures: Whether thumbnails are wanted; else only masks are measured.

    Raises:
        DataError: If a worker process dies.
    """
    workers = min(_processors(), 8)
    if count < WORTH_WORKERS or workers == 1:
        yield from ((scan, look(scan, pictures)) for scan in scans)
        return
    waiting: deque[tuple[Scan, Future[Look]]] = deque()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            for scan in scans:
                waiting.append((scan, pool.submit(look, scan, pictures)))
                if len(waiting) >= 3 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        except BrokenProcessPool as error:
            raise DataError(
                "a process that reads scans was killed",
                cause="the machine ran out of memory",
                fix="close other programs, then repeat",
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def look(scan: Scan, pictures: bool) -> Look:
    """Decode what a first look needs; what cannot be decoded gives a reason."""
    try:
        if not scan.mask and _one_file_a_slice(scan):
            # The middle file alone: a thousand series in minutes, not hours.
            volume = read_files([scan.series.paths[len(scan.series.paths) // 2]], _modality(scan))
        else:
            volume = read_series(scan.series)
        shape = volume.array.shape
        areas = measure_mask(scan.mask, shape, volume.affine) if scan.mask else None
    except DataError as error:
        return Look(reason=error.one_line())
    except OSError as error:
        return Look(reason=f"cannot be read: {error.strerror or error}")
    notes = tuple(volume.provenance[name] for name in NOTED if name in volume.provenance)
    if not pictures:
        return Look(areas=areas, notes=notes)
    plane, spacing, name = middle_plane(volume)
    windows = windows_of(plane, volume.unit, _modality(scan))
    shown = tuple(_picture(plane, spacing, *window) for window in windows)
    return Look(shown, "" if scan.series.format == "picture" else name, areas, notes)


def middle_plane(volume: Volume) -> tuple[FloatArray, tuple[float, float], str]:
    """The middle slice as it was acquired, in the radiological view.

    Returns:
        (rows, columns) with head or front at the top, and the patient's right (of a sagittal
        slice: the front) on the left; distance between rows and between columns in mm; and the
        plane's name.
    """
    along = next(
        axis for axis, letters in enumerate(("RL", "AP", "SI")) if volume.stored[2] in letters
    )
    plane = np.take(volume.array, volume.array.shape[along] // 2, axis=along)
    spacing = [volume.spacing[axis] for axis in range(3) if axis != along]
    name = PLANES.get(volume.stored[2], "axial")
    return plane[::-1, ::-1].T, (spacing[1], spacing[0]), name


def windows_of(plane: FloatArray, unit: str, modality: str) -> list[tuple[float, float, str]]:
    """Black, white and caption of each way to show a slice."""
    if unit == "HU":
        return [
            (low, high, f"{name} {(low + high) / 2:g}/{high - low:g}")
            for name, (low, high) in ((name, WINDOWS[name]) for name in CT_WINDOWS)
        ]
    if unit == "display":
        return [(0.0, 255.0, "as stored")]
    low, high = (float(value) for value in np.percentile(plane, PERCENTILES))
    return [(low, max(high, low + 1e-6), f"window {low:.4g} to {high:.4g}")]


def _picture(
    plane: FloatArray, spacing: tuple[float, float], low: float, high: float, caption: str
) -> Picture:
    grey = np.clip((plane - low) / (high - low), 0, 1) * 255
    height, width = (max(1.0, size * step) for size, step in zip(plane.shape, spacing, strict=True))
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(np.ascontiguousarray(grey.round().astype(np.uint8)))
    image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return Picture(buffer.getvalue(), caption, *size)


def _one_file_a_slice(scan: Scan) -> bool:
    series = scan.series
    plain = series.part is None and series.volume is None
    return plain and series.format == "dicom" and len(series.paths) > 1


def _modality(scan: Scan) -> str:
    return scan.modality or scan.series.modality


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1

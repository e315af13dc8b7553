"""Every volume decoded once: its slices in a memory-mapped file, read at random ever after.

Scans are known by their files (with size and time of change) and by how they are cut, each by
itself: an interrupted build goes on where it stopped, and a folder that grew costs only what is
new. Nothing in a cache names a file or a patient; the index is joined when it is opened.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medimg_gan.console import progress, say
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.decode import decoded
from medimg_gan.data.index import Index, Scan
from medimg_gan.data.slice_file import Entry, SliceFile, SliceWriter, mapped
from medimg_gan.data.transforms import Slices
from medimg_gan.errors import DataError
from medimg_gan.modalities.nyul import COLUMNS

FORMAT = 7
"""Raise when what a cache holds changes meaning."""

CORNERS = tuple(f"corner_{number}" for number in range(12))
"""Columns of where a scan's grid lies (``transforms.corners_of``)."""

BLANK_BELOW = 0.01
"""A slice with a smaller share of pixels above background is padding, not anatomy."""


@dataclass(frozen=True)
class SliceCache:
    """Decoded slices and a row of facts for each.

    Attributes:
        pictures: (M, size, size) int16 memory map; divide by ``STORED_MAX`` for [-1, 1].
        rows: N rows: picture (which of ``pictures``), scan (number), series, patient, modality,
            label, split, position, area, area_<mask value>, index (slice number), low, high (the
            scale's raw values), pixel_mm, unit, ``CORNERS`` (where the scan's grid lies), and MR's
            landmarks where the chain standardises histograms.
        problems: Scans that could not be decoded: path and reason.
        blank: Slices left out because nothing is on them.
    """

    pictures: np.ndarray
    rows: pd.DataFrame
    problems: list[dict[str, str]] = field(default_factory=list)
    blank: int = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """A process that is sent a cache maps the same file: no picture is copied."""
        rest = (self.rows, self.problems, self.blank)
        if isinstance(self.pictures, np.memmap) and self.pictures.filename:
            return _mapped_again, (str(self.pictures.filename), self.pictures.shape, *rest)
        return SliceCache, (self.pictures, *rest)


def _mapped_again(path: str, shape: tuple[int, ...], *rest: Any) -> SliceCache:
    return SliceCache(mapped(path, shape), *rest)


def build_cache(
    index: Index,
    size: int,
    folder: Path,
    *,
    strict: bool = False,
    workers: int = 2,
    chain: ChainConfig = DEFAULT_CHAIN,
) -> SliceCache:
    """Open the cache of an index, decoding what is not in it yet.

    Args:
        index: Scans whose modality is known.
        size: Side of the square pictures.
        folder: Where caches live.
        strict: Raise at a scan that cannot be decoded.
        workers: Processes that decode; each holds one volume in memory.
        chain: How scans become pictures.

    Raises:
        DataError: If no scan could be decoded, or one could not and ``strict`` is set.
    """
    file = SliceFile(folder / cache_name(index.root, size, chain), size)
    keys = [scan_key(scan) for scan in index.scans]
    entries = file.entries()
    passing: dict[str, str] = {}
    if any(key not in entries for key in keys):
        with file.writing() as writer:
            # Another process may have decoded some while this one waited for its turn.
            entries = file.entries()
            missing = {
                key: scan for key, scan in zip(keys, index.scans, strict=True) if key not in entries
            }
            entries |= _decode(missing, size, chain, writer, workers, passing)
    cache = _joined(index, keys, entries, file.pictures(), passing)
    _report_problems(cache, index, strict=strict)
    return cache


def cache_name(root: Path, size: int, chain: ChainConfig = DEFAULT_CHAIN) -> str:
    """A name for the folder that holds what a data folder's scans become under some settings."""
    words = json.dumps([str(root.resolve()), FORMAT, size, BLANK_BELOW, asdict(chain)])
    return hashlib.blake2b(words.encode(), digest_size=10).hexdigest()


def scan_key(scan: Scan) -> str:
    """A name for what decoding gives: files (with size and time of change), mask, settings.

    Labels and splits are not part of it: they are joined anew from the index.
    """
    files = (*scan.series.paths, *([scan.mask] if scan.mask else []))
    how = (scan.series.part, scan.series.volume, astuple(scan.series.options))
    words = json.dumps([[_stamp(path) for path in files], scan.modality, how])
    return hashlib.blake2b(words.encode(), digest_size=12).hexdigest()


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        state = path.stat()
    except OSError:  # gone since it was indexed: reading will say so
        return str(path), 0, 0
    return str(path), state.st_size, state.st_mtime_ns


def _decode(
    missing: dict[str, Scan],
    size: int,
    chain: ChainConfig,
    writer: SliceWriter,
    workers: int,
    passing: dict[str, str],
) -> dict[str, Entry]:
    """Decode scans and write them down; what may pass by itself is told, but not written."""
    entries: dict[str, Entry] = {}
    results = decoded(list(missing.values()), size, BLANK_BELOW, workers, chain)
    with progress("reading scans", len(missing), "scans") as ticker:
        for key, result in zip(missing, results, strict=True):
            if isinstance(result, Slices):
                columns = _columns(result)
                entries[key] = writer.add(key, result.pictures, columns, blank=result.blank)
            elif result.lasting:
                entries[key] = writer.refuse(key, result.reason)
            else:
                passing[key] = result.reason
            ticker.advance()
    return entries


def _columns(slices: Slices) -> dict[str, Any]:
    """What is known of each slice: an array, or one value for all."""
    return {
        "index": slices.index,
        "position": slices.position,
        **slices.areas.columns(),
        "low": slices.low,
        "high": slices.high,
        "pixel_mm": slices.pixel_mm,
        "unit": slices.unit,
        **dict(zip(CORNERS, slices.corners.tolist(), strict=True)),
        **dict(zip(COLUMNS, slices.landmarks.tolist(), strict=False)),
    }


def _joined(
    index: Index,
    keys: list[str],
    entries: dict[str, Entry],
    pictures: np.ndarray,
    passing: dict[str, str],
) -> SliceCache:
    """What was decoded, in the order of the index, with what the index says of it."""
    problems = []
    chosen: list[tuple[int, Entry]] = []
    for number, (key, scan) in enumerate(zip(keys, index.scans, strict=True)):
        entry = entries.get(key)
        reason = passing[key] if entry is None else entry.reason
        if reason or entry is None:
            problems.append({"path": scan.path, "reason": reason})
        else:
            chosen.append((number, entry))
    if not chosen:
        raise DataError(
            f"{index.root}: none of {len(index.scans)} scans could be decoded",
            observed=f"the first: {problems[0]['path']}: {problems[0]['reason']}",
        )
    rows = _table(index.scans, chosen)
    return SliceCache(pictures, rows, problems, sum(entry.blank for _, entry in chosen))


def _table(scans: list[Scan], chosen: list[tuple[int, Entry]]) -> pd.DataFrame:
    """One row a slice."""
    counts = [entry.count for _, entry in chosen]
    numbers = np.repeat([number for number, _ in chosen], counts)
    columns: dict[str, np.ndarray] = {
        "picture": np.concatenate(
            [np.arange(entry.first, entry.first + entry.count) for _, entry in chosen]
        ),
        "scan": numbers,
    }
    for name in dict.fromkeys(name for _, entry in chosen for name in entry.columns):
        values = [np.asarray(entry.columns.get(name, np.nan)) for _, entry in chosen]
        parts = [np.broadcast_to(part, count) for part, count in zip(values, counts, strict=True)]
        columns[name] = np.concatenate(parts)
    for name in ("patient", "modality", "label", "split"):
        columns[name] = np.array([getattr(scan, name) for scan in scans], object)[numbers]
    columns["series"] = np.array([scan.series.key for scan in scans], object)[numbers]
    return pd.DataFrame(columns)


def _report_problems(cache: SliceCache, index: Index, *, strict: bool) -> None:
    if cache.problems and strict:
        first = cache.problems[0]
        raise DataError(
            f"{index.root}: {len(cache.problems)} scans cannot be used, and --strict is on",
            observed=f"{first['path']}: {first['reason']}",
        )
    for problem in cache.problems:
        say(f"  left out: {problem['path']}: {problem['reason']}")
    if cache.blank:
        say(f"  left out: {cache.blank} blank slices (padding)")

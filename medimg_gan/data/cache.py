"""Every volume decoded once: all slices in one memory-mapped file, read at random ever after.

A cache folder is named by the files it was made from and by how; it is written beside its place
and renamed when complete, so a kill leaves nothing and two processes cannot spoil each other.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from monai.data.dataloader import DataLoader
from monai.data.dataset import Dataset

from medimg_gan.console import progress, say
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.index import Index, Scan
from medimg_gan.data.transforms import Slices, slicing_pipeline
from medimg_gan.errors import DataError, MedimgError
from medimg_gan.modalities.nyul import COLUMNS
from medimg_gan.runs import read_json, write_json

FORMAT = 2
"""Raise when what a cache holds changes meaning."""

BLANK_BELOW = 0.01
"""A slice with a smaller share of pixels above background is padding, not anatomy."""

STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class SliceCache:
    """Decoded slices and a row of facts for each.

    Attributes:
        pictures: (N, size, size) int16 memory map; divide by ``STORED_MAX`` for [-1, 1].
        rows: N rows: scan (number), series, patient, modality, label, split, position, area,
            index (slice number), low, high (the scale's raw values), pixel_mm,
            unit, and the landmarks of MR where the chain standardises them.
        problems: Scans that could not be decoded: path and reason.
        blank: Slices left out because nothing is on them.
    """

    pictures: np.ndarray
    rows: pd.DataFrame
    problems: list[dict[str, str]] = field(default_factory=list)
    blank: int = 0


def build_cache(
    index: Index,
    size: int,
    folder: Path,
    *,
    strict: bool = False,
    chain: ChainConfig = DEFAULT_CHAIN,
) -> SliceCache:
    """Open the cache of an index, decoding what it needs first if it is not there yet.

    Args:
        index: Scans whose modality is known.
        size: Side of the square pictures.
        folder: Where caches live.
        strict: Raise at the first scan that cannot be decoded.
        chain: How scans become pictures.

    Raises:
        DataError: If no scan could be decoded, or one could not and ``strict`` is set.
    """
    place = folder / cache_key(index, size, chain)
    if not (place / "manifest.json").exists():
        _remove_stale(folder)
        aside = folder / f".{place.name}.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            _decode_all(index, size, chain, aside)
            _put_in_place(aside, place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    cache = _open(place, index, size)
    _report_problems(cache, index, strict=strict)
    return cache


def cache_key(index: Index, size: int, chain: ChainConfig = DEFAULT_CHAIN) -> str:
    """A name for a cache's content: files (with size and time of change), masks and settings.

    Labels and splits are not part of it: they are joined anew from the index.
    """
    digest = hashlib.blake2b(digest_size=10)
    for scan in index.scans:
        files = (*scan.series.paths, *([scan.mask] if scan.mask else []))
        stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        how = (scan.series.part, scan.series.volume, astuple(scan.series.options))
        digest.update(json.dumps([stamps, scan.modality, how]).encode())
    digest.update(json.dumps([FORMAT, size, BLANK_BELOW, asdict(chain)]).encode())
    return digest.hexdigest()


class _Scans(Dataset):
    """A MONAI dataset that gives a scan's slices, or the reason why there are none."""

    def __init__(self, scans: list[Scan], size: int, chain: ChainConfig) -> None:
        self.pipelines = {
            with_mask: slicing_pipeline(size, BLANK_BELOW, with_mask=with_mask, chain=chain)
            for with_mask in (False, True)
        }
        super().__init__(scans)

    def __getitem__(self, index: int) -> tuple[int, Slices | str]:  # type: ignore[override]
        scan: Scan = self.data[index]
        item: dict[str, Any] = {
            "image": [str(path) for path in scan.series.paths],
            "modality": scan.modality,
            "series": scan.series,
        }
        if scan.mask:
            item["mask"] = str(scan.mask)
        try:
            result = self.pipelines[scan.mask is not None](item)
        except Exception as error:
            return index, _reason(error)
        return index, result["slices"]  # type: ignore[index]


def _reason(error: BaseException | None) -> str:
    """The user's error under the wrappers that MONAI puts around it; others are not hidden."""
    outer = error
    while error is not None:
        if isinstance(error, MedimgError):
            return error.one_line()
        if isinstance(error, OSError):
            return f"cannot be read: {error.strerror or error}"
        error = error.__cause__
    assert outer is not None
    raise outer


def _first(items: list[Any]) -> Any:
    return items[0]


def _decoded(
    scans: list[Scan], size: int, chain: ChainConfig
) -> Iterator[tuple[int, Slices | str]]:
    """Scans in order, decoded by worker processes when there are enough to pay for them."""
    workers = min(2, os.cpu_count() or 1) if len(scans) >= 16 else 0
    dataset = _Scans(scans, size, chain)
    yield from DataLoader(dataset, batch_size=1, num_workers=workers, collate_fn=_first)


def _decode_all(index: Index, size: int, chain: ChainConfig, folder: Path) -> None:
    rows, problems, blank = [], [], 0
    with (
        (folder / "slices.int16").open("wb") as file,
        progress("reading scans", len(index.scans), "scans") as ticker,
    ):
        for number, result in _decoded(index.scans, size, chain):
            if isinstance(result, str):
                problems.append({"path": index.scans[number].path, "reason": result})
            else:
                file.write(result.pictures.tobytes())
                rows.append(_rows(number, result))
                blank += result.blank
            ticker.advance()
    if not rows:
        raise DataError(
            f"{index.root}: none of {len(index.scans)} scans could be decoded",
            observed=f"the first: {problems[0]['path']}: {problems[0]['reason']}",
        )
    table = pd.concat(rows, ignore_index=True)
    table.to_csv(folder / "rows.csv", index=False)
    write_json(
        folder / "manifest.json",
        {"size": size, "slices": len(table), "problems": problems, "blank": blank},
    )


def _rows(number: int, slices: Slices) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scan": number,
            "index": slices.index,
            "position": slices.position,
            "area": slices.area,
            "low": slices.low,
            "high": slices.high,
            "pixel_mm": slices.pixel_mm,
            "unit": slices.unit,
            **dict(zip(COLUMNS, slices.landmarks, strict=False)),
        }
    )


def _open(place: Path, index: Index, size: int) -> SliceCache:
    manifest = read_json(place / "manifest.json")
    rows = pd.read_csv(place / "rows.csv")
    of_scan = pd.DataFrame(
        {
            "series": [scan.series.key for scan in index.scans],
            "patient": [scan.patient for scan in index.scans],
            "modality": [scan.modality for scan in index.scans],
            "label": [scan.label for scan in index.scans],
            "split": [scan.split for scan in index.scans],
        }
    )
    rows = rows.join(of_scan, on="scan")
    shape = (manifest["slices"], size, size)
    pictures = np.memmap(place / "slices.int16", np.int16, "r", shape=shape)
    return SliceCache(pictures, rows, manifest["problems"], manifest["blank"])


def _put_in_place(aside: Path, place: Path) -> None:
    try:
        aside.rename(place)
    except OSError:
        if not (place / "manifest.json").exists():
            raise
        # another process was faster with the same content


def _remove_stale(folder: Path) -> None:
    """Delete what killed builds left behind more than a day ago."""
    for path in folder.glob(".*.*"):
        if path.is_dir() and time.time() - path.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


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

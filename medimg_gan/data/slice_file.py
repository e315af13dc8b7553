"""Slices of many scans in one file that only grows, and a journal of whose they are.

Pictures are written first and journaled when they are safely on the disk: what a kill leaves
behind is either complete or ignored, and overwritten by the next process. The journal knows scans
by a hash; no path, no name.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from medimg_gan.console import say

PICTURES, JOURNAL, LOCK = "slices.int16", "scans.jsonl", "lock"
KEPT_AFTER_SECONDS = 5.0
"""What was decoded is journaled this often: a kill costs no more work than that."""


@dataclass(frozen=True)
class Entry:
    """What is known of one scan.

    Attributes:
        scan: Hash of the scan's files and of the settings it was cut by.
        first, count: Which pictures of the file are its own.
        blank: Slices left out because nothing is on them.
        reason: Why it has no pictures, or "".
        columns: Facts by name: a list with one value a slice, or one value for all.
    """

    scan: str
    first: int
    count: int
    blank: int
    reason: str
    columns: dict[str, Any]


class SliceFile:
    """One folder with a growing file of int16 pictures (size x size) and its journal.

    Any number of processes may read while one writes.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size

    def entries(self) -> dict[str, Entry]:
        """What the journal holds, by scan; a torn line, or pictures cut off, count as absent."""
        return {entry.scan: entry for entry in self._journaled()[0]}

    def pictures(self) -> np.ndarray:
        """(N, size, size) int16, a memory map of all that was written so far."""
        count = self._written() // self._bytes_each
        if not count:
            return np.empty((0, self.size, self.size), np.int16)
        shape = (count, self.size, self.size)
        return mapped(self.folder / PICTURES, shape)

    @contextmanager
    def writing(self) -> Iterator[SliceWriter]:
        """Alone among all processes, add scans; they are kept even if the block is interrupted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("ab") as lock:
            _wait_for(lock)
            entries, length = self._journaled()
            end = max((entry.first + entry.count for entry in entries), default=0)
            with (
                (self.folder / PICTURES).open("ab") as pictures,
                (self.folder / JOURNAL).open("ab") as journal,
            ):
                # What a killed process wrote and did not journal, or only in part.
                pictures.truncate(end * self._bytes_each)
                journal.truncate(length)
                writer = SliceWriter(pictures, journal, end)
                try:
                    yield writer
                finally:
                    writer.keep()

    @property
    def _bytes_each(self) -> int:
        return self.size * self.size * np.dtype(np.int16).itemsize

    def _written(self) -> int:
        path = self.folder / PICTURES
        return path.stat().st_size if path.exists() else 0

    def _journaled(self) -> tuple[list[Entry], int]:
        """The entries that can be used, and the journal's length up to the last of them."""
        path = self.folder / JOURNAL
        available = self._written() // self._bytes_each
        entries: list[Entry] = []
        length = 0
        for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n") or entry.first + entry.count > available:
                break
            entries.append(entry)
            length += len(line)
        return entries, length


class SliceWriter:
    """Adds scans to a :class:`SliceFile`; made by it."""

    def __init__(self, pictures: IO[bytes], journal: IO[bytes], end: int) -> None:
        self.files = pictures, journal
        self.end = end
        self.unkept: list[Entry] = []
        self.kept_at = time.monotonic()

    def add(
        self, scan: str, pictures: np.ndarray, columns: dict[str, Any], *, blank: int = 0
    ) -> Entry:
        """Append one scan's pictures, (K, size, size) int16."""
        self.files[0].write(np.ascontiguousarray(pictures, np.int16).tobytes())
        packed = {name: _packed(values) for name, values in columns.items()}
        return self._note(Entry(scan, self.end, len(pictures), blank, "", packed))

    def refuse(self, scan: str, reason: str) -> Entry:
        """Note that a scan has no pictures, and why."""
        return self._note(Entry(scan, self.end, 0, 0, reason, {}))

    def keep(self) -> None:
        """Bring the pictures to the disk, then the journal."""
        pictures, journal = self.files
        pictures.flush()
        os.fsync(pictures.fileno())
        journal.writelines(json.dumps(asdict(entry)).encode() + b"\n" for entry in self.unkept)
        journal.flush()
        os.fsync(journal.fileno())
        self.unkept.clear()
        self.kept_at = time.monotonic()

    def _note(self, entry: Entry) -> Entry:
        self.end += entry.count
        self.unkept.append(entry)
        if time.monotonic() - self.kept_at > KEPT_AFTER_SECONDS:
            self.keep()
        return entry


def mapped(path: Path | str, shape: tuple[int, ...]) -> np.memmap:
    """A map of int16 pictures whose pages all processes share.

    Private ("c"), as torch holds nothing that is read-only: writing would stay in the process.
    """
    return np.memmap(path, np.int16, "c", shape=shape)


def _packed(values: Any) -> Any:
    """A list, or one value where all are equal (NaN equals NaN)."""
    array = np.asarray(values)
    if array.ndim == 0:
        return array.item()
    same = len(array) and np.array_equal(
        array, np.broadcast_to(array[0], array.shape), array.dtype.kind == "f"
    )
    return array[0].item() if same else array.tolist()


def _wait_for(lock: IO[bytes]) -> None:
    """The system lets go of it when the file is closed, or the process ends."""
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("  another process is decoding these scans: waiting for it")
        fcntl.lockf(lock, fcntl.LOCK_EX)

"""What DICOM headers said, remembered: an unchanged file is never opened a second time.

One SQLite file among the slice caches. It holds no identity: files are known by a keyed hash of
their path, patients by their pseudonym, images and series by a hash of their UID. Only what was
read without a fault is remembered; a file with a problem is looked into again, and named again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydicom.uid import UID

from medimg_gan.console import progress, say
from medimg_gan.data.cores import usable_cores
from medimg_gan.data.pseudonyms import pseudonym
from medimg_gan.imaging import dcm2niix, dicom_header, dicom_kind
from medimg_gan.imaging.dcm2niix import Part
from medimg_gan.imaging.dicom_header import SliceHeader
from medimg_gan.imaging.find import Found, look_into
from medimg_gan.imaging.series import DICOM_MODALITIES, short_key
from medimg_gan.read_options import PhilipsScaling

ResultT = TypeVar("ResultT")
NAME = "headers.sqlite"
SOURCES = tuple(Path(file) for file in (__file__, dicom_header.__file__, dicom_kind.__file__))
"""Code that decides what a header says: when it changes, all is read anew."""
FIELDS = tuple(field.name for field in fields(SliceHeader) if field.name not in ("path", "fault"))
TABLE = "CREATE TABLE headers (file BLOB PRIMARY KEY, size INT, changed INT, said TEXT)"
LONGEST_NUMBER = 6
"""Digits of a number that is kept as it is: longer ones could be somebody's."""
INSERT = "INSERT OR REPLACE INTO headers VALUES (?, ?, ?, ?)"
MODALITIES_KEPT = {*DICOM_MODALITIES, "PT", "NM", "US", "MG", "OT", "SC"}
WORTH_WORKERS = 4000
"""New files from which worker processes pay: they take two seconds to start."""
MOST_WORKERS = 8
TAKEN_AT_ONCE = 64
"""Files that a worker takes at a time."""
ASKED_AT_ONCE = 500
"""Files that one query asks for."""
KEPT_AFTER = 2000
"""New files after which they are written down, so that an interrupted search loses few."""

Stamp = tuple[bytes, int, int]
"""A file's hashed path, its size, and its time of change in ns."""


class HeaderStore:
    """Looks into files for :func:`medimg_gan.imaging.find_series`, and remembers what it saw.

    Answers come in the order of the paths, whoever read them. A store that is damaged, or of an
    earlier version, is begun anew; one that cannot be written costs a note. Processes may share
    one.

    Args:
        folder: Of the slice caches.
        key: The project's secret key.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self.path = folder / NAME
        self.key = key
        self.usable = True
        words = [hashlib.blake2b(key).digest(), *(source.read_bytes() for source in SOURCES)]
        self.version = zlib.crc32(b"".join(words)) >> 1  # SQLite keeps a signed number

    def __call__(self, paths: Sequence[Path]) -> list[Found]:
        """The slices of each file, without identity in them, or why it cannot be used."""
        stamps = [_stamp(path, self.key) for path in paths]
        answers = self._try(lambda store: _remembered(store, paths, stamps), {})
        new = [place for place in range(len(paths)) if place not in answers]
        fresh: dict[int, Found] = {}
        try:
            for place, found in zip(new, self._read([paths[place] for place in new]), strict=True):
                answers[place] = fresh[place] = found
                if len(fresh) == KEPT_AFTER:
                    self._keep(fresh, stamps)
        finally:
            self._keep(fresh, stamps)
        return [answers[place] for place in range(len(paths))]

    def parts_of(self, paths: tuple[Path, ...], scaling: PhilipsScaling) -> list[Part]:
        """What dcm2niix makes of files, asked once (``medimg_gan.imaging.dcm2niix.parts_of``)."""
        stamps = [_stamp(path, self.key) for path in paths]
        words = json.dumps([[str(stamp) for stamp in stamps], scaling, dcm2niix.NAME])
        name = hashlib.blake2b(words.encode(), digest_size=16).digest()
        query = "SELECT said FROM headers WHERE file = ?"
        said = self._try(lambda store: store.execute(query, [name]).fetchone(), None)
        if said:
            return [
                Part(part, (i, j, k), np.array(affine), volumes)
                for part, (i, j, k), affine, volumes in json.loads(said[0])
            ]
        parts = dcm2niix.parts_of(paths, scaling)
        said = json.dumps(
            [(part.name, part.shape, part.affine.tolist(), part.volumes) for part in parts]
        )
        self._try(lambda store: store.execute(INSERT, (name, 0, 0, said)), None)
        return parts

    def _read(self, paths: list[Path]) -> Iterator[Found]:
        """Look into files: in worker processes where that pays, as parsing holds Python's lock."""
        if not paths:
            return
        look = partial(look_without_identity, key=self.key)
        workers = min(MOST_WORKERS, usable_cores())
        with progress("reading headers", len(paths), "files") as ticker:
            parallel = len(paths) >= WORTH_WORKERS and workers > 1
            with _mapped(workers) if parallel else _here() as mapped:
                for found in mapped(look, paths):
                    ticker.advance()
                    yield found

    def _keep(self, fresh: dict[int, Found], stamps: Sequence[Stamp | None]) -> None:
        """Write down what was read, and forget it here."""
        rows = []
        for place, found in fresh.items():
            stamp = stamps[place]
            if stamp and not isinstance(found, str) and not any(one.fault for one in found):
                rows.append((*stamp, _encoded(found)))
        fresh.clear()
        if rows:
            self._try(lambda store: store.executemany(INSERT, rows), None)

    def _try(self, work: Callable[[sqlite3.Connection], ResultT], otherwise: ResultT) -> ResultT:
        """Use the store in one transaction; without it, a search is slower and no worse."""
        for _ in range(2 if self.usable else 0):
            try:
                with closing(self._opened()) as store, store:
                    return work(store)
            except sqlite3.OperationalError as error:  # locked for long, a full disk
                say(f"  note: what headers said is not remembered: {self.path.name}: {error}")
                self.usable = False
                return otherwise
            except (sqlite3.DatabaseError, ValueError, TypeError):  # damaged
                self.path.unlink(missing_ok=True)
        return otherwise

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        store = sqlite3.connect(self.path, timeout=60)
        if store.execute("PRAGMA user_version").fetchone()[0] != self.version:
            store.executescript(
                f"BEGIN IMMEDIATE; DROP TABLE IF EXISTS headers; {TABLE}; "
                f"PRAGMA user_version = {self.version}; COMMIT"
            )
        return store


def look_without_identity(path: Path, key: bytes) -> Found:
    """:func:`medimg_gan.imaging.find.look_into`, with nobody's name in the answer."""
    found = look_into(path)
    return found if isinstance(found, str) else [_without_identity(one, key) for one in found]


def _without_identity(header: SliceHeader, key: bytes) -> SliceHeader:
    """Hash or drop whatever text a file's author could have put in."""
    image_type, echo, acquisition = header.kinds
    return replace(
        header,
        patient=header.patient and pseudonym(header.patient, key),
        series=header.series and short_key(header.series),
        image=header.image and short_key(header.image),
        modality=header.modality if header.modality in MODALITIES_KEPT else "",
        # The name of a class that nobody registered is its number.
        storage=header.storage if UID(header.storage).name != header.storage else "",
        # Acquisitions are put in order by their number; the others are only compared.
        kinds=(short_key(image_type), short_key(echo), _number(acquisition)),
        series_number=_number(header.series_number) or short_key(header.series_number),
    )


def _number(text: str) -> str:
    """A series' or acquisition's number, or "" for what is none."""
    return text if text.isdecimal() and len(text) <= LONGEST_NUMBER else ""


def _stamp(path: Path, key: bytes) -> Stamp | None:
    try:
        state = path.stat()
    except OSError:
        return None
    name = hashlib.blake2b(os.fsencode(path.absolute()), key=key, digest_size=16).digest()
    return name, state.st_size, state.st_mtime_ns


def _remembered(
    store: sqlite3.Connection, paths: Sequence[Path], stamps: Sequence[Stamp | None]
) -> dict[int, Found]:
    """Place -> slices, of each file that is as it was."""
    places = {stamp[0]: place for place, stamp in enumerate(stamps) if stamp}
    names = list(places)
    answers: dict[int, Found] = {}
    shared: dict[Any, Any] = {}
    for first in range(0, len(names), ASKED_AT_ONCE):
        some = names[first : first + ASKED_AT_ONCE]
        query = f"SELECT * FROM headers WHERE file IN ({','.join('?' * len(some))})"
        for *stamp, said in store.execute(query, some):
            place = places[stamp[0]]
            if tuple(stamp) == stamps[place]:
                answers[place] = _decoded(said, paths[place], shared)
    return answers


def _encoded(headers: Iterable[SliceHeader]) -> str:
    said = [[getattr(header, name) for name in FIELDS] for header in headers]
    return json.dumps(said, separators=(",", ":"))


def _decoded(said: str, path: Path, shared: dict[Any, Any]) -> list[SliceHeader]:
    """Headers again; equal values of a field are one object, as those of a series are.

    Of one field: 5, 5.0 and True are equal, and not the same.
    """
    headers = []
    for values in json.loads(said):
        kept = (tuple(value) if isinstance(value, list) else value for value in values)
        one = {
            name: shared.setdefault((name, value), value)
            for name, value in zip(FIELDS, kept, strict=True)
        }
        headers.append(SliceHeader(path=path, **one))
    return headers


@contextmanager
def _mapped(workers: int) -> Iterator[Callable[..., Iterable[Found]]]:
    """A ``map`` over worker processes; spawned, as a fork would copy torch's threads dead."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_leave_ctrl_c)
    try:
        yield partial(pool.map, chunksize=TAKEN_AT_ONCE)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _here() -> Iterator[Callable[..., Iterable[Found]]]:
    yield map


def _leave_ctrl_c() -> None:
    """Ctrl-C is the parent's to handle: it writes down what has been read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

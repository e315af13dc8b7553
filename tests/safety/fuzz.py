"""Spoil files and read them, in a process of its own: python fuzz.py FOLDER CASES SEED.

With no cases, the folder is read as it is. Prints one line of JSON. A process of its own can be
held to a limit of memory, may die of a fault in a decoder without taking the tests along, and shows
what it printed.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from medimg_gan.errors import MedimgError
from medimg_gan.imaging import find_series, read_series

SECONDS = 5
"""A spoilt file of a few kilobytes must be answered within this time."""
ADDRESS_SPACE = 16 * 2**30
"""Backstop of the system; what was really touched is measured as the peak of resident memory."""


class TooSlowError(BaseException):
    """Not an Exception: nothing in the reader may catch it."""


def spoilt(content: bytes, random: np.random.Generator) -> bytes:
    """Truncate, flip, overwrite, cut out, repeat or append; several of them now and then."""
    for _ in range(random.integers(1, 3)):
        content = _once(bytearray(content), random)
    return content


def _once(content: bytearray, random: np.random.Generator) -> bytes:
    if len(content) < 2:
        return bytes(content)
    # Half of all damage goes where the header is.
    reach = len(content) if random.random() < 0.5 else min(len(content), 1200)
    place = int(random.integers(reach))
    length = int(min(random.integers(1, 64), len(content) - place))
    match int(random.integers(10)):
        case 0:
            return bytes(content[:place])
        case 1 | 7 | 8:
            content[place] ^= 1 << int(random.integers(8))
        case 2:
            content[place : place + length] = random.bytes(length)
        case 3:
            content[place : place + length] = bytes([255]) * length
        case 4:
            content[place : place + length] = bytes(length)
        case 5:
            del content[place : place + length]
        case 6:
            content[place:place] = content[place : place + length]
        case _:
            word = (0, 1, 0x7FFF, 0x8000, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000)
            value = word[int(random.integers(len(word)))]
            content[place : place + 4] = value.to_bytes(4, "little")
    return bytes(content)


def read_all(folder: Path) -> tuple[str, list[str]]:
    """Find and decode everything below: "read", "refused" or "left out", and what was said."""
    series, problems = find_series(folder)
    outcome, said = "left out", [problem.reason for problem in problems]
    for one in series:
        try:
            volume = read_series(one)
            assert np.isfinite(volume.array).all()
            assert np.isfinite(volume.affine).all()
            outcome = "read"
        except MedimgError as error:
            outcome = "refused"
            said.append(str(error))
    return outcome, said


def _too_slow(*_: object) -> None:
    raise TooSlowError


def run(folder: Path, cases: int, seed: int) -> dict[str, object]:
    """Spoil each seed in turn until ``cases`` files were tried."""
    seeds = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".hdr")
    signal.signal(signal.SIGALRM, _too_slow)
    found: dict[str, int] = {}
    failures: list[str] = []
    slowest = 0.0
    if cases:
        read_all(folder)  # imports and first use are not the files' fault
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said: list[str] = []
    if not cases:
        signal.alarm(SECONDS * 4)
        _, said = read_all(folder)
        signal.alarm(0)
    for case in range(cases):
        original = seeds[case % len(seeds)]
        random = np.random.default_rng([seed, case])
        with tempfile.TemporaryDirectory() as place:
            pair = original.with_suffix(".hdr")
            if pair.exists():
                header = pair.read_bytes()
                (Path(place) / pair.name).write_bytes(spoilt(header, random))
            (Path(place) / original.name).write_bytes(spoilt(original.read_bytes(), random))
            start = time.perf_counter()
            signal.alarm(SECONDS)
            try:
                outcome, said = read_all(Path(place))
                if outcome == "left out" and not said:
                    failures.append(f"{original.name} [{seed}, {case}]: skipped in silence")
            except TooSlowError:
                outcome = "hung"
                failures.append(f"{original.name} [{seed}, {case}]: over {SECONDS} s")
            except BaseException as error:
                outcome = "crashed"
                last = traceback.extract_tb(error.__traceback__)[-1]
                failures.append(
                    f"{original.name} [{seed}, {case}]: {type(error).__name__} "
                    f"{Path(last.filename).name}:{last.lineno}"
                )
            signal.alarm(0)
            slowest = max(slowest, time.perf_counter() - start)
            found[outcome] = found.get(outcome, 0) + 1
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "cases": cases,
        "said": said if not cases else [],
        "outcomes": found,
        "failures": failures,
        "slowest_s": slowest,
        "grown_mb": (after - before) / 1024,
    }


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    result = run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps(result))

"""What every reader does with files that may be damaged or hostile.

The texts of other libraries' errors quote what a file holds, and that may be a patient's name: no
text of theirs reaches a message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medimg_gan.errors import MedimgError, UnreadableError

ROOM = 2**28
"""Bytes that a compressed file may grow to, however small it is."""
INFLATION = 200
"""Times that it may grow beyond that; scans shrink to a tenth, at best to a hundredth."""
SHARE_OF_MEMORY = 0.5


class LeftOutError(Exception):
    """A valid file that holds no scan; the text says what it is."""


@contextmanager
def refused(path: Path, problem: str, *, cause: str = "a damaged file") -> Iterator[None]:
    """Turn any exception of the block into an :class:`UnreadableError` that quotes no value.

    Args:
        path: The file.
        problem: What is wrong with it, in a few words.
        cause: The likely cause.
    """
    try:
        yield
    except (MedimgError, LeftOutError):
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableError(f"{path}: cannot be read", observed=reason) from None
    except Exception as error:  # pydicom and its decoders raise many kinds
        raise _unreadable(path, problem, error, cause) from None
    except BaseException as error:
        # What decoders written in Rust raise is no Exception.
        if type(error).__module__ != "pyo3_runtime":
            raise
        raise _unreadable(path, problem, error, cause) from None


def _unreadable(path: Path, problem: str, error: BaseException, cause: str) -> UnreadableError:
    return UnreadableError(
        f"{path}: {problem}",
        observed=type(error).__name__,
        cause=cause,
        fix="copy or export it again",
    )


def grows_too_much(claimed: int, stored: int) -> bool:
    """Whether ``stored`` bytes of compressed data cannot honestly be ``claimed`` bytes."""
    return claimed > max(ROOM, INFLATION * stored)


def refuse_beyond_memory(path: Path, needed: int) -> None:
    """Refuse what this machine could not hold.

    Args:
        path: The file.
        needed: Bytes that decoding it takes.

    Raises:
        UnreadableError: If that is more than half of the machine's memory.
    """
    if not hasattr(os, "sysconf"):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > SHARE_OF_MEMORY * memory:
        raise UnreadableError(
            f"{path}: too large for this machine",
            observed=f"decoding takes {needed >> 20} MiB of {memory >> 20} MiB",
            fix="crop it or store it at a lower resolution",
        )

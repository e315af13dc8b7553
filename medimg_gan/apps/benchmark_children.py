"""Work in a process of its own, with the memory of its whole family watched meanwhile."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

LOOKED_EVERY = 0.2
"""Seconds between two looks at the memory."""


def in_a_child(module: str, words: Sequence[str]) -> tuple[dict[str, Any], float | None]:
    """Run ``python -m module words``; the last line that it prints is JSON.

    Returns:
        What it printed, and the largest memory that it and its children held at one time, in MiB:
        the sum of their proportional set sizes, so that pages which several of them map are
        counted once. None without psutil.

    Raises:
        RuntimeError: If it fails.
    """
    command = [sys.executable, "-m", module, *words]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    peak = None
    while child.poll() is None:
        held = _held_by(child.pid)
        peak = held if peak is None else max(peak, held or 0.0)
        time.sleep(LOOKED_EVERY)
    out, errors = child.communicate()
    if child.returncode:
        raise RuntimeError(f"{' '.join(words)}: {errors.strip()[-2000:]}")
    return json.loads(out.strip().splitlines()[-1]), peak


def _held_by(pid: int) -> float | None:
    """MiB of a process and all its children."""
    try:
        import psutil
    except ImportError:
        return None
    held = 0.0
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(pid)
        for process in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.Error):  # ended meanwhile
                held += process.memory_full_info().pss
    return held / 2**20

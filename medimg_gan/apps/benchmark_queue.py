"""Verbs in processes of their own, some at a time, one thread each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from medimg_gan import runs
from medimg_gan.console import say

LOOKED_EVERY = 0.5
"""Seconds between two looks at the processes."""
LAUNCH = "from medimg_gan.apps.cli import main; main()"


@dataclass(frozen=True)
class Job:
    """Some verbs, one after the other.

    Attributes:
        title: For people.
        commands: Words of each command line, the verb first.
        log: File for what they print.
    """

    title: str
    commands: tuple[tuple[str, ...], ...]
    log: Path


def work(jobs: Sequence[Job | None], minutes: float, parallel: int) -> list[Job]:
    """Do what is left, telling how long it will take; return what failed.

    Args:
        jobs: One for every run of a benchmark; None where it is finished.
        minutes: Of each run, for the first guess.
        parallel: Jobs at the same time.
    """
    left = [job for job in jobs if job]
    say(f"\n{len(jobs) - len(left)} of {len(jobs)} runs are finished, {len(left)} are left")
    started, done = time.monotonic(), 0

    def told(job: Job, well: bool) -> None:
        nonlocal done
        done += 1
        remaining = (time.monotonic() - started) / done * (len(left) - done) / 60
        words = "done" if well else f"FAILED (see {job.log})"
        say(f"[{done}/{len(left)}] {job.title}: {words}; about {remaining:.0f} minutes left")

    if left:
        expected = len(left) * minutes / parallel
        say(
            f"about {expected:.0f} minutes, and some for the evaluations; Ctrl-C keeps what is done"
        )
    return work_off(left, parallel, told)


def is_finished(folder: Path, data: Path | None = None, **settings: object) -> bool:
    """Whether a folder holds the finished run with these settings, and on these data if given."""
    if not (folder / runs.MANIFEST).exists():
        return False
    manifest = runs.read_json(folder / runs.MANIFEST)
    found = manifest.get("config", {})
    same = all(found.get(name) == value for name, value in settings.items())
    same = same and (data is None or found.get("source", {}).get("data") == str(data))
    return bool(manifest.get("finished")) and same


def end(run: runs.Run, page: Path, failed: Sequence[Job]) -> None:
    """Say where the page is and what it lacks; a benchmark is finished when it lacks nothing."""
    say(f"\npage: {page}")
    if failed:
        logs = ", ".join(str(job.log) for job in failed)
        say(f"failed: {len(failed)} runs, which the page lacks; their last words are in {logs}")
        return
    run.finish()


def work_off(jobs: Sequence[Job], parallel: int, told: Callable[[Job, bool], None]) -> list[Job]:
    """Do all jobs; one that fails does not stop the others.

    Args:
        jobs: In this order.
        parallel: Jobs at the same time.
        told: Called with each job that ended, and whether it ended well.

    Returns:
        The jobs that failed.

    Raises:
        KeyboardInterrupt: On Ctrl-C or SIGTERM, once the processes have saved and ended.
    """
    waiting, failed = deque(jobs), []
    running: dict[Job, tuple[subprocess.Popen[bytes], deque[tuple[str, ...]]]] = {}
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                job = waiting.popleft()
                job.log.parent.mkdir(parents=True, exist_ok=True)
                job.log.unlink(missing_ok=True)
                commands = deque(job.commands)
                running[job] = start(commands.popleft(), job.log), commands
            time.sleep(LOOKED_EVERY)
            for job, (process, commands) in list(running.items()):
                status = process.poll()
                if status is None:
                    continue
                if status == 0 and commands:
                    running[job] = start(commands.popleft(), job.log), commands
                    continue
                del running[job]
                failed += [job] if status else []
                told(job, status == 0)
    finally:
        signal.signal(signal.SIGTERM, before)
        for process, _ in running.values():
            process.terminate()  # a training writes a checkpoint first
        for process, _ in running.values():
            process.wait()
    return failed


def start(words: tuple[str, ...], log: Path) -> subprocess.Popen[bytes]:
    """One verb, begun; what it prints is added to ``log``."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *words],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip

"""What a person reads while a verb runs: plain lines, and a progress bar on a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_LINE_SECONDS = 10.0
"""Without a terminal, one line of progress this often."""


def is_main_process() -> bool:
    """Whether this process is the one that speaks and writes (launchers set RANK or LOCAL_RANK)."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def say(message: str) -> None:
    """Print one message, from the main process only."""
    if is_main_process():
        print(message, flush=True)


class Ticker:
    """Handle on one piece of long work: ``advance`` it, ``note`` what is happening."""

    def __init__(self, title: str, total: float, unit: str, bar: Progress | None) -> None:
        self.title, self.total, self.unit, self.bar = title, total, unit, bar
        self.done = 0.0
        self.base = 0.0
        self.remark = ""
        self.started = self.last_line = time.monotonic()
        self.task = bar.add_task(title, total=total, remark="") if bar else TaskID(0)

    def start_at(self, done: float) -> None:
        """Begin with ``done`` units already there (a resumed run), left out of the rate."""
        self.done = self.base = done
        self._show()

    def advance(self, amount: float = 1.0) -> None:
        """Count ``amount`` more units as done."""
        self.done += amount
        self._show()

    def expect(self, total: float) -> None:
        """Correct the total, where it is an estimate (a budget in minutes)."""
        self.total = total
        if self.bar:
            self.bar.update(self.task, total=total)

    def note(self, remark: str) -> None:
        """Show a short remark beside the progress."""
        self.remark = remark

    def _show(self) -> None:
        now = time.monotonic()
        rate = (self.done - self.base) / max(now - self.started, 1e-9)
        if self.bar:
            remark = f"{rate:.2f} {self.unit}/s {self.remark}"
            self.bar.update(self.task, completed=self.done, remark=remark)
        elif now - self.last_line >= PLAIN_LINE_SECONDS and is_main_process():
            self.last_line = now
            left = (self.total - self.done) / max(rate, 1e-9)
            say(
                f"{self.title}: {self.done:.0f}/{self.total:.0f} {self.unit}, "
                f"{rate:.2f}/s, about {left:.0f} s left {self.remark}".rstrip()
            )


@contextmanager
def progress(title: str, total: float, unit: str = "steps") -> Iterator[Ticker]:
    """Show long work: a bar with rate and time left on a terminal, else a line now and then."""
    if not (sys.stdout.isatty() and is_main_process()):
        yield Ticker(title, total, unit, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=Console(file=sys.stdout)) as bar:
        yield Ticker(title, total, unit, bar)

"""Who trains the classifiers of a study: this process, or several side by side."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Self, TypeVar

import torch

from medimg_gan.classify import ClassifierConfig, seconds_per_step
from medimg_gan.errors import RunError
from medimg_gan.study.jobs import FitResult, Job, train_job
from medimg_gan.study.threads import one_thread

if TYPE_CHECKING:
    KeyT = TypeVar("KeyT")

WORTH_PROCESSES = 30.0
"""Seconds of work from which it pays to start processes (each imports torch first)."""


class Trainers:
    """Trains jobs one after another, or as many at once as there are processes.

    A context manager: the processes end with it. They are started by :meth:`begin` only. On
    several GPUs, jobs are dealt out in turns.

    Args:
        workers: Processes.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._speeds: dict[tuple[object, ...], float] = {}

    def begin(self, seconds: float) -> None:
        """Start the processes, if so much work (of one process) is worth them."""
        if self._pool is None and self.workers > 1 and seconds > WORTH_PROCESSES:
            self._pool = ProcessPoolExecutor(
                self.workers,
                mp_context=get_context("spawn"),
                initializer=_prepare,
                initargs=(torch.are_deterministic_algorithms_enabled(),),
            )

    @property
    def side_by_side(self) -> int:
        """How many jobs are trained at a time."""
        return 1 if self._pool is None else self.workers

    def seconds_per_step(
        self, config: ClassifierConfig, shape: tuple[int, int], classes: int
    ) -> float:
        """Of one classifier's training, while as many others train as will; measured once."""
        asked = (replace(config, steps=1), shape, classes, self.side_by_side)
        if asked not in self._speeds:
            self._speeds[asked] = self._measured(config, shape, classes)
        return self._speeds[asked]

    def _measured(self, config: ClassifierConfig, shape: tuple[int, int], classes: int) -> float:
        if self._pool is None:
            return _measure(config, shape, classes)
        with _death_told():
            for _ in ("while processes start", "while all compute"):
                asked = [
                    self._pool.submit(_measure, _on_device(config, number), shape, classes)
                    for number in range(self.workers)
                ]
                found = [one.result() for one in asked]
        return max(found)

    def train(
        self, jobs: Iterable[tuple[KeyT, Job]], advance: Callable[[float], None]
    ) -> Iterator[tuple[KeyT, FitResult]]:
        """Results with their keys, in whatever order they come.

        Args:
            jobs: Taken one by one, as they can be trained: memory holds only a few.
            advance: Called with the number of steps done.

        Raises:
            RunError: If a process ended by itself.
        """
        if self._pool is None:
            for key, job in jobs:
                yield key, train_job(job, lambda: advance(1))
            return
        waiting: dict[Future[FitResult], tuple[KeyT, int]] = {}
        with _death_told():
            for number, (key, job) in enumerate(jobs):
                job = replace(job, config=_on_device(job.config, number))
                waiting[self._pool.submit(train_job, job)] = (key, job.config.steps)
                # One more than can be trained, so that no process ever waits for its job.
                if len(waiting) > self.workers:
                    yield from _ended(waiting, advance)
            while waiting:
                yield from _ended(waiting, advance)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def _death_told() -> Iterator[None]:
    """A process that the system ended becomes an error of ours."""
    try:
        yield
    except BrokenProcessPool as error:
        raise RunError(
            "study: a process that trains classifiers ended by itself",
            cause="the system ended it, most often for want of memory",
            fix="--workers 1; what was trained is kept, the same command goes on",
        ) from error


def _ended(
    waiting: dict[Future[FitResult], tuple[KeyT, int]], advance: Callable[[float], None]
) -> Iterator[tuple[KeyT, FitResult]]:
    """Wait until a training has ended, and take all that have."""
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        key, steps = waiting.pop(future)
        advance(steps)
        yield key, future.result()


def _measure(config: ClassifierConfig, shape: tuple[int, int], classes: int) -> float:
    with one_thread():
        return seconds_per_step(config, shape, classes)


def _on_device(config: ClassifierConfig, number: int) -> ClassifierConfig:
    """The same on the GPU whose turn it is, where there are several."""
    count = torch.cuda.device_count() if config.device != "cpu" else 0
    return replace(config, device=f"cuda:{number % count}") if count > 1 else config


def _prepare(deterministic: bool) -> None:
    """What a process does before its first job: it must not outlive a parent that was killed."""
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()

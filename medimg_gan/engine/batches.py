"""Batches in order, on the device: a number is all that a resumed training needs of them."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric

if TYPE_CHECKING:
    from medimg_gan.types import Batch, Stream

MADE_AHEAD = 2
"""Batches that a thread prepares while an accelerator computes."""


class Batches:
    """The batches of one process.

    Process r of w takes the positions r, r + w, r + 2w, ... of the stream, so that w processes
    together read what one process with a w times larger batch would.

    Args:
        stream: Position -> batch of CPU tensors; a pure function, safe to call from a thread.
        fabric: Launched.
        ahead: Batches to prepare in a thread; 0 where the device is the CPU, which has nothing
            better to do meanwhile.

    Attributes:
        position: Batches handed out so far, over all processes.
        last: The batch handed out last, on the device; None before the first.
    """

    def __init__(self, stream: Stream, fabric: Fabric, ahead: int) -> None:
        self.stream, self.fabric, self.ahead = stream, fabric, ahead
        self.position = 0
        self.last: Batch | None = None
        self._pool = ThreadPoolExecutor(1, "batches", self._enter_thread) if ahead else None
        self._coming: deque[Future[Batch]] = deque()

    def start_at(self, position: int) -> None:
        """Continue from a position that an earlier part of the training reached."""
        self._coming.clear()
        self.position = position

    def take(self) -> Batch:
        """The next batch, on the device."""
        batch = self._read(self.position) if self._pool is None else self._next_of(self._pool)
        self.position += self.fabric.world_size
        batch = self.fabric.to_device(batch)
        self.last = batch
        return batch

    def close(self) -> None:
        """Stop the thread."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _next_of(self, pool: ThreadPoolExecutor) -> Batch:
        while len(self._coming) <= self.ahead:
            position = self.position + len(self._coming) * self.fabric.world_size
            self._coming.append(pool.submit(self._read, position))
        return self._coming.popleft().result()

    def _enter_thread(self) -> None:
        # Each thread has its own current GPU; pinning on the wrong one would occupy it.
        if self.fabric.device.type == "cuda":
            torch.cuda.set_device(self.fabric.device)

    def _read(self, position: int) -> Batch:
        batch = self.stream(position + self.fabric.global_rank)
        if self.fabric.device.type == "cuda":
            # Page-locked memory lets the copy run beside the computation.
            return {name: value.pin_memory() for name, value in batch.items()}
        return batch

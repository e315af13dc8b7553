"""The training's clock and its orders (save, stop), the same for every process."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lightning_fabric import Fabric

from medimg_gan.engine.runtime import Interrupts

SECONDS_BETWEEN_AGREEMENTS = 1.0
"""How often several processes agree (each time they wait for their devices)."""


@dataclass(frozen=True)
class Orders:
    """What the main process decides and every process follows.

    Attributes:
        elapsed: Seconds of training so far.
        save: Write a checkpoint now.
        stop: Save and stop now.
        look: Look at samples now.
        again_at: The step at which to agree next.
    """

    elapsed: float
    save: bool
    stop: bool
    look: bool
    again_at: int


class Clock:
    """Seconds of training, over all its resumed parts, as the main process reads them.

    Processes that read clocks and signals for themselves would disagree about the last step and
    wait for each other for ever. A single process reads them after every step.

    Args:
        fabric: Launched.
        checkpoint_minutes: Minutes between checkpoints.
        interrupts: Whether someone asked to stop.

    Attributes:
        elapsed: Seconds of training, as last agreed.
    """

    def __init__(self, fabric: Fabric, checkpoint_minutes: float, interrupts: Interrupts) -> None:
        self.fabric, self.interrupts = fabric, interrupts
        self.seconds_between_saves = 60 * checkpoint_minutes
        self.start(0, 0.0)

    def start(self, step: int, elapsed: float) -> None:
        """Begin to count, at a step that ``elapsed`` seconds of training led to."""
        self.elapsed = self._elapsed_before = elapsed
        self._first_step = self._again_at = step
        self._started = self._saved = time.monotonic()

    def saved(self) -> None:
        """A checkpoint was written just now."""
        self._saved = time.monotonic()

    def agree(self, step: int, look: bool = False) -> Orders:
        """The orders after a step; every process calls this with the same steps.

        Args:
            step: Steps done.
            look: Whether this process would look at samples now; the main one's wish counts.
        """
        if step < self._again_at:
            return Orders(self.elapsed, False, False, False, again_at=self._again_at)
        now = time.monotonic()
        orders = self.fabric.broadcast(
            Orders(
                elapsed=self._elapsed_before + now - self._started,
                save=now - self._saved >= self.seconds_between_saves,
                stop=self.interrupts.wanted,
                look=look,
                again_at=step + self._stride(step, now),
            )
        )
        self.elapsed, self._again_at = orders.elapsed, orders.again_at
        return orders

    def _stride(self, step: int, now: float) -> int:
        if self.fabric.world_size == 1:
            return 1
        steps_per_second = (step - self._first_step) / max(now - self._started, 1e-9)
        return max(1, int(SECONDS_BETWEEN_AGREEMENTS * steps_per_second))

"""Looks at the samples of a training on schedule; keeps the best weights; says when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medimg_gan.console import say
from medimg_gan.engine.alarms import copying
from medimg_gan.engine.checkpoint import read_tensors, save_weights
from medimg_gan.engine.look import Looker, Reference
from medimg_gan.engine.observer import refreshed
from medimg_gan.engine.rows import read_rows
from medimg_gan.engine.tracker import METRICS, round_figure
from medimg_gan.errors import CheckpointError
from medimg_gan.recipes.base import NoiseRecipe

if TYPE_CHECKING:
    from medimg_gan.engine.loop import Engine

WEIGHTS_BEST = "weights_best.pt"
"""The moving average with the lowest kernel distance to held-out slices, of the looks that found
no copies where there was one."""
SHARE = 0.05
"""Part of the time of a training that is bounded by minutes which looks may take."""
FIRST_LOOK_SECONDS = 10.0
"""What the first look is taken to cost, before any was measured."""


@dataclass
class Plateau:
    """Looks since the kernel distance last fell by more than its standard error, without copying.

    Attributes:
        patience: Looks without improvement after which to stop; 0 for never.
        best, at: Distance and step of the last improvement.
        waited: Looks since then.
    """

    patience: int
    best: float = math.inf
    at: int = 0
    waited: int = 0

    @property
    def reached(self) -> bool:
        """Whether patience is at its end."""
        return 0 < self.patience <= self.waited

    def see(self, step: int, distance: float, error: float, *, copies: bool = False) -> None:
        """Count one look; one that found copies is no improvement, however small its distance."""
        if distance < self.best - error and not copies:
            self.best, self.at, self.waited = distance, step, 0
        else:
            self.waited += 1


class Watch:
    """Looks, alarms, best weights and early stop of one training.

    A training that is bounded by steps is looked at every ``every`` steps, so that the best
    weights repeat bit by bit; one bounded by minutes as often as :data:`SHARE` of its time allows.
    Neither draws from the training's random state. The main process looks, the others are told.

    Args:
        reference: What samples are held against; None in all but the main process.
        every: Steps between two looks.
        patience: Looks without improvement after which training stops; 0 for never.
        by_clock: Whether the training is bounded by minutes.
    """

    def __init__(
        self, reference: Reference | None, every: int, *, patience: int = 0, by_clock: bool = False
    ) -> None:
        self.reference, self.every, self.by_clock = reference, every, by_clock
        self.plateau = Plateau(patience)
        self._looker: Looker | None = None
        self._next = 0.0

    @property
    def distance(self) -> str:
        """Name of the figure that chooses the best weights."""
        assert self.reference is not None
        return f"live/kid_{next(iter(self.reference.extractors))}"

    def start(self, engine: Engine) -> bool:
        """Begin, or go on from the figures on disk; whether training had stopped on a plateau."""
        self._next = time.monotonic() + FIRST_LOOK_SECONDS / SHARE
        if self.reference is not None:
            for row in read_rows(engine.folder / METRICS):
                self._judge(row)
        return engine.fabric.broadcast(self.plateau.reached)

    def wanted(self) -> bool:
        """Whether the clock asks for a look (for the main process to decide)."""
        return self.by_clock and time.monotonic() >= self._next

    def due(self, step: int, wanted: bool) -> bool:
        """Whether every process looks after this step; ``wanted`` as they agreed."""
        return wanted if self.by_clock else step % self.every == 0

    def look(self, engine: Engine) -> bool:
        """Look now; whether to stop, the same for every process.

        A failing look never ends a training, but it is said.
        """
        started = time.monotonic()
        if self.reference is not None:
            try:
                devices = [engine.fabric.device] if engine.fabric.device.type == "cuda" else []
                with torch.random.fork_rng(devices=devices):
                    torch.manual_seed(engine.plan.seed)
                    self._look(engine, self.reference)
            except Exception as error:  # whatever fails here, the training is worth more
                say(f"the look at step {engine.step} failed; training goes on\n  "
                    f"{type(error).__name__}: {error}")  # fmt: skip
        seconds = time.monotonic() - started
        engine.speed.leave_out(seconds)
        self._next = time.monotonic() + seconds / SHARE
        return engine.fabric.broadcast(self.plateau.reached)

    def _look(self, engine: Engine, reference: Reference) -> None:
        recipe, tracker, started = engine.recipe, engine.tracker, time.monotonic()
        assert isinstance(recipe, NoiseRecipe)
        assert tracker is not None
        averaged = refreshed(engine.ema, recipe, engine.networks)
        assert isinstance(averaged, NoiseRecipe)
        if self._looker is None:
            told = (recipe.spec.classes, recipe.spec.numbers) if recipe.conditional else ((), ())
            self._looker = Looker(reference, *told, engine.plan.seed)
        found = self._looker.figures(averaged)
        if engine.preview is not None:
            samples = averaged.preview(engine.preview, engine.plan.seed)["samples"]
            tracker.pictures(engine.step, self._looker.strip(samples), "neighbours")
        row = {name: round_figure(value) for name, value in found.items()}
        self._keep_best(engine, row)
        tracker.figures(engine.step, row | {"live/seconds": time.monotonic() - started})
        self._judge({"step": engine.step, **row})
        self._say(engine, row)

    def _judge(self, row: Mapping[str, Any]) -> None:
        """Count a row of figures, if it is of a look."""
        distance = row.get(self.distance)
        if distance is not None:
            error = row.get(f"{self.distance}_error") or 0.0
            self.plateau.see(row["step"], distance, error, copies=bool(copying(row)))

    def _keep_best(self, engine: Engine, row: Mapping[str, float]) -> None:
        """Write the weights if no others kept are better.

        A look without copies is better than one with: a generator that learns its patients by
        heart may still come nearer to held-out slices.

        What was kept speaks for itself, so a resumed training knows it, even after a kill. Bounded
        by steps, the same steps come to the same weights again. Bounded by minutes they may not,
        nor even get as far: what was kept may be of a step that the finished run never made, and
        stays the best all the same.
        """
        distance = row.get(self.distance)
        if distance is None:
            return
        facts = {
            "step": engine.step,
            "distance": distance,
            "standard_error": row.get(f"{self.distance}_error"),
            "features": self.distance.removeprefix("live/kid_"),
            "copying": copying(row),
        }
        kept = read_best(engine.folder)
        comparable = kept is not None and kept["features"] == facts["features"]
        if kept is None or not comparable or _rank(facts) <= _rank(kept):
            save_weights(engine.folder / WEIGHTS_BEST, engine.ema.recipe, facts)

    def _say(self, engine: Engine, row: Mapping[str, float]) -> None:
        best = read_best(engine.folder)
        if best is None:
            return
        name, distance = self.distance, row.get(self.distance, math.nan)
        floor = row.get(name.replace("live/", "floor/"), math.nan)
        say(
            f"look at step {engine.step}: kernel distance {distance:.3g} "
            f"± {row.get(f'{name}_error', math.nan):.2g} ({best['features']}; real slices "
            f"{floor:.2g}), diversity {row.get('live/diversity', math.nan):.2f} of real; "
            f"best so far at step {best['step']}" + _but(best)
        )
        if self.plateau.reached and self.plateau.at:
            say(
                f"stopping: in {self.plateau.waited} looks nothing was better than the "
                f"{self.plateau.best:.3g} of step {self.plateau.at} by more than its standard error"
            )
        elif self.plateau.reached:
            say(f"stopping: all {self.plateau.waited} looks found copies")


def _rank(facts: Mapping[str, Any]) -> tuple[bool, float]:
    """Lower is better: first without copies, then nearer to held-out slices."""
    return bool(facts.get("copying")), facts["distance"]


def _but(best: Mapping[str, Any]) -> str:
    """What is wrong with even the best weights; empty where nothing is."""
    found = best.get("copying")
    return f", for want of a look without {' or '.join(found)}" if found else ""


def read_best(folder: Path) -> dict[str, Any] | None:
    """What is known of a run's best weights; None without any.

    Step, distance, standard error, features, and the names of the alarms for copies that they set
    off (``copying``): empty but where every look had one.
    """
    try:
        return read_tensors(folder / WEIGHTS_BEST)["facts"]
    except CheckpointError:
        return None

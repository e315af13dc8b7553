"""How many steps a contender does in a while, on one core that nothing else disturbs.

Other work on the machine slows a training down by chance, and a training bounded by minutes
cannot repeat bit by bit. So speeds are measured first, in turns, in fresh processes, and their
best rounds taken; the trainings are bounded by the steps that follow. On a CPU the clock counts
only the time that the process itself computes (one thread, so that is what the wall clock would
count on an idle core): waiting for others is left out.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from medimg_gan import runs
from medimg_gan.apps.benchmark_children import in_a_child
from medimg_gan.console import say

CALIBRATION = "calibration.json"
ROUNDS = 3
PLAN = 160_000
"""Steps of the imagined training, in which the measured steps lie."""
STAGES = 4
"""Moments of a training at which steps are timed: growing networks become slower."""
PERIOD = 16
"""Steps timed together: a whole period of the lazy penalties."""


@dataclass(frozen=True)
class Timed:
    """What is timed: a recipe with settings, on images of a size.

    Attributes:
        title: Its name among the speeds.
        recipe: Key of ``RECIPES``.
        options: As for ``--set``.
        size: Side of the images in pixels.
        batch_size: Images per step.
        channels: Of each image.
        period: Steps timed together.
    """

    title: str
    recipe: str
    options: tuple[str, ...]
    size: int
    batch_size: int
    channels: int = 1
    period: int = PERIOD

    def words(self, seconds: float) -> list[str]:
        """The command line of :func:`child`."""
        numbers = (self.size, self.batch_size, self.channels, self.period, seconds)
        return [self.recipe, *map(str, numbers), *self.options]


def steps_within(run: Path, timed: Sequence[Timed], minutes: float, seconds: float) -> list[int]:
    """Steps of each contender in the budget; speeds measured before are kept.

    Args:
        run: The benchmark's folder; the speeds are written to its ``calibration.json``.
        timed: Contenders.
        minutes: The budget of each.
        seconds: How long a contender is timed in each round.
    """
    path = run / CALIBRATION
    known: dict[str, list[float]] = runs.read_json(path) if path.exists() else {}
    missing = {one.title: one for one in timed if one.title not in known}
    rounds: dict[str, list[float]] = {title: [] for title in missing}
    if missing:
        say(f"\nmeasuring speeds: {len(missing)} contenders, {ROUNDS} rounds")
    for turn in range(ROUNDS if missing else 0):
        for title, one in missing.items():
            say(f"  round {turn + 1}: {title}")
            rounds[title].append(in_a_child(__name__, one.words(seconds))[0]["steps_per_second"])
    if missing:
        known |= rounds
        runs.write_json(path, known)
    steps = [steps_of(minutes, known[one.title]) for one in timed]
    for one, count in zip(timed, steps, strict=True):
        say(f"  {one.title}: {max(known[one.title]):.2f} steps/s, {count} steps")
    return steps


def steps_of(minutes: float, rounds: Sequence[float]) -> int:
    """Steps in ``minutes`` at the best round's steps per second; one at the least."""
    return max(1, round(60 * minutes * max(rounds)))


def steps_per_second(
    recipe: str,
    options: tuple[str, ...],
    size: int,
    batch_size: int,
    seconds: float,
    channels: int = 1,
    period: int = PERIOD,
) -> float:
    """The engine's steps per second on one thread, a mean over the stages of a training."""
    import torch

    from medimg_gan.apps.benchmark_training import CLASSES, fake_batch
    from medimg_gan.apps.training import build
    from medimg_gan.engine.loop import Engine
    from medimg_gan.engine.runtime import make_fabric
    from medimg_gan.engine.settings import EngineConfig, Plan
    from medimg_gan.recipes import Spec

    torch.set_num_threads(1)
    batch = fake_batch(recipe, size, batch_size, channels)
    net = build(recipe, options, Spec(channels, size, CLASSES, mirror=True), seed=0)
    plan = Plan(PLAN, None, seed=0, batch_size=batch_size)
    with tempfile.TemporaryDirectory() as folder:
        fabric = make_fabric(EngineConfig())
        engine = Engine(fabric, net, lambda _: batch, plan, Path(folder), EngineConfig())
        clock = time.process_time if fabric.device.type == "cpu" else _after_the_device

        def seconds_per_step(stage: int) -> float:
            engine.step = PLAN * stage // STAGES
            begun = clock()
            for _ in range(period):
                engine.run_step()
            return (clock() - begun) / period

        seconds_per_step(0)  # warms up
        started, turns = clock(), []
        while not turns or clock() - started < seconds:
            turns.append(fmean(seconds_per_step(stage) for stage in range(STAGES)))
    return 1 / median(turns)


def _after_the_device() -> float:
    """The wall clock, once the device has done what it was told."""
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def child(
    recipe: str, size: str, batch_size: str, channels: str, period: str, seconds: str, *options: str
) -> None:
    """Measure one contender and print its speed."""
    numbers = int(size), int(batch_size), float(seconds), int(channels), int(period)
    print(json.dumps({"steps_per_second": steps_per_second(recipe, options, *numbers)}))


if __name__ == "__main__":
    child(*sys.argv[1:])

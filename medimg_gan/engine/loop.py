"""The loop that trains every recipe: the recipe says what to minimise, the engine does the rest."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_fabric import Fabric

from medimg_gan.console import Ticker, progress, say
from medimg_gan.engine import ema, state
from medimg_gan.engine.batches import MADE_AHEAD, Batches
from medimg_gan.engine.checkpoint import Checkpoints, save_weights
from medimg_gan.engine.clock import Clock
from medimg_gan.engine.networks import minimise, only_training, set_up
from medimg_gan.engine.observer import (
    Averages,
    Speed,
    agree_on_buffers,
    critic_scores,
    diverged,
    learning_rates,
    mean_over_processes,
    norm_of_weights,
    refreshed,
)
from medimg_gan.engine.runtime import Interrupts, autocast, seed_step
from medimg_gan.engine.settings import EngineConfig, Plan
from medimg_gan.engine.tracker import SAMPLES, Tracker
from medimg_gan.errors import CheckpointError, DivergenceError
from medimg_gan.files import clear_unfinished

if TYPE_CHECKING:
    from medimg_gan.engine.watch import Watch
    from medimg_gan.recipes.base import Phase, Recipe
    from medimg_gan.types import Batch, Stream

WEIGHTS = "weights.pt"
"""What a finished training leaves for sampling."""
CHECKPOINTS = "checkpoints"
"""Its folder of checkpoints, which hold the critic as well."""


class Engine:
    """Trains one recipe, in one folder, from where the folder's last checkpoint ends.

    Args:
        fabric: From :func:`medimg_gan.engine.runtime.make_fabric`.
        recipe: On the CPU, not yet wrapped; changed in place.
        stream: Position -> batch; of several processes each takes its own positions.
        plan: Budget, seed and batch size.
        folder: The run's; gets checkpoints, figures, sample grids and ``weights.pt``.
        settings: Schedule of checkpoints and figures.
        held_out: Images that training never sees, for the critics' scores; or None.
        preview: What ``recipe.preview`` is given; None for no sample grids.
        watch: Looks at the samples of a noise recipe; None for none.

    Attributes:
        recipe: The trained recipe, its networks wrapped.
        ema: Its moving average: sample from ``ema.recipe``.
        phases: What one step does, in order.
        step: Steps done.
        images_seen: Images of all steps, over all processes; the repeats of a phase not counted.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        stream: Stream,
        plan: Plan,
        folder: Path,
        settings: EngineConfig,
        *,
        held_out: Batch | None = None,
        preview: Batch | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.fabric, self.recipe, self.plan = fabric, recipe, plan
        recipe.images_per_step = plan.batch_size * fabric.world_size
        self.folder, self.settings, self.watch = folder, settings, watch
        self.ema = ema.Ema(recipe)
        fabric.to_device(self.ema.recipe)
        self.networks = set_up(fabric, recipe.train())
        self._update_average(decay=0.0)  # wrapping gave every process the first one's weights
        self.phases = recipe.phases()
        self.batches = Batches(stream, fabric, 0 if fabric.device.type == "cpu" else MADE_AHEAD)
        self.held_out = None if held_out is None else fabric.to_device(held_out)
        self.preview = None if preview is None else fabric.to_device(preview)
        self.checkpoints = Checkpoints(folder / CHECKPOINTS, settings.keep)
        self.interrupts = Interrupts()
        self.clock = Clock(fabric, settings.checkpoint_minutes, self.interrupts)
        self.averages, self.speed = Averages(), Speed()
        self.tracker: Tracker | None = None
        self.step = self.images_seen = 0

    @property
    def progress(self) -> float:
        """Part of the plan that is done, in [0, 1]."""
        return self.plan.progress(self.step, self.clock.elapsed)

    def fit(self) -> None:
        """Train until the plan is used up, then write ``weights.pt``.

        Raises:
            DivergenceError: If a loss or a weight is no longer finite.
            CheckpointError: If the folder's checkpoint does not fit, or none can be written.
            KeyboardInterrupt: After Ctrl-C or SIGTERM, once a checkpoint is written.
        """
        self.resume()
        if self.progress >= 1 and (self.folder / WEIGHTS).exists():
            return
        try:
            with self.interrupts:
                self._train()
                self.save()
                if self.fabric.is_global_zero:
                    averaged = refreshed(self.ema, self.recipe, self.networks)
                    save_weights(self.folder / WEIGHTS, averaged)
                self.fabric.barrier()
        finally:
            self.batches.close()
            if self.tracker is not None:
                self.tracker.close()
        if self.interrupts.wanted:
            raise KeyboardInterrupt

    def run_step(self) -> None:
        """One step: each phase that is due, then the moving average."""
        seed_step(self.plan.seed, self.fabric.global_rank, self.step, self.fabric.device)
        progress = self.progress
        self.recipe.begin_step(progress)
        factor = self.recipe.learning_rate_factor(progress)
        for net in self.networks.values():
            net.scale_learning_rate(factor)
        for phase in self.phases:
            if self.step % phase.every == 0:
                self.run_phase(phase)
        agree_on_buffers(self.fabric, self.recipe)
        images = self.recipe.images_per_step
        half_life = self.recipe.ema_half_life(images)
        self._update_average(ema.decay(images, half_life, self.images_seen))
        self.images_seen += images
        self.step += 1

    def run_phase(self, phase: Phase) -> None:
        """Update the networks of one phase, as often as it repeats, each time on a new batch."""
        with only_training(self.networks, phase.trains):
            for _ in range(phase.repeats):
                batch = self.batches.take()
                with autocast(self.fabric):
                    loss, logs = phase.loss(batch)
                nets = [self.networks[name] for name in phase.trains]
                norms = minimise(self.fabric, nets, loss, self.settings.clip_norm)
                self.averages.note({f"loss/{phase.name}": loss.detach(), **logs, **norms})

    def resume(self) -> None:
        """Continue from the newest whole checkpoint of the folder, if there is one.

        Raises:
            CheckpointError: If it belongs to another training, or all of them are damaged.
        """
        found: Path | CheckpointError | None = None
        if self.fabric.is_global_zero:
            clear_unfinished(self.folder, self.checkpoints.folder, self.folder / SAMPLES)
            try:
                found = self.checkpoints.newest()
            except CheckpointError as error:
                found = error  # the other processes wait to be told
        found = self.fabric.broadcast(found)
        if isinstance(found, CheckpointError):
            raise found
        if found is not None:
            state.restore(self, found, self.checkpoints.load(found))
            say(f"continuing from {found}")

    def save(self) -> None:
        """Write a checkpoint: the main process writes, all wait.

        Raises:
            DivergenceError: If a weight is not finite; nothing is written then.
            CheckpointError: If the disk refuses.
        """
        started = time.monotonic()
        if not math.isfinite(norm_of_weights(self.networks, self.ema.recipe).item()):
            raise self._diverged(["weights"])
        content = state.collect(self)
        if self.fabric.is_global_zero:
            self.checkpoints.save(self.step, content)
        self.fabric.barrier()
        self.clock.saved()
        self.speed.leave_out(time.monotonic() - started)

    def _train(self) -> None:
        if self.fabric.is_global_zero:
            settings = {**state.identity(self.recipe, self.plan), **asdict(self.settings)}
            self.tracker = Tracker(self.folder, self.step, settings, self.recipe.averaged)
        self.clock.start(self.step, self.clock.elapsed)
        self.speed.start(self.step)
        title = f"training {type(self.recipe).__name__}"
        ended = self.watch is not None and self.watch.start(self)
        with progress(title, self.plan.steps or 1) as ticker:
            ticker.start_at(self.step)
            while self.progress < 1 and not ended:
                self.run_step()
                ended = self._on_schedule(ticker)
                if self.plan.minutes is not None:  # the number of steps is an estimate
                    ticker.expect(math.ceil(self.step / self.progress))
                ticker.advance()

    def _on_schedule(self, ticker: Ticker) -> bool:
        """Figures, pictures, look, checkpoint, stop: whichever is due; whether training is done."""
        watch = self.watch
        orders = self.clock.agree(self.step, look=watch is not None and watch.wanted())
        last = self.progress >= 1
        if last or self.step % self.settings.log_every == 0:
            self._write_figures(ticker)
        if last or self.step % self.settings.preview_every == 0:
            self._write_pictures()
        if watch is not None and (last or watch.due(self.step, orders.look)):
            last = watch.look(self) or last
        if last:
            return True  # ``fit`` saves, and only then heeds a wish to stop
        if orders.stop:
            say(f"stopping after step {self.step}: writing a checkpoint")
            self.save()
            raise KeyboardInterrupt
        if orders.save:
            self.save()
        return False

    def _update_average(self, decay: float) -> None:
        self.ema.update({name: net.module for name, net in self.networks.items()}, decay)

    def _write_figures(self, ticker: Ticker) -> None:
        """One row of averages, scores, rates and speed; stop if an average is not finite."""
        weights = norm_of_weights(self.networks, self.ema.recipe)
        figures = mean_over_processes(
            self.fabric, {**self.averages.take(), "weights/norm": weights}
        )
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        losses = [(name[5:], value) for name, value in figures.items() if name.startswith("loss/")]
        ticker.note(" ".join(f"{name} {value:.3g}" for name, value in losses))
        if self.tracker is not None:
            speed = self.speed.take(self.step)
            images = speed * self.recipe.images_per_step
            figures |= learning_rates(self.networks)
            figures |= {"speed/steps_per_second": speed, "speed/images_per_second": images}
            figures |= {"speed/elapsed_seconds": self.clock.elapsed}
            if not bad:
                averaged = refreshed(self.ema, self.recipe, self.networks)
                figures |= critic_scores(averaged, self.batches.last, self.held_out)
            self.tracker.figures(self.step, figures)
        if bad:
            raise self._diverged(bad)

    def _write_pictures(self) -> None:
        """A sample grid of the moving average, always from the same noise or images."""
        if self.tracker is None or self.preview is None:
            return
        started = time.monotonic()
        averaged = refreshed(self.ema, self.recipe, self.networks)
        self.tracker.pictures(self.step, averaged.preview(self.preview, self.plan.seed))
        self.speed.leave_out(time.monotonic() - started)

    def _diverged(self, what: list[str]) -> DivergenceError:
        error = diverged(self.folder, self.step, what, self.checkpoints.last)
        if self.tracker is not None:
            observed = f"not finite: {', '.join(what)}"
            self.tracker.ring(self.step, "divergence", observed, error.cause, error.fix)
        return error

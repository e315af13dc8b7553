"""What a user may set about the engine, and the budget of a training (imports nothing heavy)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medimg_gan.errors import ConfigError


@dataclass(frozen=True)
class EngineConfig:
    """Where and how a training runs; none of it changes what is learnt but for rounding.

    Attributes:
        accelerator: Where to compute; auto takes a GPU if there is one.
        devices: Processes on this machine, one per GPU (torchrun sets this by itself).
        precision: auto takes bf16-mixed where the hardware has fast bfloat16, else 32-true.
        checkpoint_minutes: Minutes between checkpoints; one more is written at the end.
        keep: Checkpoints to keep, the newest ones.
        log_every: Steps between two rows of figures; the finite check goes with them.
        preview_every: Steps between two sample grids.
        clip_norm: Largest gradient norm of a network; 0 leaves gradients as they are.
        watch_every: Steps between two looks at the samples of a GAN from noise (distances,
            diversity, copies, alarms, best weights); a training bounded by minutes looks as often
            as a twentieth of its time allows instead. 0 never looks.
        watch_features: Extractors of the looks, as evaluate names them; the first one's kernel
            distance chooses the best weights.
    """

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    checkpoint_minutes: float = 5.0
    keep: int = 2
    log_every: int = 50
    preview_every: int = 500
    clip_norm: float = 0.0
    watch_every: int = 1000
    watch_features: tuple[str, ...] = ("efficientnet-lite0",)

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: If a count is below 1 or a duration below 0.
        """
        for name in ("devices", "keep", "log_every", "preview_every"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"engine.{name} must be at least 1", observed=f"found {getattr(self, name)}"
                )
        for name in ("checkpoint_minutes", "clip_norm", "watch_every"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"engine.{name} must not be negative", observed=f"found {getattr(self, name)}"
                )
        if not self.watch_features:
            raise ConfigError("engine.watch_features: name at least one extractor")


@dataclass(frozen=True)
class Plan:
    """How long to train, from which seed, on how many images at a time.

    Attributes:
        steps: Steps in all, or None.
        minutes: Wall clock of the training in minutes, over all its resumed parts, or None.
            A training that is bounded by minutes cannot be repeated bit by bit.
        seed: Source of every random number.
        batch_size: Images in a batch of one process.
    """

    steps: int | None
    minutes: float | None
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        """Refuse a plan without an end.

        Raises:
            ConfigError: If there is neither a positive ``steps`` nor a positive ``minutes``.
        """
        if self.steps is None and self.minutes is None:
            raise ConfigError("the training has no end", fix="give --steps N or --minutes M")
        for name, value in (("steps", self.steps), ("minutes", self.minutes)):
            if value is not None and value <= 0:
                raise ConfigError(f"{name} must be positive", observed=f"found {value}")
        if self.batch_size < 1:
            raise ConfigError("batch_size must be positive", observed=f"found {self.batch_size}")

    def progress(self, step: int, elapsed: float) -> float:
        """Part of the budget that is used, in [0, 1]: the larger of steps' and minutes' part.

        Args:
            step: Steps done.
            elapsed: Seconds of training so far.
        """
        of_steps = step / self.steps if self.steps is not None else 0.0
        of_minutes = elapsed / (60.0 * self.minutes) if self.minutes is not None else 0.0
        return min(1.0, max(of_steps, of_minutes))

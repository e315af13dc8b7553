"""Alarms in plain words: what went wrong in a training, by which figure, and what to do."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from medimg_gan.console import say
from medimg_gan.engine.rows import append_row, forget_after, read_rows

ALARMS = "alarms.jsonl"
GRADIENT = "gradient_norm/"

LEAST_VARIETY = 1 / 3
"""Variety of samples over that of real slices below which a generator has collapsed."""
OVERFITTED = 0.8
"""Part of the way from training images' scores to fakes' at which held-out images are seen."""
TELLS_APART = 0.9
"""Accuracy below which a critic knows too little for that part to mean anything."""
SURE, ROWS_SURE = 0.99, 10
"""Accuracy of a critic that cannot be fooled, and for how many rows of figures it must last."""
VANISHED = 0.05
"""Part of the largest gradient so far below which a generator learns nothing."""
LEAST_DISTANCE = 0.5
"""Typical distance of samples to training slices over that of held-out slices."""
MOST_COPIES = 0.1
"""Share of samples that may be far nearer to a training slice than held-out slices are."""
MOST_DUPLICATES = 5
"""Samples of one look that may be nearer to another than any two training slices are. Samples that
are as varied as training slices, and as many, have more with a chance of (1 / 2)^6."""

History = Mapping[str, Sequence[float]]
"""Figure -> its finite values so far, oldest first."""


@dataclass(frozen=True)
class Alarm:
    """One onset of a fault."""

    step: int
    name: str
    words: str


@dataclass(frozen=True)
class Rule:
    """When an alarm rings.

    Attributes:
        name: Of the alarm.
        reads: Beginnings of the names of the figures that it reads; it is asked when one is new.
        judge: History -> what was observed against what is allowed, or None.
        cause: The likely one.
        fix: What to do.
    """

    name: str
    reads: tuple[str, ...]
    judge: Callable[[History], str | None]
    cause: str
    fix: str


class Alarms:
    """Each alarm once per onset: to ``alarms.jsonl`` and the console; for the main process.

    The state after a resumption follows from the figures on disk, so that none is said twice.

    Args:
        folder: The run's.
        step: Where the training begins or continues.
        figures: Rows of figures up to there.
        generators: Names of the networks that users sample from (``Recipe.averaged``): the
            gradients of no other say whether the critic still teaches.

    Attributes:
        raised: All onsets, oldest first.
    """

    def __init__(
        self,
        folder: Path,
        step: int,
        figures: Iterable[Mapping[str, object]],
        generators: Iterable[str] = (),
    ) -> None:
        self.path = folder / ALARMS
        self._gradients = {f"{GRADIENT}{name}" for name in generators}
        forget_after(self.path, step)
        self.raised = [Alarm(**row) for row in read_rows(self.path)]
        self._history: defaultdict[str, list[float]] = defaultdict(list)
        self._ringing: set[str] = set()
        for row in figures:
            self._onsets(row)

    def see(self, step: int, figures: Mapping[str, object]) -> list[Alarm]:
        """Judge a new row of figures; the alarms that it sets off."""
        return [
            self.ring(step, rule.name, observed, rule.cause, rule.fix)
            for rule, observed in self._onsets(figures)
        ]

    def ring(self, step: int, name: str, observed: str, cause: str, fix: str) -> Alarm:
        """Set off one alarm."""
        alarm = Alarm(step, name, f"{observed}; likely cause: {cause}; what to do: {fix}")
        self.raised.append(alarm)
        append_row(self.path, asdict(alarm))
        say(f"ALARM at step {step}: {name}\n  {observed}\n  likely cause: {cause}\n  fix: {fix}")
        return alarm

    def _onsets(self, figures: Mapping[str, object]) -> list[tuple[Rule, str]]:
        """Rules that ring now and did not before, with what they observed."""
        found = []
        for name, value in figures.items():
            read = any(name.startswith(rule.reads) for rule in RULES)
            if name.startswith(GRADIENT):
                read = name in self._gradients
            if read and isinstance(value, int | float) and math.isfinite(value):
                self._history[name].append(float(value))
        for rule in RULES:
            if not any(name.startswith(rule.reads) for name in figures):
                continue
            observed = rule.judge(self._history)
            if observed is None:
                self._ringing.discard(rule.name)
            elif rule.name not in self._ringing:
                self._ringing.add(rule.name)
                found.append((rule, observed))
        return found


def _collapse(history: History) -> str | None:
    newest = {
        name.removeprefix("live/"): values[-1]
        for name, values in history.items()
        if name.startswith(("live/diversity", "live/variety"))
    }
    name, value = min(newest.items(), key=lambda item: item[1], default=("", 1.0))
    if value >= LEAST_VARIETY:
        return None
    measure = "MS-SSIM" if name == "variety" else "pixel distance"
    kind = f" of class {name.partition('/')[2]}" if "/" in name else ""
    return (
        f"the variety of samples{kind} is {value:.2f} of real slices' by {measure} "
        f"(alarm below {LEAST_VARIETY:.2f})"
    )


def _overfitting(history: History) -> str | None:
    shares = history.get("live/critic_overfitting", ())[-2:]
    accuracy = history.get("live/critic_accuracy", (0.0,))[-1]
    if len(shares) < 2 or min(shares) < OVERFITTED or accuracy < TELLS_APART:
        return None
    return (
        f"the critic puts held-out real slices {100 * shares[-1]:.0f} % of the way from training "
        f"slices to fakes, two looks in a row (alarm from {100 * OVERFITTED:.0f} %)"
    )


def _too_strong(history: History) -> str | None:
    accuracy = history.get("scores/critic_accuracy", ())[-ROWS_SURE:]
    if len(accuracy) < ROWS_SURE or min(accuracy) < SURE:
        return None
    for name, norms in history.items():
        if name.startswith(GRADIENT):
            part = float(np.median(norms[-ROWS_SURE:])) / max(*norms, 1e-30)
            if part < VANISHED:
                return (
                    f"the critic was right {100 * min(accuracy):.0f} % of the time for "
                    f"{ROWS_SURE} rows of figures, and the gradient of the "
                    f"{name.partition('/')[2]} fell to {100 * part:.1f} % of its largest (alarm "
                    f"from {100 * SURE:.0f} % and below {100 * VANISHED:.0f} %)"
                )
    return None


def _memorisation(history: History) -> str | None:
    distance = history.get("live/nearness", (1.0,))[-1]
    copies = history.get("live/copies", (0.0,))[-1]
    if distance >= LEAST_DISTANCE and copies <= MOST_COPIES:
        return None
    return (
        f"samples lie at {distance:.2f} of the distance to training slices that held-out slices "
        f"have (alarm below {LEAST_DISTANCE:.2f}), and {100 * copies:.0f} % of them are far "
        f"nearer than held-out slices ever are (alarm above {100 * MOST_COPIES:.0f} %)"
    )


def _duplicates(history: History) -> str | None:
    found = history.get("live/duplicates", (0.0,))[-1]
    if found <= MOST_DUPLICATES:
        return None
    return (
        f"{found:.0f} samples of one look are nearer to another than any two different training "
        f"slices are (alarm above {MOST_DUPLICATES})"
    )


def copying(row: Mapping[str, object]) -> list[str]:
    """Names of the alarms that one row of figures sets off for repeating images, real or its own.

    Samples that repeat may still come ever nearer to held-out slices: these figures, not the
    distance, say so.
    """
    history = {
        name: [float(value)]
        for name, value in row.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
    judges = {"duplicates": _duplicates, "memorisation": _memorisation}
    return [name for name, judge in judges.items() if judge(history) is not None]


RULES = (
    Rule(
        "mode collapse",
        ("live/diversity", "live/variety"),
        _collapse,
        "the generator ignores its noise: a few images are enough to please the critic",
        "look at samples/; train with the recipe cgan, whose pairing resists collapse, or with a "
        "stronger penalty or a lower learning rate (--set NAME=VALUE; a wrong name lists all)",
    ),
    Rule(
        "duplicates",
        ("live/duplicates",),
        _duplicates,
        "the generator comes back to some images again and again: too few patients for so long a "
        "training",
        "count them with evaluate.py --copies; vary the slices (--vary 1), add patients, or show "
        "the critic several images at once (--set pack=2 or minibatch=deviation)",
    ),
    Rule(
        "critic overfitting",
        ("live/critic_overfitting", "live/critic_accuracy"),
        _overfitting,
        "the critic knows the training slices by heart: too few patients for so long a training",
        "stop earlier (--patience 5), add patients, or augment more and penalise more (--set)",
    ),
    Rule(
        "critic too strong",
        ("scores/critic_accuracy", GRADIENT),
        _too_strong,
        "the critic tells all fakes, so the generator's loss is flat and teaches it nothing",
        "a relativistic recipe (cgan) or a Wasserstein loss (wgan-gp), a stronger penalty, or a "
        "lower learning rate of the critic (--set)",
    ),
    Rule(
        "memorisation",
        ("live/nearness", "live/copies"),
        _memorisation,
        "the generator repeats training slices, which may be recognisable patients",
        "look at samples/neighbours_*.png; vary the slices (--vary 1) or add patients, and do "
        "not share these samples",
    ),
)
"""Every alarm but "divergence", which the loop sets off itself."""

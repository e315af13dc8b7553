"""The filters by name: what a synthetic slice must satisfy to be used.

To add a stage: one line in STAGES, and the function in ``filter_fits`` that fits it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medimg_gan.errors import ConfigError
from medimg_gan.metrics.neighbours import COPY_QUANTILE
from medimg_gan.metrics.prdc import NEAREST
from medimg_gan.study.filter_fits import (
    CRITIC_QUANTILE,
    DENSITY_QUANTILE,
    Fitted,
    TrainingSide,
    fit_agreement,
    fit_copies,
    fit_critic,
    fit_density,
    held_back,
    several_patients,
)

K_CENTRE = "k-centre"


@dataclass(frozen=True)
class Stage:
    """One filter.

    Attributes:
        title: What was wrong with the slices it throws away.
        about: One sentence for the report.
        limit: Where it draws the line.
        fit: Learns the line; None for the choice among those that passed all others.
        shows_nearest: Whether the nearest training slice explains why.
        by_features: Whether slices are described by features, which is what takes time.
        needs: Raises a DataError where the training slices are too few to learn from.
    """

    title: str
    about: str
    limit: str
    fit: Callable[[TrainingSide], Fitted] | None
    shows_nearest: bool = False
    by_features: bool = False
    needs: Callable[[TrainingSide], object] = lambda side: None


STAGES: dict[str, Stage] = {
    "copies": Stage(
        "nearly a copy of a training slice",
        "Nearer in pixels to a training slice than slices of different patients are to each other.",
        f"distance at least the {COPY_QUANTILE:.0%} quantile of training slices to those of other "
        "patients",
        fit_copies,
        shows_nearest=True,
        needs=several_patients,
    ),
    "agreement": Stage(
        "taken for another class",
        "A classifier of the real training slices, its best state chosen on training patients held "
        "back, gives the slice its own class.",
        "own class the most probable",
        fit_agreement,
        needs=held_back,
    ),
    "density": Stage(
        "unlike any training slice",
        "The slice lies where training slices lie, in feature space.",
        f"inside the radii (to the {NEAREST}th nearest of other patients) of as many training "
        f"slices as all but {DENSITY_QUANTILE:.0%} of real ones are, and of one at least",
        fit_density,
        shows_nearest=True,
        by_features=True,
        needs=several_patients,
    ),
    "critic": Stage(
        "not convincing to the critic",
        "The GAN's critic scores the slice like a real one.",
        f"at least the {CRITIC_QUANTILE:.0%} quantile of its scores of training slices",
        fit_critic,
    ),
    K_CENTRE: Stage(
        "too like another that was kept",
        "Of twice as many as needed, those that together lie nearest to all (greedy k-centre).",
        "as many as needed, each the farthest from those chosen before",
        None,
        by_features=True,
    ),
}
"""Every filter that ``--filters`` can name."""


def check_stages(names: tuple[str, ...]) -> None:
    """Refuse a chain of filters that cannot be.

    Raises:
        ConfigError: If a name is unknown or twice there, none is given, or the choice is not last.
    """
    for name in names:
        if name not in STAGES:
            raise ConfigError(
                f"study: filter '{name}' is not known", fix=f"choose from {', '.join(STAGES)}"
            )
    shown = "+".join(names)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"study: filters '{shown}': name each once, and at least one")
    if K_CENTRE in names[:-1]:
        raise ConfigError(
            f"study: filters '{shown}': {K_CENTRE} chooses among those that passed the others",
            fix="name it last",
        )

"""What a study has to do and how fast it goes: the arithmetic of its cost, and its words."""

from __future__ import annotations

from dataclasses import dataclass

from medimg_gan.study.cost import in_words

GAN_SHARE = 0.6
"""Of a budget in minutes; the classifiers get the rest."""

SECONDS_TO_REPORT = 60.0
"""What intervals, pictures and the report take."""

FEWEST_STEPS, MOST_STEPS = 50, 2000
"""Classifier steps that a budget in minutes may lead to."""

FEWEST_GAN_STEPS = 100
"""A GAN that could train for less in its share of the minutes is refused."""


@dataclass(frozen=True)
class Work:
    """What is to be done, and how fast it goes.

    Attributes:
        gans: GANs to train.
        gan_step: Seconds of one step of a GAN.
        classifiers: Classifiers to train.
        step: Seconds of one step of a classifier.
        looks: Steps that take as long as a classifier's looks at validation and test.
        beside: Classifiers trained at a time.
        alone: Classifiers of filters, which train one at a time.
        described: Slices of which features are taken, for filters and fidelity.
        description: Seconds of one such slice.
    """

    gans: int
    gan_step: float
    classifiers: int
    step: float
    looks: float
    beside: int
    alone: int = 0
    described: int = 0
    description: float = 0.0

    @property
    def turns(self) -> float:
        """Trainings of a classifier one after another."""
        return self.classifiers / self.beside + self.alone

    @property
    def features(self) -> float:
        """Seconds of all features."""
        return self.described * self.description

    @property
    def rest(self) -> float:
        """Seconds of all that is no training."""
        return self.features + SECONDS_TO_REPORT

    def classifier_seconds(self, steps: float) -> float:
        """All classifiers, of so many steps each."""
        return self.turns * (steps + self.looks) * self.step

    def classifier_steps(self, seconds: float) -> float:
        """Steps of each in so many seconds for all and the rest; may be below 0."""
        return (seconds - self.rest) / (self.turns * self.step) - self.looks

    def least_minutes(self) -> float:
        """The smallest budget that leaves the fewest steps to each."""
        of_gans = self.gans * FEWEST_GAN_STEPS * self.gan_step / GAN_SHARE
        share = 1 - GAN_SHARE if self.gans else 1.0
        of_classifiers = (self.classifier_seconds(FEWEST_STEPS) + self.rest) / share
        return max(of_gans, of_classifiers) / 60

    @property
    def gans_in_words(self) -> str:
        """How many there are."""
        return f"{self.gans} GAN{'s' * (self.gans != 1)}"

    @property
    def rest_in_words(self) -> str:
        """Features and report, with what they take."""
        return (
            f"features of about {self.described} slices ({in_words(self.features)}) and the report "
            f"({in_words(SECONDS_TO_REPORT)})"
        )

    def say_steps(self, gan_steps: int, classifier_steps: int) -> str:
        """What a study bounded by steps takes."""
        of_gans = self.gans * gan_steps * self.gan_step
        of_classifiers = self.classifier_seconds(classifier_steps)
        return (
            f"cost: {self.gans_in_words} of {gan_steps} steps ({self.gan_step:.3f} s each, "
            f"{in_words(of_gans)}), then {self.classifiers} classifiers of {classifier_steps} "
            f"steps ({self.step:.3f} s each{self._beside()}, {in_words(of_classifiers)}), "
            f"{self.rest_in_words}: about {in_words(of_gans + of_classifiers + self.rest)} in all"
        )

    def say_minutes(self, asked: float, left: float, each_gan: float, steps: float) -> str:
        """How a budget in minutes is shared out."""
        return (
            f"cost: of {asked:g} min, {left:.1f} are left: {each_gan:.1f} for "
            f"{'the GAN' if self.gans == 1 else f'each of {self.gans} GANs'} (about "
            f"{60 * each_gan / self.gan_step:.0f} steps of {self.gan_step:.3f} s), then about "
            f"{min(steps, MOST_STEPS):.0f} steps ({self.step:.3f} s each{self._beside()}) for each "
            f"of {self.classifiers} classifiers, beside {self.rest_in_words}"
        )

    def _beside(self) -> str:
        return f", {self.beside} at a time" if self.beside > 1 else ""

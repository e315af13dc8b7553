"""Whom a GAN knows, by the split of its own training."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from medimg_gan.errors import SplitError


@dataclass(frozen=True)
class KnownPatients:
    """Pseudonyms in a GAN's split file.

    Attributes:
        learnt: Those it learnt from.
        chose: Those that chose its best weights: its validation patients.
    """

    learnt: frozenset[str]
    chose: frozenset[str]

    @staticmethod
    def of(split: Mapping[str, str]) -> KnownPatients:
        """Those of a split: patient -> train, val or test."""
        parts = (
            frozenset(patient for patient, part in split.items() if part == name)
            for name in ("train", "val")
        )
        return KnownPatients(*parts)

    def refuse(self, place: str, *, foreign: Set[str], tested: Set[str], fix: str) -> None:
        """Refuse a GAN that knows whom it must not.

        Args:
            place: What is refused, for the message.
            foreign: Those among ``learnt`` that are no training patients here.
            tested: Test patients here.
            fix: What to do.

        Raises:
            SplitError: If it learnt from one, or a test patient chose its weights.
        """
        wrong = len(self.learnt & foreign), len(self.chose & tested)
        if any(wrong):
            raise SplitError(
                f"{place}: knows patients that are held out here",
                observed=f"{wrong[0]} of its {len(self.learnt)} training patients are no training "
                f"patients here, {wrong[1]} of its {len(self.chose)} validation patients are test "
                "patients here",
                cause="another seed, other data or another project key gave another split",
                fix=fix,
            )

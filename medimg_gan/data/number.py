"""One number that images are conditioned on: its scale, and what to draw of it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.errors import ConfigError

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray, IntArray

FURTHEST = 1.5
"""Standardised values end here; [-1, 1] holds nearly all training slices."""


@dataclass(frozen=True)
class Number:
    """One number that images are conditioned on, as learnt from training slices.

    Attributes:
        name: As asked for.
        low, high: 1st and 99th percentile, rounded outwards; standardised to -1 and 1.
        deciles: 11 rounded values, from low to high, for each class (one row without classes).
        whole: Whether training slices have whole numbers only; then no other is drawn.
    """

    name: str
    low: float
    high: float
    deciles: tuple[tuple[float, ...], ...]
    whole: bool = False

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Number:
        """From what a manifest keeps of ``dataclasses.asdict``."""
        deciles = tuple(tuple(of_class) for of_class in plain["deciles"])
        return cls(plain["name"], plain["low"], plain["high"], deciles, plain["whole"])

    def standardised(self, values: FloatArray) -> FloatArray:
        """Values in the column's own unit -> float32, linear, bounded by ``FURTHEST``."""
        half = (self.high - self.low) / 2
        return np.clip((values - self.middle) / half, -FURTHEST, FURTHEST).astype(np.float32)

    @property
    def middle(self) -> float:
        """The middle of the range, standardised to 0."""
        return (self.low + self.high) / 2

    def restored(self, values: FloatArray) -> FloatArray:
        """Standardised values -> the column's own unit; the inverse of :meth:`standardised`."""
        return self.middle + values * (self.high - self.low) / 2

    def drawn(self, label: int, uniform: FloatArray) -> FloatArray:
        """Values in the column's own unit, as frequent as in the training slices of a class.

        Args:
            label: Class number, 0 without classes.
            uniform: Any shape, in [0, 1].
        """
        values = np.interp(uniform, np.linspace(0, 1, 11), self.deciles[label])
        return np.round(values) if self.whole else values


def standardised(numbers: tuple[Number, ...], values: FloatArray) -> FloatArray:
    """(N, K) values in the columns' own units -> (N, K) float32 as networks take them."""
    columns = [number.standardised(values[:, place]) for place, number in enumerate(numbers)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(values), 0), np.float32)


def fixed_numbers(numbers: tuple[Number, ...], fixed: Mapping[str, float]) -> FloatArray:
    """(K,) float32 as networks take them: those fixed, the others in the middle of their range.

    Args:
        numbers: K of them.
        fixed: Name -> value, in the column's own unit.

    Raises:
        ConfigError: If a fixed name is unknown, or its value outside the training's range.
    """
    _refuse_unlearnt(numbers, fixed)
    values = [one.standardised(np.array(fixed.get(one.name, one.middle))) for one in numbers]
    return np.array(values, np.float32)


def draw_numbers(
    numbers: tuple[Number, ...],
    labels: IntArray,
    seed: int,
    fixed: Mapping[str, float] | None = None,
) -> FloatArray:
    """Values of each number: fixed, or drawn as frequent as in the training slices of the class.

    Each is drawn by itself; what they have in common beyond the class is lost.

    Args:
        numbers: K of them.
        labels: (N,) class numbers, zeros without classes.
        seed: Equal seeds give equal values, and a larger N begins with the same ones.
        fixed: Name -> value for all images, in the column's own unit.

    Returns:
        (N, K) in the columns' own units.

    Raises:
        ConfigError: If a fixed name is unknown, or its value outside the training's range.
    """
    fixed = fixed or {}
    _refuse_unlearnt(numbers, fixed)
    uniform = np.random.default_rng([seed, 2]).random((len(labels), len(numbers)))
    values = np.empty_like(uniform)
    for place, number in enumerate(numbers):
        for label in np.unique(labels).tolist():
            some = labels == label
            values[some, place] = number.drawn(label, uniform[some, place])
        if number.name in fixed:
            values[:, place] = fixed[number.name]
    return values


def _refuse_unlearnt(numbers: tuple[Number, ...], fixed: Mapping[str, float]) -> None:
    known = {number.name: number for number in numbers}
    ranges = ", ".join(f"{one.name} {one.low:g} to {one.high:g}" for one in numbers)
    for name, value in fixed.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"{name}={value:g}: this GAN knows no such number",
                observed=f"it was conditioned on: {ranges or 'none'}",
                fix=f"did you mean {near[0]} ?" if near else f"train with --condition {name}",
            )
        number = known[name]
        if not number.low <= value <= number.high:
            raise ConfigError(
                f"{name}={value:g}: this GAN never saw such slices",
                observed=f"{name} of its training slices: {number.low:g} to {number.high:g}",
                fix="choose a value in that range",
            )

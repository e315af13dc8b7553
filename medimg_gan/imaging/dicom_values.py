"""Real values as 16-bit integers with Rescale Slope and Intercept: exactly wherever that can be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.valuerep import format_number_as_ds

from medimg_gan.errors import DataError
from medimg_gan.imaging.volume import Volume

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

FRACTIONS = (0.5, 0.25, 0.125, 0.1, 0.05, 0.01)
"""Steps that are tried where nothing tells the slope."""
INTEGERS = (np.dtype(np.int16), np.dtype(np.uint16))


@dataclass(frozen=True)
class StoredValues:
    """What is written.

    Attributes:
        pixels: (slices, rows, columns) int16 or uint16.
        rescale: Slope and intercept of each slice.
        loss: What was lost in words, or "".
    """

    pixels: np.ndarray
    rescale: tuple[tuple[float, float], ...]
    loss: str = ""


def in_16_bits(slices: FloatArray, volume: Volume, folder: Path) -> StoredValues:
    """Find integers, slopes and intercepts that give the values again.

    Whole numbers keep slope 1; what was read from DICOM gets its own slopes again; fractions with
    a common step in ``FRACTIONS`` get that. All else is rounded, HU to whole numbers and signals
    to 1/32767 of the largest, and ``loss`` says so.

    Args:
        slices: (slices, rows, columns) float32.
        volume: Says unit and provenance.
        folder: For messages.

    Raises:
        DataError: If values are not finite, or HU do not fit.
    """
    largest = float(np.abs(slices).max(initial=0))
    if not np.isfinite(largest):
        raise DataError(f"{folder}: NaN or infinite values cannot be written as DICOM")
    pairs = [(1.0, 0.0), *_noted(volume), *((step, 0.0) for step in FRACTIONS)]
    exact = _exact(slices, pairs)
    if exact:
        return exact
    if volume.unit == "HU" and largest >= 2**15:
        raise DataError(
            f"{folder}: CT numbers do not fit into 16 bits",
            observed=f"the largest is {largest:g} HU, expected below 32768",
            cause="values that are not HU",
        )
    slope = 1.0 if volume.unit == "HU" else _as_written(largest / 32767)
    # A slope written with fewer digits may end a hair too small: hence the clip.
    pixels = np.clip(np.rint(slices / slope), -32768, 32767).astype(np.int16)
    loss = "rounded to whole HU" if volume.unit == "HU" else f"rounded to steps of {slope:.3g}"
    return StoredValues(pixels, ((slope, 0.0),) * len(slices), loss)


def _noted(volume: Volume) -> list[tuple[float, float]]:
    """Slopes and intercepts that the reader noted in the provenance, as a header can hold them."""
    noted = volume.provenance.get("rescale", "")
    pairs = [pair.split() for pair in noted.split(";") if pair]
    return [(_as_written(float(slope)), _as_written(float(more))) for slope, more in pairs]


def _exact(slices: FloatArray, pairs: list[tuple[float, float]]) -> StoredValues | None:
    """Integers of 16 bits that give every value bit by bit, or None."""
    for kind in INTEGERS:
        pixels, rescale = np.empty(slices.shape, kind), []
        for place, values in enumerate(slices):
            # Neighbouring slices mostly share a slope.
            for pair in [*rescale[-1:], *pairs]:
                steps = _steps(values, pair, kind)
                if steps is not None:
                    pixels[place] = steps
                    rescale.append(pair)
                    break
            else:
                break
        if len(rescale) == len(slices):
            return StoredValues(pixels, tuple(rescale))
    return None


def _steps(
    values: FloatArray, pair: tuple[float, float], kind: np.dtype[np.integer]
) -> np.ndarray | None:
    """The integers of one slice, or None if they do not give the values again."""
    slope, intercept = pair
    steps = np.rint((values.astype(np.float64) - intercept) / slope)
    fits = np.iinfo(kind).min <= steps.min() and steps.max() <= np.iinfo(kind).max
    again = (steps * slope + intercept).astype(np.float32)
    return steps if fits and np.array_equal(again, values) else None


def _as_written(number: float) -> float:
    """The number that a Decimal String of 16 characters holds."""
    return float(format_number_as_ds(number))

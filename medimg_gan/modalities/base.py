"""A modality: raw values <-> float32 in [-1, 1], and what may be done to its images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Scale:
    """The linear map of one volume's raw values to [-1, 1], kept so that it inverts.

    Attributes:
        low: Raw value that becomes -1.
        high: Raw value that becomes 1.
    """

    low: float
    high: float

    def encode(self, raw: FloatArray) -> FloatArray:
        """Raw values, any shape -> float32 in [-1, 1], clipped outside [low, high]."""
        unit = (np.asarray(raw, np.float32) - self.low) / (self.high - self.low)
        return np.clip(2 * unit - 1, -1, 1).astype(np.float32)

    def decode(self, encoded: FloatArray) -> FloatArray:
        """The inverse of :meth:`encode` for values inside [low, high]; float32."""
        unit = (np.asarray(encoded, np.float32) + 1) / 2
        return (self.low + unit * (self.high - self.low)).astype(np.float32)


class Modality(Protocol):
    """How one kind of image is read into a network and back."""

    @property
    def name(self) -> str:
        """Key in ``MODALITIES``."""
        ...

    @property
    def mirror(self) -> bool:
        """Whether a left-right flip leaves a plausible image (heads yes; a chest's heart moves)."""
        ...

    @property
    def calibrated(self) -> bool:
        """Whether raw values have a unit of their own (HU), so that brightness means tissue."""
        ...

    def fit(self, raw: FloatArray, unit: str) -> Scale:
        """The scale of one volume.

        Args:
            raw: Values of the whole volume, any shape.
            unit: "HU", "signal" (arbitrary) or "display" (8-bit grey levels of a picture).

        Raises:
            ModalityError: If the values cannot be of this modality.
        """
        ...

    def foreground(self, raw: FloatArray, unit: str) -> Mask:
        """Where the body is, roughly: bool of the same shape, air and padding left out."""
        ...


def above_a_tenth(raw: FloatArray) -> Mask:
    """Where values exceed a tenth of the robust maximum (the 99.9th percentile).

    Zero is the floor, or the lowest value where some are negative.
    """
    low = min(0.0, float(np.min(raw)))
    return raw > low + 0.1 * (float(np.percentile(raw, 99.9)) - low)


DISPLAY = Scale(0.0, 255.0)
"""Grey levels of an 8-bit picture: a window was already applied, there is nothing to fit."""

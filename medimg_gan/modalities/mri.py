"""Magnetic resonance: arbitrary units, so every volume is scaled by its own percentiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import ModalityError
from medimg_gan.modalities.base import DISPLAY, Mask, Scale, above_a_tenth

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class Mri:
    """MR signal: 0 is no signal, ``percentile`` of the volume becomes 1.

    The percentile is taken over the foreground (values above a tenth of the robust maximum), so
    that padding and air around the head do not move it.
    """

    name: str = "mri"
    mirror: bool = True
    calibrated: bool = False
    percentile: float = 99.5

    def fit(self, raw: FloatArray, unit: str) -> Scale:
        """The scale of one volume, from its own values.

        Raises:
            ModalityError: If the volume is constant.
        """
        if unit == "display":
            return DISPLAY
        low = min(0.0, float(np.min(raw)))
        foreground = raw[self.foreground(raw, unit)]
        high = float(np.percentile(foreground, self.percentile)) if foreground.size else low
        if high <= low:
            raise ModalityError(
                "an MR volume without signal",
                observed=f"all values lie between {low:g} and {float(np.max(raw)):g}",
                cause="an empty or constant volume",
            )
        return Scale(low, high)

    def foreground(self, raw: FloatArray, unit: str) -> Mask:
        """Values above a tenth of the robust maximum."""
        return above_a_tenth(raw)

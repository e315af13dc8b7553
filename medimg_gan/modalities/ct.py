"""Computed tomography: calibrated, so one window for every volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import ModalityError
from medimg_gan.modalities.base import DISPLAY, Scale

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class Ct:
    """CT numbers in HU, linear inside ``window``; values outside are clipped.

    The default covers bone (1500 HU) to air (-1000 HU); a narrower window gives soft tissue more
    of the network's range, and loses what lies outside it.
    """

    name: str = "ct"
    mirror: bool = True
    window: tuple[float, float] = (-1000.0, 1500.0)

    def fit(self, raw: FloatArray, unit: str) -> Scale:
        """The window itself; ``DISPLAY`` for pictures whose HU are already lost.

        Raises:
            ModalityError: If every value is >= 0 (likely stored pixels that were never rescaled).
        """
        if unit == "display":
            return DISPLAY
        lowest = float(np.min(raw))
        if lowest >= 0:
            raise ModalityError(
                "CT without air",
                observed=f"the lowest value is {lowest:g}; in HU, air is about -1000",
                cause="stored pixels that were never rescaled (slope and intercept lost)",
                fix="export again with Rescale Slope/Intercept, or read it as --modality mri",
            )
        return Scale(*self.window)

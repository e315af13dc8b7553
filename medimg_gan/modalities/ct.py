"""Computed tomography: calibrated, so one window for every volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import ConfigError, ModalityError
from medimg_gan.modalities.base import DISPLAY, Mask, Scale, above_a_tenth

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

WINDOWS: dict[str, tuple[float, float]] = {
    "wide": (-1000.0, 1500.0),  # air to dense bone
    "full": (-1024.0, 3071.0),  # what 12 stored bits can hold
    "brain": (0.0, 80.0),  # level 40, width 80
    "soft": (-160.0, 240.0),  # level 40, width 400
    "bone": (-500.0, 1500.0),  # level 500, width 2000
    "lung": (-1350.0, 150.0),  # level -600, width 1500
}
"""Lowest and highest CT number in HU of each named window. Levels and widths are those in common
use (Radiopaedia, "Windowing (CT)"); departments differ by some tens of HU."""

AIR = -1000.0
"""CT number of air, by the definition of the unit."""

SKIN = -500.0
"""Half-way between air and water: the surface of the body."""


def window_of(text: str) -> tuple[float, float]:
    """The window that a name, or ``LOW,HIGH`` in HU, stands for.

    Nothing real is darker than air: a LOW below what 12 bits hold would only show air grey, where
    all else of this package takes the lowest encoded values for it, so that bound is taken.

    Raises:
        ConfigError: If it is neither, LOW is not below HIGH, or there is only air between them.
    """
    if text in WINDOWS:
        low, high = WINDOWS[text]
    else:
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError as error:
            raise ConfigError(
                f"CT window {text!r}",
                observed=f"known: {', '.join(WINDOWS)}",
                fix="take one of these, or LOW,HIGH in HU such as -160,240",
            ) from error
    if not (np.isfinite([low, high]).all() and low < high and high > AIR):
        raise ConfigError(
            f"CT window {text!r}: LOW must be below HIGH, HIGH above air ({AIR:g}), both finite"
        )
    return max(low, WINDOWS["full"][0]), high


@dataclass(frozen=True)
class Ct:
    """CT numbers in HU, linear inside ``window``; values outside are clipped.

    The default covers bone (1500 HU) to air (-1000 HU); a narrower window gives soft tissue more
    of the network's range, and loses what lies outside it.
    """

    name: str = "ct"
    mirror: bool = True
    calibrated: bool = True
    window: tuple[float, float] = WINDOWS["wide"]

    def fit(self, raw: FloatArray, unit: str) -> Scale:
        """The window itself; ``DISPLAY`` for pictures whose HU are already lost.

        Raises:
            ModalityError: If every value is >= 0 (likely stored pixels that were never rescaled),
                or a picture without HU is to be windowed.
        """
        if unit == "display":
            if self.window != WINDOWS["wide"]:
                raise ModalityError(
                    f"a CT picture of grey levels cannot be shown in the window {self.window} HU",
                    cause="its HU were lost when the picture was made",
                    fix="leave --transform.window away, or give the DICOM or NIfTI files",
                )
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

    def foreground(self, raw: FloatArray, unit: str) -> Mask:
        """Values above -500 HU; in pictures, above a tenth of the robust maximum."""
        return raw > SKIN if unit == "HU" else above_a_tenth(raw)

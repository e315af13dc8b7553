"""Pictures (PNG, JPEG) of which nobody says what they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medimg_gan.modalities.base import DISPLAY, Mask, Scale, above_a_tenth
from medimg_gan.modalities.xray import XRay

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class Picture:
    """Grey levels: 8-bit ones as they are, deeper ones scaled like a radiograph."""

    name: str = "picture"
    mirror: bool = False
    calibrated: bool = False

    def fit(self, raw: FloatArray, unit: str) -> Scale:
        """The scale of one picture.

        Raises:
            ModalityError: If a 16-bit picture is constant.
        """
        return DISPLAY if unit == "display" else XRay().fit(raw, unit)

    def foreground(self, raw: FloatArray, unit: str) -> Mask:
        """Values above a tenth of the robust maximum: what is not black."""
        return above_a_tenth(raw)

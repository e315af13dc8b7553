"""Projection radiography: detector units, scaled by each image's own percentiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.errors import ModalityError
from medimg_gan.modalities.base import DISPLAY, Mask, Scale, above_a_tenth

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class XRay:
    """Radiographs (CR, DX); ``percentiles`` of the image become -1 and 1.

    Never mirrored: in a chest, the heart would move to the right.
    """

    name: str = "xray"
    mirror: bool = False
    calibrated: bool = False
    percentiles: tuple[float, float] = (0.5, 99.5)

    def fit(self, raw: FloatArray, unit: str) -> Scale:
        """The scale of one image, from its own values.

        Raises:
            ModalityError: If the image is constant.
        """
        if unit == "display":
            return DISPLAY
        low, high = (float(value) for value in np.percentile(raw, self.percentiles))
        if high <= low:
            raise ModalityError(
                "a radiograph without contrast",
                observed=f"all values lie near {low:g}",
                cause="an empty or constant image",
            )
        return Scale(low, high)

    def foreground(self, raw: FloatArray, unit: str) -> Mask:
        """Values above a tenth of the robust maximum: what is not black."""
        return above_a_tenth(raw)

"""Real scans of the target's kind: whether translated ones have their histogram."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.evaluation.translation import body_of, limits_of
from medimg_gan.metrics.histogram import histogram_distance
from medimg_gan.modalities import Scale

if TYPE_CHECKING:
    from medimg_gan.evaluation.translation import Figures
    from medimg_gan.imaging import Volume
    from medimg_gan.synthesis import Translator
    from medimg_gan.types import FloatArray

MOST_VALUES = 200_000
"""Voxels kept of a scan, evenly drawn."""


@dataclass(frozen=True)
class RealTargets:
    """Body values of real target scans of unseen patients, in [-1, 1] over the fixed range.

    Attributes:
        scans: (N,) values of each.
        scale: The fixed range, as for PSNR.
        target: Modality.
    """

    scans: list[FloatArray]
    scale: Scale
    target: str

    @classmethod
    def of(
        cls, volumes: Iterable[tuple[Volume, FloatArray]], translator: Translator
    ) -> RealTargets:
        """Take the real scans once, each with its values by :meth:`Translator.as_made`."""
        target, scans = translator.target, []
        scale = Scale(*limits_of(translator.unit, translator.scale))
        for volume, values in volumes:
            scans.append(_drawn(scale.encode(values[body_of(volume, target)])))
        return cls(scans, scale, target)

    def distance(self, made: Volume) -> Figures:
        """1-Wasserstein distance of a translated scan's values to all real ones', in their unit."""
        if not self.scans:
            return {}
        values = _drawn(self.scale.encode(made.array[body_of(made, self.target)]))
        return {"histogram": self._apart(np.concatenate(self.scans), values)}

    def floor(self) -> Figures:
        """The same of each real scan to the others, averaged."""
        if len(self.scans) < 2:
            return {}
        apart = [
            self._apart(np.concatenate(self.scans[:place] + self.scans[place + 1 :]), own)
            for place, own in enumerate(self.scans)
        ]
        return {"histogram_of_real": float(np.mean(apart))}

    def _apart(self, real: FloatArray, made: FloatArray) -> float:
        percent = histogram_distance(real, made)
        return percent / 100 * (self.scale.high - self.scale.low)


def _drawn(values: FloatArray) -> FloatArray:
    return values[:: max(1, len(values) // MOST_VALUES)]

"""The transform chain itself: a scan -> pictures in [-1, 1], and pictures -> the scan's grid.

Training (through the slice cache) and translation both come through here, so that a network sees
at work what it saw in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medimg_gan.data.bias_field import without_bias_field
from medimg_gan.data.chain_settings import ChainConfig
from medimg_gan.data.geometry import Geometry, geometry_of
from medimg_gan.data.planes import Frame, frame_of, from_pictures, to_pictures
from medimg_gan.errors import UnreadableError
from medimg_gan.modalities import MODALITIES, Ct, Modality, Scale
from medimg_gan.modalities.ct import AIR, window_of
from medimg_gan.modalities.nyul import landmarks_of

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

FLATTEST_PIXEL = 4.0
"""Longest over shortest side of a pixel that still makes a picture."""


@dataclass(frozen=True)
class Encoded:
    """A scan as pictures, and what is needed to go back.

    Attributes:
        pictures: (K, size, size) float32 in [-1, 1].
        scale: Of the volume's raw values.
        unit: Theirs.
        landmarks: (11,) of the encoded foreground (:mod:`medimg_gan.modalities.nyul`), or empty
            where no histogram is standardised.
        geometry: From the scan's grid to the grid that was cut into pictures.
        frame: From that grid's planes to the pictures.
        background: What air is in the pictures, and their border.
    """

    pictures: FloatArray
    scale: Scale
    unit: str
    landmarks: FloatArray
    geometry: Geometry
    frame: Frame
    background: float

    @property
    def pixel_mm(self) -> float:
        """Side of a picture's pixel."""
        return self.geometry.spacing[0] * self.frame.columns / self.frame.width


def encode(
    array: FloatArray,
    spacing: tuple[float, float, float],
    *,
    modality: str,
    unit: str,
    chain: ChainConfig,
    size: int,
) -> Encoded:
    """Send a scan through the chain, in the order that :class:`ChainConfig` tells.

    Args:
        array: (I, J, K) raw values, axes nearest to right, front, top.
        spacing: mm along I, J, K.
        modality: A key of ``MODALITIES``.
        unit: "HU", "signal" or "display", as the file's format tells it.
        chain: Settings.
        size: Side of the pictures.

    Raises:
        ModalityError: If the values cannot be of the modality.
        UnreadableError: If the pixels of that plane are too flat, or the resampled grid too large.
    """
    geometry = geometry_of(array.shape, spacing, chain.plane, chain.spacing)
    _refuse_flat_pixels(geometry, chain)
    array, scale, unit, landmarks = fit(array, spacing, modality=modality, unit=unit, chain=chain)
    resampled = geometry.forward(array)
    if chain.crop == "body":
        foreground = modality_of(modality, chain).foreground(resampled, unit)
        geometry = geometry.around(foreground, chain.margin)
        resampled = resampled[geometry.box]
    frame = frame_of(resampled.shape, geometry.spacing, size)
    background = float(scale.encode(np.array(_air(scale, unit))))
    pictures = to_pictures(scale.encode(resampled), frame, background)
    return Encoded(pictures, scale, unit, landmarks, geometry, frame, background)


class Fitted(NamedTuple):
    """A scan's values, and where they lie: as in :class:`Encoded`, before anything is resampled."""

    array: FloatArray
    scale: Scale
    unit: str
    landmarks: FloatArray


def fit(
    array: FloatArray,
    spacing: tuple[float, float, float],
    *,
    modality: str,
    unit: str,
    chain: ChainConfig,
) -> Fitted:
    """The part of :func:`encode` that is about values; takes what that takes.

    Raises:
        ModalityError: If the values cannot be of the modality.
    """
    kind = modality_of(modality, chain)
    if unit != "display":  # a NIfTI file cannot tell, and the user's word goes before the header's
        unit = "HU" if modality == "ct" else "signal"
    if chain.bias_field == "n4" and modality == "mri":
        array = without_bias_field(array, spacing)
    scale = kind.fit(array, unit)
    landmarks = np.empty(0, np.float32)
    if chain.intensity == "nyul" and modality == "mri":
        landmarks = landmarks_of(scale.encode(array[kind.foreground(array, unit)]))
    return Fitted(array, scale, unit, landmarks)


def decode(pictures: FloatArray, encoded: Encoded, scale: Scale, unit: str) -> FloatArray:
    """Pictures (K, size, size) in [-1, 1] -> raw values on the scan's own grid, (I, J, K) float32.

    Args:
        pictures: As many, and in the same places, as ``encoded.pictures``.
        encoded: What :func:`encode` gave for the scan.
        scale: Of the values to make.
        unit: Of the values to make; what was cropped away becomes air (-1000 HU, else the scale's
            lowest value).
    """
    values = scale.decode(from_pictures(pictures, encoded.frame))
    return encoded.geometry.back(values, outside=_air(scale, unit))


def modality_of(name: str, chain: ChainConfig) -> Modality:
    """The modality of that name, CT with the chain's window."""
    modality = MODALITIES[name]
    return (
        replace(modality, window=window_of(chain.window)) if isinstance(modality, Ct) else modality
    )


def _air(scale: Scale, unit: str) -> float:
    return AIR if unit == "HU" else scale.low


def _refuse_flat_pixels(geometry: Geometry, chain: ChainConfig) -> None:
    width, height = geometry.spacing[:2]
    if max(width, height) > FLATTEST_PIXEL * min(width, height):
        raise UnreadableError(
            f"its slices do not lie in the {chain.plane} plane",
            observed=f"a cut in that plane has pixels of {width:.1f} x {height:.1f} mm",
            cause="a series of thick slices in another plane",
            fix="--transform.plane acquired, or --transform.spacing with even lengths",
        )

"""Radial power spectra: blur, noise and checkerboards show as power gained or lost by frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

LEAST_POWER = 1e-10
"""Keeps the logarithm of an empty band finite; 8-bit rounding alone has more than this."""


def radial_power(images: FloatArray) -> FloatArray:
    """Mean power of each image by spatial frequency (azimuthal average; Durall 2020, eq. 2).

    Args:
        images: (N, C, H, W) with H = W.

    Returns:
        (N, H // 2): column k - 1 holds frequency k, in cycles per image, from 1 to Nyquist.
    """
    size = images.shape[-1]
    waves = np.fft.fftfreq(size, 1 / size)
    radius = np.rint(np.hypot(waves[:, None], waves)).astype(int).ravel()
    power = np.abs(np.fft.fft2(np.asarray(images, np.float64), norm="ortho")) ** 2
    flat = power.mean(axis=1).reshape(len(images), -1)
    bands = np.stack([flat[:, radius == k].mean(axis=1) for k in range(1, size // 2 + 1)], axis=1)
    return bands / size**2


def spectrum_distance(real: FloatArray, synthetic: FloatArray) -> float:
    """Root mean square over frequencies of the difference of mean power in dB.

    Args:
        real: (N, C, H, W).
        synthetic: (M, C, H, W).
    """
    decibels, others = (
        10 * np.log10(radial_power(images).mean(axis=0) + LEAST_POWER)
        for images in (real, synthetic)
    )
    return float(np.sqrt(((decibels - others) ** 2).mean()))

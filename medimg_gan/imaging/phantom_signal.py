"""What a scanner makes of the tissue: CT numbers and MR signal, with their imperfections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from medimg_gan.imaging.phantom_tissue import TISSUES, Tissue

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

Weighting = Literal["t1", "t2"]


@dataclass(frozen=True)
class Sequence:
    """Timing of a spin echo in ms."""

    repetition_time: float
    echo_time: float


SEQUENCES: dict[Weighting, Sequence] = {"t1": Sequence(500, 12), "t2": Sequence(4500, 95)}
"""Usual head protocols at 1.5 T."""
FULL_SIGNAL = 2000.0
"""Stored value of water with all its signal, before gain."""
CT_NOISE = 8.0
"""Standard deviation in HU of a routine head scan, before correlation is taken into account."""
CT_BLUR = 0.45
"""Sigma in voxels of the focal spot and detector."""
MR_NOISE = 0.008
"""Standard deviation of each channel relative to ``FULL_SIGNAL``."""
BIAS = 0.08
"""Standard deviation of the logarithm of the coil's sensitivity over the box."""


def spin_echo(density: float, t1: float, t2: float, sequence: Sequence) -> float:
    """Signal S = PD (1 - exp(-TR/T1)) exp(-TE/T2) of a spin echo (Hahn 1950; TE << TR).

    Args:
        density: Proton density relative to water.
        t1: Longitudinal relaxation time in ms.
        t2: Transverse relaxation time in ms.
        sequence: TR and TE in ms.

    Returns:
        Signal relative to fully relaxed water without decay, in [0, density].
    """
    recovery = 1 - np.exp(-sequence.repetition_time / t1)
    return float(density * recovery * np.exp(-sequence.echo_time / t2))


def ct_image(fractions: FloatArray, rng: np.random.Generator) -> FloatArray:
    """CT numbers of tissue fractions.

    Args:
        fractions: (tissues, I, J, K), rows by :class:`Tissue`, summing to 1.
        rng: Noise and the scanner's calibration.

    Returns:
        (I, J, K) float32 whole numbers in [-1024, 3071] HU.
    """
    hounsfield = np.array([TISSUES[tissue].hounsfield for tissue in Tissue], np.float32)
    image = np.tensordot(hounsfield, fractions, axes=1)
    blur = rng.uniform(0.8, 1.2) * CT_BLUR
    image = ndimage.gaussian_filter(image, (blur, blur, 0))
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, (0.5, 0.5, 0))
    level = rng.uniform(0.6, 1.0) * CT_NOISE / noise.std()
    return np.clip(np.rint(image + level * noise), -1024, 3071).astype(np.float32)


def mr_image(fractions: FloatArray, rng: np.random.Generator, weighting: Weighting) -> FloatArray:
    """Spin-echo magnitude image of tissue fractions: bias field, gain and Rician noise.

    The noise is Rician (Gudbjartsson & Patz 1995, MRM 34:910): the magnitude of a complex signal
    with equal Gaussian noise in both channels.

    Args:
        fractions: (tissues, I, J, K), rows by :class:`Tissue`, summing to 1.
        rng: Noise, bias field and gain.
        weighting: A key of ``SEQUENCES``.

    Returns:
        (I, J, K) float32 whole numbers, 0 or more, arbitrary units.
    """
    sequence = SEQUENCES[weighting]
    signals = np.array(
        [
            spin_echo(TISSUES[t].density, TISSUES[t].t1, TISSUES[t].t2, sequence)
            for t in Tissue
        ],
        np.float32,
    )  # fmt: skip
    image = np.tensordot(signals, fractions, axes=1) * bias_field(fractions.shape[1:], rng)
    sigma = rng.uniform(0.7, 1.4) * MR_NOISE
    real, imaginary = rng.standard_normal((2, *image.shape), dtype=np.float32) * sigma
    magnitude = np.hypot(image + real, imaginary)
    gain = FULL_SIGNAL * np.exp(rng.normal(0, 0.25))
    return np.clip(np.rint(magnitude * gain), 0, 32767).astype(np.float32)


def bias_field(shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Receiver-coil sensitivity: the exponential of a random quadratic, median 1; (I, J, K)."""
    u, v, w = np.meshgrid(
        *(np.linspace(-1, 1, count, dtype=np.float32) for count in shape),
        indexing="ij",
        sparse=True,
    )
    a = rng.normal(0, BIAS, 6).astype(np.float32)
    # Coils wrapped around the head see its outside better than its middle.
    field = (
        a[0] * u + a[1] * v + a[2] * w + (abs(a[3]) + 0.05) * (u * u + v * v) + a[4] * u * v
        + a[5] * v * w
    )  # fmt: skip
    return np.exp(field - np.median(field)).astype(np.float32)

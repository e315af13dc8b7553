"""What differs from patient to patient: sizes, shapes and random fields, drawn once from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.imaging.phantom_geometry import Noise

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

WARP_WAVES = 5
"""Plane waves that bend the head along each axis."""


@dataclass(frozen=True)
class Traits:
    """One patient's anatomy; lengths in mm, template frame as in :class:`Points`.

    Attributes:
        rotation: (3, 3) from the scanner's axes to the head's.
        shift: (3,) centre of the head in the scanner.
        stretch: (3,) size of the head relative to the template.
        warp: (3, WARP_WAVES, 5) wave vector (3), phase and amplitude of each bending wave.
        egg: How much wider the back of the head is than its front, per mm.
        skull: Thickness of the skull at the vault, tables and diploe together.
        scalp: Thickness of fat and skin outside the skull.
        muscle: Largest thickness of the temporal muscle.
        gap: Width of the fluid around the brain.
        atrophy: 0 (young, narrow furrows) to 1 (old, wide furrows and ventricles).
        ventricles: Scale of the ventricles' radii.
        ventricle_tilt: Extra size of the right over the left ventricle, relative.
        cortex: Thickness of the cortex.
        sinus: Scale of the frontal sinus; 0 is none.
        eye: Radius of the eyeball.
        gaze: Angle of both lenses to the right, in radians.
        calcified: Radii of the calcified pineal gland and choroid plexus; 0 is none.
        lacunes: (n, 4) centre and radius of small old infarcts.
        folds: Zeros are the cerebral furrows.
        folds_slope: Length of the gradient of ``folds`` per mm.
        folia: The same for the cerebellum, finer.
        relief: Slow variations of thickness and depth.
        cells: Fine bubbles: mastoid, ethmoid, marrow.
    """

    rotation: FloatArray
    shift: FloatArray
    stretch: FloatArray
    warp: FloatArray
    egg: float
    skull: float
    scalp: float
    muscle: float
    gap: float
    atrophy: float
    ventricles: float
    ventricle_tilt: float
    cortex: float
    sinus: float
    eye: float
    gaze: float
    calcified: tuple[float, float]
    lacunes: FloatArray
    folds: Noise
    folds_slope: Noise
    folia: Noise
    relief: Noise
    cells: Noise


def draw_traits(rng: np.random.Generator) -> Traits:
    """One patient, within the ranges of adult heads."""
    atrophy = float(rng.beta(1.6, 2.2))
    folds = Noise.draw(rng, rng.uniform(18.5, 22.5), pitch=2.5)
    return Traits(
        rotation=_rotation(*np.radians(rng.normal(0, (5.0, 2.0, 4.0)).clip(-10, 10))),
        shift=np.array([0.0, 7.0, 21.0]) + rng.normal(0, (3.0, 3.0, 2.5)),
        stretch=rng.uniform(0.95, 1.05) * rng.uniform((0.94, 0.95, 0.95), (1.06, 1.05, 1.05)),
        warp=_draw_warp(rng),
        egg=rng.uniform(0.0004, 0.0016),
        skull=rng.uniform(4.8, 8.5),
        scalp=rng.uniform(3.2, 6.5),
        muscle=rng.uniform(3.0, 7.0),
        gap=1.2 + 2.2 * atrophy,
        atrophy=atrophy,
        ventricles=float(rng.uniform(0.75, 1.1) + 0.8 * atrophy),
        ventricle_tilt=rng.normal(0, 0.08),
        cortex=rng.uniform(2.6, 3.4),
        sinus=float(rng.choice([0.0, rng.uniform(0.5, 1.4)], p=[0.15, 0.85])),
        eye=rng.uniform(11.3, 12.7),
        gaze=float(np.radians(rng.normal(0, 12)).clip(-0.5, 0.5)),
        calcified=(
            float(rng.choice([0.0, rng.uniform(1.2, 2.6)])),
            float(rng.choice([0.0, rng.uniform(1.5, 3.0)])),
        ),
        lacunes=_draw_lacunes(rng, atrophy),
        folds=folds,
        folds_slope=folds.slope(),
        folia=Noise.draw(rng, 11.0, pitch=2.0),
        relief=Noise.draw(rng, 60.0, pitch=6.0, cells=40),
        cells=Noise.draw(rng, 6.0, pitch=1.5, cells=40),
    )


def _rotation(yaw: float, roll: float, pitch: float) -> FloatArray:
    """Turns about z (yaw), y (roll) and x (pitch), in radians, one after the other."""
    about_z = [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
    about_y = [[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    return np.array(about_x) @ np.array(about_y) @ np.array(about_z)


def _draw_lacunes(rng: np.random.Generator, atrophy: float) -> FloatArray:
    """Centres in the deep white matter of either side, and radii, in mm; (n, 4)."""
    count = int(rng.poisson(2.5 * atrophy))
    side = rng.choice([-1.0, 1.0], count)
    centre = rng.uniform((17, -38, 4), (30, 34, 34), (count, 3))
    centre[:, 0] *= side
    return np.column_stack([centre, rng.uniform(1.5, 3.8, count)])


def _draw_warp(rng: np.random.Generator) -> FloatArray:
    """Waves of 80-220 mm that move places by some 1-2 mm, and so break the left-right symmetry."""
    direction = rng.standard_normal((3, WARP_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    wavelength = rng.uniform(80, 220, (3, WARP_WAVES, 1))
    phase = rng.uniform(0, 2 * np.pi, (3, WARP_WAVES, 1))
    # Long waves may be higher: what matters to the eye is the slope.
    amplitude = rng.normal(0, 1, (3, WARP_WAVES, 1)) * wavelength / 240
    return np.concatenate([direction * (2 * np.pi / wavelength), phase, amplitude], axis=-1)

"""One brain tumour: an irregular rim around a core, swelling about it, and a push aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.imaging.phantom_geometry import Noise, Points, Triple

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


@dataclass(frozen=True)
class Tumour:
    """Place and shape of a tumour; lengths in mm, template frame.

    Attributes:
        centre: Its middle.
        radius: Mean radius of rim and core together.
        radii: Radius along x, y, z.
        rim: Thickness of the rim.
        enhancement: Share of the rim that takes up contrast; the rest is like the core.
        swelling: How far the oedema reaches beyond the rim.
        push: How far tissue at the rim is moved outwards.
        bumps: Field that makes the surface irregular.
        roughness: Height of the bumps, relative to the radius.
    """

    centre: Triple
    radius: float
    radii: Triple
    rim: float
    enhancement: float
    swelling: float
    push: float
    bumps: Noise
    roughness: float


def draw_tumour(rng: np.random.Generator) -> Tumour:
    """A tumour of 6 to 18 mm radius in one hemisphere, below the cortex, off the midline."""
    radius = float(rng.triangular(6, 13, 18))
    side = rng.choice([-1.0, 1.0])
    # Anywhere in an ellipsoid shell around the ventricles, by height equally often.
    angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(-6, 48)
    shrink = np.sqrt(max(1 - (max(height, 0) / 72) ** 2, 0.1))
    reach = rng.uniform(0.72, 1.0) * shrink
    x = side * max(abs(30 + 17 * np.cos(angle)) * reach, radius + 3)
    y = (-6 + 46 * np.sin(angle)) * reach
    radii = radius * rng.uniform(0.8, 1.25, 3)
    return Tumour(
        centre=(float(x), float(y), float(height)),
        radius=radius,
        radii=(float(radii[0]), float(radii[1]), float(radii[2])),
        rim=float(np.clip(rng.uniform(0.18, 0.45) * radius, 2.0, 5.5)),
        enhancement=rng.uniform(0.1, 1.0),
        swelling=rng.uniform(3, 14),
        push=rng.uniform(0.05, 0.28) * radius,
        bumps=Noise.draw(rng, 1.4 * radius, pitch=0.12 * radius, cells=40),
        roughness=rng.uniform(0.06, 0.16),
    )


def depth(points: Points, tumour: Tumour) -> tuple[FloatArray, FloatArray]:
    """Signed distances to the tumour's outside and to its oedema, in mm; negative inside."""
    offset = [
        (place - centre) / radius
        for place, centre, radius in zip(
            (points.x, points.y, points.z), tumour.centre, tumour.radii, strict=True
        )
    ]
    distance = (np.sqrt(sum(part * part for part in offset)) - 1) * tumour.radius
    near = distance < 2.5 * tumour.swelling + 8
    bumps = np.zeros_like(distance)
    bumps[near] = tumour.bumps.at(points.x[near], points.y[near], points.z[near])
    rough = distance + bumps * tumour.roughness * tumour.radius
    # Swelling spreads in fingers: the same bumps, much higher.
    oedema = distance - tumour.swelling * (1 + 0.55 * bumps)
    return rough, oedema


def pushed(points: Points, tumour: Tumour) -> Points:
    """Where the tissue now at ``points`` was before the tumour grew."""
    offset = [
        place - centre
        for place, centre in zip((points.x, points.y, points.z), tumour.centre, strict=True)
    ]
    distance = np.sqrt(sum(part * part for part in offset)) + 1e-3
    amount = tumour.push * np.exp(-(((distance - tumour.radius) / (1.1 * tumour.radius)) ** 2))
    amount = amount / distance
    return Points.at(
        *(
            place - amount * part
            for place, part in zip((points.x, points.y, points.z), offset, strict=True)
        )
    )

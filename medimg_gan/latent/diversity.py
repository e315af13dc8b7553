"""How far apart the images of a class are: what a grid shows, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medimg_gan.metrics.diversity import distances_among

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray


def spread(images: FloatArray) -> float:
    """Mean distance of two images; 0 when all are the same."""
    return float(distances_among(images).mean())

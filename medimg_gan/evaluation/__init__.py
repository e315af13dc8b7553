"""How good are the images of a generator? Every figure beside real images' own.

The reference is the held-out patients. A perfect generator knows no more than the training
patients, so the floor of a figure is the same figure of *real training* slices against the same
held-out slices, at the same counts; a second floor comes from halves of all real slices, by
patient.
"""

from __future__ import annotations

from medimg_gan.evaluation.plan import RealSlices
from medimg_gan.evaluation.sets import Material, draw_material

__all__ = ["Material", "RealSlices", "draw_material"]

"""N4 bias-field correction of MR volumes, in bounded time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

SHRUNK = 32
"""Voxels along an axis at which the field is estimated: it varies over centimetres."""

ITERATIONS = (100, 50)
"""At most, on each level of the B-spline grid."""

CONVERGED = 1e-4
"""Change of the field at which a level ends; the filter's own 1e-3 ends half-way."""

FEWEST = 8
"""Voxels below which an axis has no field to estimate."""


def without_bias_field(array: FloatArray, spacing: tuple[float, float, float]) -> FloatArray:
    """An MR volume divided by its smooth multiplicative shading (N4, Tustison et al. 2010).

    The field is estimated in a shrunken copy inside Otsu's mask and evaluated at full size.
    Values keep their sign and zero, and inside the mask their mean.

    Args:
        array: (I, J, K) float32 signal; an axis of fewer than ``FEWEST`` voxels is taken as flat.
        spacing: mm along I, J, K.

    Returns:
        float32 of the same shape. A volume with nothing inside the mask comes back as it is.
    """
    low = min(0.0, float(array.min()))
    flat = array.shape[2] < FEWEST
    # A thin stack has one field for all its slices, estimated on their mean.
    estimated = array.mean(axis=2) if flat else array
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(estimated.T - low, np.float32))
    image.SetSpacing(spacing[: estimated.ndim])
    factors = [max(1, size // SHRUNK) for size in estimated.shape]
    small = SimpleITK.Shrink(image, factors)
    mask = SimpleITK.OtsuThreshold(small, 0, 1)
    inside = SimpleITK.GetArrayViewFromImage(mask).any()
    if not inside or min(estimated.shape) < FEWEST:
        return array
    corrector = SimpleITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetNumberOfThreads(1)  # equal results everywhere; caches are built in parallel
    corrector.SetMaximumNumberOfIterations(ITERATIONS)
    corrector.SetConvergenceThreshold(CONVERGED)
    corrector.Execute(small, mask)
    field = np.exp(SimpleITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image))).T
    field = field[..., None] if flat else field
    corrected = (array - low) / field
    body = SimpleITK.GetArrayFromImage(SimpleITK.OtsuThreshold(image, 0, 1)).T.astype(bool)
    body = np.broadcast_to(body[..., None] if flat else body, array.shape)
    corrected *= (array[body] - low).mean() / corrected[body].mean()
    return (corrected + low).astype(np.float32)

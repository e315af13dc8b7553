"""The geometric half of the transform chain: orient, resample, crop; and exactly back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK
from scipy import ndimage

from medimg_gan.errors import UnreadableError

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

Array = np.ndarray[Any, Any]
Shape = tuple[int, int, int]
Lengths = tuple[float, float, float]
Box = tuple[slice, slice, slice]

AXES = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
"""A scan's axes (right, front, top) in the order columns, rows, slices of each plane."""

THICKER = 1.01
"""One spacing over the next smaller one from which it is the slices' thickness."""

LARGEST = 2**29
"""Voxels beyond which a resampled grid is a mistake (2 GiB of float32)."""

DETAIL = 128
"""Voxels along the longest axis of the coarse copy in which the body is sought."""


@dataclass(frozen=True)
class Geometry:
    """How a scan's grid becomes the grid that is cut into pictures; made by :func:`geometry_of`.

    Attributes:
        axes: The scan's axes in the order columns, rows, slices.
        own_shape, own_spacing: Of the scan, in that order of axes.
        shape, spacing: After resampling; the centre of the scan stays where it is.
        box: What is kept of it.
    """

    axes: Shape
    own_shape: Shape
    own_spacing: Lengths
    shape: Shape
    spacing: Lengths
    box: Box

    def forward(self, array: Array, *, nearest: bool = False) -> Array:
        """Values on the scan's grid (I, J, K) -> (columns, rows, slices) to cut into pictures.

        Args:
            array: float32 values, or a mask of small whole numbers.
            nearest: Take the nearest voxel's value (masks) in place of linear interpolation.
        """
        oriented = array.transpose(self.axes)
        return _resampled(oriented, self.own_spacing, self.spacing, self.shape, nearest)[self.box]

    def back(self, array: FloatArray, outside: float) -> FloatArray:
        """The inverse of :meth:`forward`: float32 on the scan's grid, exact but for resampling.

        Args:
            array: Values on the prepared grid.
            outside: Value of what was cropped away.
        """
        whole = np.full(self.shape, outside, np.float32)
        whole[self.box] = array
        own = _resampled(whole, self.spacing, self.own_spacing, self.own_shape, nearest=False)
        return np.ascontiguousarray(own.transpose(np.argsort(self.axes)))

    def pixel_area(self, affine: FloatArray) -> float:
        """Area in mm2 of a pixel of the cut planes.

        Args:
            affine: (4, 4) of the scan, voxel index -> mm; its axes need not be perpendicular.
        """
        steps = zip(self.axes[:2], self.spacing, self.own_spacing, strict=False)
        column, row = (affine[:3, axis] * new / own for axis, new, own in steps)
        return float(np.linalg.norm(np.cross(column, row)))

    def around(self, body: np.ndarray[Any, Any], margin: float) -> Geometry:
        """The same, cut down to a body and ``margin`` mm around it (all, if there is no body).

        Args:
            body: Bool on this geometry's grid; only its largest connected part counts.
            margin: In mm.
        """
        assert body.shape == self.shape, (body.shape, self.shape)
        return replace(self, box=_largest_part(body, self.spacing, margin))


def geometry_of(shape: tuple[int, ...], spacing: Lengths, plane: str, wanted: Lengths) -> Geometry:
    """The geometry of a scan (I, J, K), not cropped yet.

    Args:
        shape: Of the scan.
        spacing: Of the scan, mm along I, J, K.
        plane: A key of ``AXES``, or "acquired".
        wanted: Spacing to resample to, mm along I, J, K; 0 keeps the scan's own. An axis with a
            single voxel is never resampled.

    Raises:
        UnreadableError: If the resampled grid would be too large.
    """
    axes = AXES[_plane_of(shape, spacing, plane)]
    new = [
        want if want and count > 1 else own
        for want, own, count in zip(wanted, spacing, shape, strict=True)
    ]
    counts = [
        max(1, round(count * own / step)) if step != own else count
        for count, own, step in zip(shape, spacing, new, strict=True)
    ]
    if math.prod(counts) > LARGEST:
        raise UnreadableError(
            f"resampling gives {' x '.join(map(str, counts))} voxels",
            observed=f"the scan has {' x '.join(map(str, shape))} of "
            f"{' x '.join(f'{step:g}' for step in spacing)} mm",
            fix="a larger --transform.spacing",
        )
    return Geometry(
        axes=axes,
        own_shape=_in_order(shape, axes),
        own_spacing=_in_order(spacing, axes),
        shape=_in_order(counts, axes),
        spacing=_in_order(new, axes),
        box=(slice(None), slice(None), slice(None)),
    )


def _plane_of(shape: tuple[int, ...], spacing: Lengths, plane: str) -> str:
    """The plane itself, or the one that "acquired" stands for."""
    across = {axes[2]: name for name, axes in AXES.items()}
    if shape[2] == 1 and min(shape[:2]) > 1:
        return "axial"  # a picture or radiograph: there is one way to look at it
    if plane != "acquired":
        return plane
    if 1 in shape:
        return across[shape.index(1)]
    thickest = int(np.argmax(spacing))
    next_one = sorted(spacing)[1]
    return across[thickest] if spacing[thickest] >= THICKER * next_one else "axial"


def _in_order(values: Any, axes: Shape) -> Any:
    return tuple(values[axis] for axis in axes)


def _resampled(
    array: Array, spacing: Lengths, wanted: Lengths, shape: Shape, nearest: bool
) -> Array:
    """Values at the voxels of another grid with the same axes and centre.

    Where voxels grow, linear interpolation is preceded by a Gaussian that widens a voxel's own
    width to the new one (Cardoso et al. 2015, "Scale factor point spread function matching").
    """
    if spacing == wanted and array.shape == shape:
        return array
    if not nearest:
        widths = np.sqrt(np.maximum(np.square(wanted) - np.square(spacing), 0))
        to_sigma = 1 / (2 * math.sqrt(2 * math.log(2)))
        sigma = widths * to_sigma / spacing
        array = ndimage.gaussian_filter(np.asarray(array, np.float32), sigma, mode="nearest")
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    image.SetSpacing(spacing)
    resampler = SimpleITK.ResampleImageFilter()
    resampler.SetNumberOfThreads(1)  # caches are built by several processes at once
    resampler.SetSize(shape)
    resampler.SetOutputSpacing(wanted)
    middles = (np.array(array.shape) - 1) * spacing / 2 - (np.array(shape) - 1) * wanted / 2
    resampler.SetOutputOrigin(middles.tolist())
    resampler.SetInterpolator(SimpleITK.sitkNearestNeighbor if nearest else SimpleITK.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    return SimpleITK.GetArrayFromImage(resampler.Execute(image)).transpose(2, 1, 0)


def _largest_part(body: np.ndarray[Any, Any], spacing: Lengths, margin: float) -> Box:
    """The box around the largest connected part, found in a coarse copy: noise is averaged away."""
    steps = [max(1, math.ceil(count / DETAIL)) for count in body.shape]
    coarse = _block_means(body, steps) > 0.5
    parts = np.empty(coarse.shape, np.int32)
    if not ndimage.label(ndimage.binary_opening(coarse, np.ones((3, 3, 1))), output=parts):
        return slice(None), slice(None), slice(None)
    largest = int(np.bincount(parts.ravel())[1:].argmax())
    found = ndimage.find_objects(parts)[largest]
    # A block that is less than half body does not count: its part of the body lies beyond the box.
    around = [
        math.ceil(margin / width) + step // 2 for width, step in zip(spacing, steps, strict=True)
    ]
    ends = zip(found, steps, around, body.shape, strict=True)
    i, j, k = (
        slice(max(0, part.start * step - more), min(size, part.stop * step + more))
        for part, step, more, size in ends
    )
    return i, j, k


def _block_means(body: np.ndarray[Any, Any], steps: list[int]) -> FloatArray:
    """The share of body in each block of ``steps`` voxels; the last blocks may be smaller."""
    means = body.astype(np.float32)
    for axis, step in enumerate(steps):
        if step > 1:
            starts = np.arange(0, means.shape[axis], step)
            counts = np.diff(np.append(starts, means.shape[axis]))
            shape = [-1 if other == axis else 1 for other in range(3)]
            means = np.add.reduceat(means, starts, axis=axis) / counts.reshape(shape)
    return means

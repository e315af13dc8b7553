"""Masks: how much of each label lies in each slice, and which class a slice gets from that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from medimg_gan.data.geometry import Geometry, geometry_of
from medimg_gan.data.settings import ANY, DataConfig, mask_names
from medimg_gan.errors import LabelError
from medimg_gan.imaging import read_files
from medimg_gan.imaging.dicom_segmentation import is_segmentation, segments_on_grid

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

UNNAMED = {ANY: "tumor"}
"""Where neither the user nor the data name what a mask marks."""
BACKGROUND = "background"
"""Class of a slice without any of several labels (the word of nnU-Net and the Decathlon)."""
MOST_LABELS = 256
"""More different values than this are grey levels, not labels."""
AREA = "area"


@dataclass(frozen=True)
class MaskAreas:
    """What one mask marks in each slice of its image.

    Attributes:
        total: (K,) float32, area of everything marked in mm2; NaN without a mask.
        of_value: Mask value (segment number) -> (K,) float32, its area in mm2. Segments of a
            DICOM SEG may overlap; ``total`` counts a voxel once.
    """

    total: FloatArray
    of_value: dict[int, FloatArray] = field(default_factory=dict)

    @classmethod
    def none(cls, count: int) -> MaskAreas:
        """The areas of a scan without a mask."""
        return cls(np.full(count, np.nan, np.float32))

    def columns(self) -> dict[str, FloatArray]:
        """As columns of a table of slices: area, area_1, area_2 ..."""
        each = {f"{AREA}_{value}": self.of_value[value] for value in sorted(self.of_value)}
        return {AREA: self.total, **each}

    def of_slices(self, chosen: np.ndarray) -> MaskAreas:
        """Only the slices that an index or a boolean mask (K,) chooses."""
        each = {value: area[chosen] for value, area in self.of_value.items()}
        return MaskAreas(self.total[chosen], each)


def measure_mask(
    path: Path, shape: tuple[int, ...], affine: FloatArray, geometry: Geometry | None = None
) -> MaskAreas:
    """Areas of a mask's labels, slice by slice of the image that it belongs to.

    Args:
        path: A NIfTI label map (values are rounded to whole numbers) or a DICOM SEG.
        shape: (I, J, K) of the image.
        affine: (4, 4) of the image, voxel index -> mm in RAS+.
        geometry: How the image's grid was prepared before it was cut; None: axial, as it is.

    Raises:
        LabelError: If the mask lies on another grid, or holds grey levels.
        UnreadableError: If it cannot be read, or is a DICOM SEG on another grid.
    """
    i, j, k = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    geometry = geometry or geometry_of(shape, (i, j, k), "axial", (0.0, 0.0, 0.0))
    if is_segmentation(path):
        counts, total = _segment_counts(path, shape, affine, geometry)
    else:
        counts, total = _label_counts(path, shape, affine, geometry)
    pixel = geometry.pixel_area(affine)
    of_value = {value: (count * pixel).astype(np.float32) for value, count in counts.items()}
    return MaskAreas((total * pixel).astype(np.float32), of_value)


def marked_voxels(
    path: Path, shape: tuple[int, ...], affine: FloatArray, values: Collection[int] = ()
) -> np.ndarray:
    """Where a mask marks one of ``values``, or anything where none are named; (I, J, K) bool.

    The other arguments and the errors are those of :func:`measure_mask`.
    """
    if not is_segmentation(path):
        labels = _label_map(path, shape, affine)
        return np.isin(labels, list(values)) if values else labels > 0
    marked = np.zeros(shape, bool)
    for number, voxels in segments_on_grid(path, shape, affine):
        if not values or number in values:
            marked[tuple(voxels.T)] = True
    return marked


def _label_map(path: Path, shape: tuple[int, ...], affine: FloatArray) -> FloatArray:
    """A NIfTI mask's whole numbers on the image's grid."""
    mask = read_files([path])
    if mask.array.shape != shape or not np.allclose(mask.affine, affine, atol=0.01):
        raise LabelError(
            "the mask lies on another grid than its image",
            observed=f"mask {mask.array.shape}, image {shape}"
            + ("" if mask.array.shape != shape else "; their affines differ"),
            fix="resample the mask to the image",
        )
    return np.rint(mask.array)


def _segment_counts(
    path: Path, shape: tuple[int, ...], affine: FloatArray, geometry: Geometry
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    marked, counts = np.zeros(shape, np.uint8), {}
    for number, voxels in segments_on_grid(path, shape, affine):
        segment = np.zeros(shape, np.uint8)
        segment[tuple(voxels.T)] = 1
        marked |= segment
        counts[number] = geometry.forward(segment, nearest=True).sum(axis=(0, 1), dtype=int)
    return counts, geometry.forward(marked, nearest=True).sum(axis=(0, 1), dtype=int)


def _label_counts(
    path: Path, shape: tuple[int, ...], affine: FloatArray, geometry: Geometry
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    labels = geometry.forward(_label_map(path, shape, affine), nearest=True)
    count = labels.shape[2]
    where = np.nonzero(labels > 0)
    values, of_voxel = np.unique(labels[where].astype(np.int64), return_inverse=True)
    if len(values) > MOST_LABELS:
        raise LabelError(
            "the mask holds grey levels, not labels",
            observed=f"{len(values)} different values",
            cause="an image in the place of its mask",
            fix="check --mask, or the column 'mask' of the table",
        )
    flat = np.bincount(of_voxel * count + where[2], minlength=len(values) * count)
    table = flat.reshape(len(values), count)
    return dict(zip(values.tolist(), table, strict=True)), table.sum(axis=0)


@dataclass(frozen=True)
class Labelling:
    """How masks become classes, the same way over a whole data set.

    Attributes:
        names: Scan number -> mask value (or ``ANY``) -> name, the most important first.
        other: Class of a slice of a masked scan without any of them.
        least_area: mm2 from which a label counts as present.
    """

    names: dict[int, dict[int, str]]
    other: str
    least_area: float

    @classmethod
    def of(cls, config: DataConfig, of_data: Mapping[int, Mapping[int, str]]) -> Labelling:
        """The user's ``--mask-label``, else the names that came with the data, else ``UNNAMED``.

        Names of the data are ranked by the highest value that they have anywhere: where values
        are nested, they count up from the organ to the lesion (liver 1, tumour 2; in BraTS 4 is
        enhancing tumour), and a slice with both is the lesion's.

        Args:
            config: ``mask_label`` and ``mask_min_area``.
            of_data: Number of each scan that has a mask -> value -> name, as the data say.
        """
        given = mask_names(config.mask_label)
        rank: dict[str, int] = {}
        for value, name in (pair for names in of_data.values() for pair in names.items()):
            rank[name] = max(value, rank.get(name, 0))
        names = {}
        for scan, own in of_data.items():
            ordered = sorted(own, key=lambda value: (-rank[own[value]], own[value], value))
            names[scan] = given or {value: own[value] for value in ordered} or UNNAMED
        distinct = {name for own in names.values() for name in own.values()}
        other = f"no-{min(distinct)}" if len(distinct) == 1 else BACKGROUND
        return cls(names, other, config.mask_min_area)

    def classes(self, scan: int, areas: pd.DataFrame) -> pd.Series:
        """The class of each slice: the first name whose area reaches ``least_area``.

        Values with one name are taken together.

        Args:
            scan: Its number.
            areas: Its slices, with :meth:`MaskAreas.columns`; a value that it lacks may be NaN.
        """
        names = self.names[scan]
        classes = pd.Series(self.other, index=areas.index, dtype=object)
        for name in reversed(list(dict.fromkeys(names.values()))):
            values = [value for value, given in names.items() if given == name]
            classes[_area_of(areas, values) >= self.least_area] = name
        return classes

    def slices_with_unnamed(self, scan: int, areas: pd.DataFrame) -> Counter[int]:
        """Mask values that nobody named -> in how many slices they are marked."""
        if ANY in self.names[scan]:
            return Counter()
        prefix = f"{AREA}_"
        columns = [str(name) for name in areas.columns if str(name).startswith(prefix)]
        values = {int(name.removeprefix(prefix)): name for name in columns}
        marked = {value: int((areas[name] > 0).sum()) for value, name in values.items()}
        return Counter({value: n for value, n in marked.items() if value not in self.names[scan]})


def _area_of(areas: pd.DataFrame, values: list[int]) -> pd.Series:
    wanted = [AREA if value == ANY else f"{AREA}_{value}" for value in values]
    there = [name for name in wanted if name in areas]
    return areas[there].fillna(0).sum(axis=1) if there else pd.Series(0.0, index=areas.index)

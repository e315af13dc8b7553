"""DICOM Segmentation objects: which images they belong to, and where their segments lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from highdicom.seg import Segmentation, segread
from pydicom import Dataset, dcmread

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging.dicom_kind import SEGMENTATIONS
from medimg_gan.imaging.orientation import LPS_TO_RAS

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

TAGS = """
    SOPClassUID SOPInstanceUID SeriesInstanceUID FrameOfReferenceUID SegmentSequence
    ReferencedSeriesSequence SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
"""
PRESENT_FROM = 0.5
"""Probability or occupancy from which a voxel of a FRACTIONAL segmentation counts as marked."""


@dataclass(frozen=True)
class References:
    """Which images one DICOM file is, or (a segmentation) was drawn on. In memory only.

    Attributes:
        series: Series instance UIDs.
        images: SOP instance UIDs.
        frame: Frame of reference UID, "" if absent.
    """

    series: frozenset[str]
    images: frozenset[str]
    frame: str


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM Segmentation (any other file, of whatever kind, is not)."""
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            return False
    return _header(path, "SOPClassUID").get("SOPClassUID") in SEGMENTATIONS


def own_identity(path: Path) -> References:
    """The series, image and frame of reference that a DICOM image itself is of."""
    dataset = _header(path, "SOPInstanceUID SeriesInstanceUID FrameOfReferenceUID")
    return References(
        frozenset({str(dataset.get("SeriesInstanceUID", ""))}),
        frozenset({str(dataset.get("SOPInstanceUID", ""))}),
        str(dataset.get("FrameOfReferenceUID", "")),
    )


def segmentation_header(path: Path) -> tuple[References, dict[int, str]]:
    """What a segmentation was drawn on, and the labels of its segments by number.

    References come from Referenced Series Sequence (PS3.3 C.12.1.1.2.1), else from the source
    images of the frames (C.7.6.16.2.6).

    Raises:
        UnreadableError: If the file is damaged or names no segments.
    """
    dataset = _header(path, TAGS)
    series, images = set(), set()
    for item in dataset.get("ReferencedSeriesSequence") or []:
        series.add(str(item.get("SeriesInstanceUID", "")))
        images.update(_image_uids(item.get("ReferencedInstanceSequence")))
    groups = [
        *(dataset.get("SharedFunctionalGroupsSequence") or []),
        *(dataset.get("PerFrameFunctionalGroupsSequence") or []),
    ]
    for group in groups if not images else []:
        for derivation in group.get("DerivationImageSequence") or []:
            images.update(_image_uids(derivation.get("SourceImageSequence")))
    names = {
        int(item.SegmentNumber): str(item.get("SegmentLabel") or f"segment {item.SegmentNumber}")
        for item in dataset.get("SegmentSequence") or []
        if int(item.SegmentNumber) > 0  # 0 is the background of a label map
    }
    if not names:
        raise UnreadableError(f"{path}: a DICOM SEG without segments", cause="a damaged export")
    frame = str(dataset.get("FrameOfReferenceUID", ""))
    return References(frozenset(series), frozenset(images), frame), names


def segments_on_grid(
    path: Path, shape: tuple[int, ...], affine: FloatArray
) -> Iterator[tuple[int, np.ndarray]]:
    """The marked voxels of each segment, as indices on the grid of the image they belong to.

    Frames may come in any order and cover only some slices. One segment at a time is in memory.

    Args:
        path: A BINARY, FRACTIONAL (marked from ``PRESENT_FROM``) or LABELMAP segmentation.
        shape: (I, J, K) of the image.
        affine: (4, 4) of the image, voxel index -> mm in RAS+.

    Yields:
        Segment number, and (N, 3) whole numbers i, j, k.

    Raises:
        UnreadableError: If the file is damaged, or lies on another grid than the image.
    """
    try:
        segmentation = segread(path, lazy_frame_retrieval=True)
        numbers = [int(number) for number in segmentation.segment_numbers if number > 0]
        for number in numbers:
            array, own = _segment(segmentation, number)
            voxels = np.argwhere(array >= PRESENT_FROM)
            yield number, _moved(voxels, array.shape, own, shape, affine)
    except UnreadableError as error:
        raise UnreadableError(
            f"{path}: {error.problem}", observed=error.observed, cause=error.cause, fix=error.fix
        ) from error
    except (OSError, ValueError, RuntimeError, AttributeError, KeyError, IndexError) as error:
        raise UnreadableError(
            f"{path}: a DICOM SEG that cannot be read",
            observed=" ".join(str(error).split()),
            cause="a damaged file, or frames that form no regular volume",
            fix="export the segmentation again",
        ) from error


def _segment(segmentation: Segmentation, number: int) -> tuple[np.ndarray, FloatArray]:
    """One segment as (slices, rows, columns) and its (4, 4) affine to mm in RAS+."""
    volume = segmentation.get_volume(segment_numbers=[number])
    return volume.array[..., 0], LPS_TO_RAS @ volume.affine


def _moved(
    voxels: np.ndarray,
    own_shape: tuple[int, ...],
    own: FloatArray,
    shape: tuple[int, ...],
    affine: FloatArray,
) -> np.ndarray:
    """Voxel indices of a segmentation -> indices of the image.

    Raises:
        UnreadableError: Unless the grids share their lattice and every voxel lies inside.
    """
    step = np.linalg.inv(affine) @ own
    if own_shape[0] == 1:
        step[:3, 0] = 0  # one plane has no distance to the next
    whole = np.rint(step)
    in_plane = np.abs(whole[:3, 1:3]).sum(axis=0)
    between = np.count_nonzero(whole[:3, 0])  # a step of several slices is fine
    reach = np.array([*own_shape, 1])  # an error of the step grows over the grid
    if np.abs((step - whole) * reach).max() > 0.1 or (in_plane != 1).any() or between > 1:
        pixels = np.linalg.norm(own[:3, 1:3], axis=0)
        raise UnreadableError(
            "the DICOM SEG lies on another grid than its image",
            observed=f"its planes: {own_shape[1]}x{own_shape[2]} pixels of {pixels[0]:.3g}x"
            f"{pixels[1]:.3g} mm; the image: {'x'.join(map(str, shape))} voxels",
            cause="drawn on a resampled copy of the image, or the image was resampled when read",
            fix="export the segmentation on the original images",
        )
    moved = (voxels @ whole[:3, :3].T + whole[:3, 3]).astype(np.int64)
    outside = int(((moved < 0) | (moved >= shape)).any(axis=1).sum())
    if outside:
        raise UnreadableError(
            "the DICOM SEG marks voxels outside its image",
            observed=f"{outside} of {len(voxels)} marked voxels",
            cause="slices of the image are missing here",
            fix="export the whole series again",
        )
    return moved


def _header(path: Path, tags: str) -> Dataset:
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=list(tags.split()), force=True)
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise UnreadableError(
            f"{path}: not a readable DICOM file", observed=f"{type(error).__name__}: {error}"
        ) from error


def _image_uids(sequence: Any) -> set[str]:
    return {str(item.get("ReferencedSOPInstanceUID", "")) for item in sequence or []}

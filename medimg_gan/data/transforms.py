"""The MONAI pipeline from files to network-ready slices: read, encode, cut into pictures."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from monai.config.type_definitions import PathLike
from monai.data.image_reader import ImageReader
from monai.transforms.compose import Compose
from monai.transforms.io.dictionary import LoadImaged
from monai.transforms.transform import MapTransform

from medimg_gan.data.masks import MaskAreas, measure_mask
from medimg_gan.data.planes import frame_of, to_pictures
from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import Series, Volume, read_files, read_series
from medimg_gan.modalities import MODALITIES
from medimg_gan.read_options import DEFAULTS, ReadOptions

FLATTEST_PIXEL = 4.0
"""Longest over shortest side of a pixel that still makes a picture."""

STORED_MAX = 32767
"""Slices are kept as int16: [-1, 1] in steps of 1/32767, under 0.04 HU in the default window."""


# MONAI warns about decoders of readers that are never used here.
logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)


class VolumeReader(ImageReader):
    """Read DICOM series, NIfTI and pictures for MONAI's ``LoadImage`` with this project's reader.

    MONAI's own readers invent an affine for some series and mix the series of a folder. Arrays
    are (I, J, K) float32 in the modality's units, the affine is RAS+, and what is not a regular
    volume is refused with a reason.

    Args:
        options: What to do with gaps, tilt and time series.
        series: How its own files are to be read, as ``find_series`` found; all others are read
            by ``options``.
    """

    def __init__(self, options: ReadOptions = DEFAULTS, series: Series | None = None) -> None:
        self.options = options
        self.series = series

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Any file: what cannot be read is refused with a reason later."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Volume:
        """Decode one series: a folder, one file, or the series' files in any order."""
        paths = [data] if isinstance(data, str | Path) else list(data)  # type: ignore[arg-type]
        files = tuple(Path(str(path)) for path in paths)
        if self.series and files == self.series.paths:
            return read_series(self.series)
        return read_files(files, options=self.options)

    def get_data(self, img: Volume) -> tuple[np.ndarray, dict[str, Any]]:
        """The array and the metadata that MONAI keeps with it."""
        meta = {
            "affine": img.affine,
            "original_affine": img.affine,
            "spatial_shape": np.array(img.array.shape),
            "original_channel_dim": float("nan"),
            "space": "RAS",
            "unit": img.unit,
            "modality": img.modality,
        }
        return img.array, meta


class LoadVolumed(LoadImaged):
    """MONAI's ``LoadImaged`` with :class:`VolumeReader` and nothing else.

    A ``LoadImaged(reader=...)`` that fails goes on to try every reader that MONAI has: what we
    refuse for a reason would be read wrongly by another. A reader given at the call is the only
    one that is tried.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        with warnings.catch_warnings():  # about decoders of readers that are never used here
            warnings.simplefilter("ignore", UserWarning)
            super().__init__(keys, reader=VolumeReader, ensure_channel_first=False)

    def __call__(
        self, data: Mapping[Hashable, Any], reader: ImageReader | None = None
    ) -> dict[Hashable, Any]:
        """Paths (and the ``series`` they are) -> MetaTensors (I, J, K) with a RAS+ affine."""
        return super().__call__(data, reader or VolumeReader(series=data.get("series")))


@dataclass(frozen=True)
class Slices:
    """One scan, cut into pictures.

    Attributes:
        pictures: (K, size, size) int16, encoded value times ``STORED_MAX``.
        position: (K,) float32 in [0, 1], from the lowest slice to the highest.
        areas: What the mask marks in each of the K slices.
        low, high: The scale that was applied (raw values of -1 and 1).
        pixel_mm: Side of a picture's pixel.
        unit: HU, signal or display.
    pixel_mm: Side of a picture's pixel.
        index: (K,) the slices' numbers in the volume.
        blank: How many slices were left out because nothing is on them.
    """

    pictures: np.ndarray
    position: np.ndarray
    areas: MaskAreas
    low: float
    high: float
    pixel_mm: float
    unit: str
    index: np.ndarray
    blank: int


class MeasureMask(MapTransform):
    """Replace the path of a mask by what it marks in each slice of the loaded image."""

    def __init__(self) -> None:
        super().__init__(keys=("mask",))

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        """``mask``: path -> :class:`MaskAreas`; raises like :func:`measure_mask`."""
        image = data["image"]
        areas = measure_mask(Path(data["mask"]), tuple(image.shape), np.asarray(image.affine))
        return {**data, "mask": areas}


class CutIntoSlices(MapTransform):
    """Encode a loaded volume by its modality and cut it into square pictures.

    Needs ``image`` and ``modality``, takes ``mask`` where there is one, and puts ``slices``.
    """

    def __init__(self, size: int, blank_below: float) -> None:
        super().__init__(keys=("image",))
        self.size = size
        self.blank_below = blank_below

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        """One loaded scan -> ``{"slices": Slices}``.

        Raises:
            ModalityError: If the values cannot be of the modality.
            UnreadableError: If every slice is blank, or the scan is cut across the axial plane.
        """
        image = data["image"]
        raw, affine = np.asarray(image), np.asarray(image.affine)
        spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0))
        if max(spacing[:2]) > FLATTEST_PIXEL * min(spacing[:2]):
            raise UnreadableError(
                "its slices do not lie in the axial plane",
                observed=f"an axial cut has pixels of {spacing[0]:.1f} x {spacing[1]:.1f} mm",
                cause="a sagittal or coronal series of thick slices",
                fix="resample it to even voxels first, or leave it out",
            )
        scale = MODALITIES[data["modality"]].fit(raw, image.meta["unit"])
        frame = frame_of(raw.shape, spacing, self.size)
        pictures = to_pictures(scale.encode(raw), frame)
        count = len(pictures)
        filled = (pictures > -0.95).mean(axis=(1, 2)) >= self.blank_below
        areas = data.get("mask") or MaskAreas.none(count)
        position = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        slices = Slices(
            pictures=np.round(pictures[filled] * STORED_MAX).astype(np.int16),
            position=position[filled].astype(np.float32),
            areas=areas.of_slices(filled),
            low=scale.low,
            high=scale.high,
            pixel_mm=spacing[0] * frame.columns / frame.width,
            unit=image.meta["unit"],
            index=np.flatnonzero(filled),
            blank=int(count - filled.sum()),
        )
        if not filled.any():
            raise UnreadableError("every slice is blank", cause="an empty or constant volume")
        return {"slices": slices}


def slicing_pipeline(size: int, blank_below: float, *, with_mask: bool) -> Compose:
    """Files -> ``{"slices": Slices}`` for one scan, in MONAI's terms."""
    measure = [MeasureMask()] if with_mask else []
    return Compose([LoadVolumed(("image",)), *measure, CutIntoSlices(size, blank_below)])

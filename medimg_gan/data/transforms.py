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

from medimg_gan.data.chain import encode
from medimg_gan.data.chain_settings import DEFAULT_CHAIN, ChainConfig
from medimg_gan.data.masks import MaskAreas, measure_mask
from medimg_gan.data.planes import FAINTEST
from medimg_gan.errors import DataError, UnreadableError
from medimg_gan.imaging import Series, Volume, read_files, read_series
from medimg_gan.read_options import DEFAULTS, ReadOptions

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

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Volume | DataError:
        """Decode one series: a folder, one file, or the series' files in any order.

        A refusal is returned, and raised by :meth:`get_data`: one that is raised here makes MONAI's
        ``LoadImage`` try all its own readers, and those read wrongly what we refuse.
        """
        paths = [data] if isinstance(data, str | Path) else list(data)  # type: ignore[arg-type]
        files = tuple(Path(str(path)) for path in paths)
        try:
            if self.series and files == self.series.paths:
                return read_series(self.series)
            return read_files(files, options=self.options)
        except DataError as refusal:
            return refusal

    def get_data(self, img: Volume | DataError) -> tuple[np.ndarray, dict[str, Any]]:
        """The array and the metadata that MONAI keeps with it.

        Raises:
            DataError: As :func:`medimg_gan.imaging.read_files`.
        """
        if isinstance(img, DataError):
            raise img
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
    """MONAI's ``LoadImaged`` with a :class:`VolumeReader` that knows the item's ``series``."""

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
        position: (K,) float32 in [0, 1], from the lowest slice to the highest (coronal: from back
            to front, sagittal: from left to right).
        areas: What the mask marks in each of the K slices.
        low, high: The scale that was applied (raw values of -1 and 1).
        landmarks: (11,) of the encoded foreground, or empty where none are asked for.
        pixel_mm: Side of a picture's pixel.
        unit: HU, signal or display.
        index: (K,) the slices' numbers in the prepared volume.
        blank: How many slices were left out because nothing is on them.
        corners: (12,) mm in RAS+ of the scan's first voxel and of the last one along each axis:
            scans of equal shape and corners lie on one grid.
    """

    pictures: np.ndarray
    position: np.ndarray
    areas: MaskAreas
    low: float
    high: float
    landmarks: np.ndarray
    pixel_mm: float
    unit: str
    index: np.ndarray
    blank: int
    corners: np.ndarray


class CutIntoSlices(MapTransform):
    """Send a loaded volume through the chain and keep the pictures that show something.

    Needs ``image``, ``modality`` and, ``with_mask``, the path ``mask``; puts ``slices``.
    """

    def __init__(
        self, size: int, blank_below: float, chain: ChainConfig, *, with_mask: bool
    ) -> None:
        super().__init__(keys=("image",))
        self.with_mask = with_mask
        self.size = size
        self.blank_below = blank_below
        self.chain = chain

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:  # type: ignore[override]
        """One loaded scan -> ``{"slices": Slices}``.

        Raises:
            ModalityError: If the values cannot be of the modality.
            LabelError: If the mask lies on another grid.
            UnreadableError: If every slice is blank, or a pixel in the chain's plane is too flat.
        """
        image = data["image"]
        raw, affine = np.asarray(image), np.asarray(image.affine)
        i, j, k = np.linalg.norm(affine[:3, :3], axis=0).tolist()
        encoded = encode(
            raw,
            (i, j, k),
            modality=data["modality"],
            unit=image.meta["unit"],
            chain=self.chain,
            size=self.size,
        )
        pictures = encoded.pictures
        count = len(pictures)
        shown = np.abs(pictures - encoded.background) > FAINTEST
        filled = shown.mean(axis=(1, 2)) >= self.blank_below
        if not filled.any():
            raise UnreadableError("every slice is blank", cause="an empty or constant volume")
        areas = MaskAreas.none(count)
        if self.with_mask:
            areas = measure_mask(Path(data["mask"]), raw.shape, affine, encoded.geometry)
        position = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
        slices = Slices(
            pictures=np.round(pictures[filled] * STORED_MAX).astype(np.int16),
            position=position[filled].astype(np.float32),
            areas=areas.of_slices(filled),
            low=encoded.scale.low,
            high=encoded.scale.high,
            landmarks=encoded.landmarks,
            pixel_mm=encoded.pixel_mm,
            unit=encoded.unit,
            index=np.flatnonzero(filled),
            blank=int(count - filled.sum()),
            corners=corners_of(raw.shape, affine),
        )
        return {"slices": slices}


def corners_of(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """(12,) x, y, z in mm of voxel (0, 0, 0) and of the last voxel along I, along J and along K.

    Args:
        shape: (I, J, K).
        affine: (4, 4), voxel index -> mm in RAS+.
    """
    last = np.array(shape) - 1
    voxels = np.vstack([np.zeros(3), np.diag(last)])
    return (voxels @ affine[:3, :3].T + affine[:3, 3]).ravel()


def slicing_pipeline(
    size: int, blank_below: float, *, with_mask: bool, chain: ChainConfig = DEFAULT_CHAIN
) -> Compose:
    """Files -> ``{"slices": Slices}`` for one scan, in MONAI's terms."""
    cut = CutIntoSlices(size, blank_below, chain, with_mask=with_mask)
    return Compose([LoadVolumed(("image",)), cut])

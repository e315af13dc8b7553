"""Synthetic slices for a training of one's own: what ``synthesize`` wrote, or an array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.data.planes import as_picture
from medimg_gan.data.split_file import SPLIT_FILE, read_split
from medimg_gan.data.tables import read_table
from medimg_gan.errors import DataError, RunError
from medimg_gan.imaging import read_files
from medimg_gan.modalities import Scale
from medimg_gan.runs import MANIFEST, read_json

if TYPE_CHECKING:
    from medimg_gan.types import FloatArray

GREY = {"display": Scale(0, 255), "signal": Scale(0, 65535)}
"""The scale of a PNG of 8 or of 16 bits, by the unit that reading it gives."""


@dataclass(frozen=True)
class SyntheticSet:
    """Synthetic slices, each with its class and with where it comes from.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1].
        labels: (N,) names of classes.
        sources: (N,) what made each slice, in words that name nobody.
        modality: What the slices show; "" where nobody says.
        gan_split: Pseudonym -> split of the patients of the GAN's training, or None where that
            cannot be known.

    Raises:
        DataError: If the three differ in length, or the images are no such images.
    """

    images: FloatArray
    labels: np.ndarray[Any, Any]
    sources: tuple[str, ...]
    modality: str = ""
    gan_split: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        lengths = len(self.images), len(self.labels), len(self.sources)
        if len(set(lengths)) > 1:
            raise DataError(
                "synthetic slices: images, labels and sources differ in number",
                observed=", ".join(map(str, lengths)),
            )
        if self.images.ndim != 4 or self.images.shape[-1] != self.images.shape[-2]:
            raise DataError(
                "synthetic slices: not an array of square slices",
                observed=f"shape {self.images.shape}, expected (N, C, size, size)",
            )
        if self.images.size and not np.abs(self.images).max() <= 1:  # NaN is refused too
            raise DataError(
                "synthetic slices: values that are not in [-1, 1]",
                cause="values in units, such as HU",
                fix="give what Generator.sample_encoded returns, or a folder of synthesize",
            )

    @classmethod
    def of_array(cls, images: FloatArray, labels: Sequence[str], name: str) -> SyntheticSet:
        """Slices (N, C, size, size) in [-1, 1] that some program made.

        Args:
            images: In the range of the real slices that they are mixed with.
            labels: A class's name for each.
            name: Of what made them, for the provenance of each sample.
        """
        sources = tuple(f"{name} number {number}" for number in range(len(images)))
        return cls(np.asarray(images, np.float32), np.array(labels, str), sources)

    @classmethod
    def read(cls, folder: str | Path, label: str = "") -> SyntheticSet:
        """A folder that ``synthesize`` wrote, in any of its layouts and formats.

        Args:
            folder: With ``manifest.json`` and ``labels.csv``.
            label: The class of slices that have none: those of a GAN without classes.

        Raises:
            RunError: If the folder is not one of ``synthesize``, or not finished.
            DataError: If a file is damaged.
        """
        folder = Path(folder)
        facts = _finished(folder)
        scale = Scale(*facts["png_range"])
        rows = read_table(folder / "labels.csv", folder)
        run, seed = Path(facts["config"]["run"]), facts["config"]["seed"]
        split = run / SPLIT_FILE
        return cls(
            images=np.stack([_encoded(folder / path, scale) for path in rows])[:, None],
            labels=np.array([row.label or label for row in rows.values()], str),
            sources=tuple(
                f"{run.name} seed {seed} number {number}: {folder.name}/{path}"
                for number, path in enumerate(rows)
            ),
            modality=facts["modality"],
            gan_split=read_split(split) if split.is_file() else None,
        )

    @property
    def size(self) -> int:
        """Side of the slices in pixels."""
        return self.images.shape[-1]

    def __len__(self) -> int:
        return len(self.images)


def _finished(folder: Path) -> dict[str, Any]:
    facts = read_json(folder / MANIFEST)
    if facts.get("verb") != "synthesize":
        raise RunError(
            f"{folder}: holds no synthetic slices",
            observed=f"it was made by '{facts.get('verb')}'",
            fix="python scripts/synthesize.py --run RUN --out DIR",
        )
    if not facts.get("finished"):
        raise RunError(
            f"{folder}: the slices are not complete",
            fix="repeat the command of synthesize; it goes on where it stopped",
        )
    return facts


def _encoded(path: Path, scale: Scale) -> FloatArray:
    """One written slice (H, W) back in [-1, 1]."""
    volume = read_files([path])
    picture = volume.provenance.get("format") == "picture"
    return (GREY[volume.unit] if picture else scale).encode(as_picture(volume.array))

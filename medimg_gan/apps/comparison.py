"""Translated scans beside the truth, where somebody has it: one picture and the mean error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.data.index import build_index
from medimg_gan.data.planes import frame_of, to_pictures
from medimg_gan.data.prepare import SPLIT_FILE, read_split
from medimg_gan.data.visits import common_name
from medimg_gan.errors import DataError
from medimg_gan.imaging import Volume, read_series
from medimg_gan.modalities import MODALITIES

if TYPE_CHECKING:
    from medimg_gan.data.index import Scan
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.synthesis import Translator
    from medimg_gan.types import FloatArray

ROWS = 6
"""Scans in the picture."""

ABOVE_BACKGROUND = -0.9
"""Encoded value from which a voxel counts as body, in the source or in the truth."""


def truths(config: DataConfig) -> dict[str, Scan]:
    """The true target scans by their common name."""
    return {common_name(scan.path): scan for scan in build_index(config).scans}


def held_out(scans: list[Scan], run: Path) -> list[Scan]:
    """The scans of patients that the training did not see; all, if it saw none of these."""
    split = read_split(run / SPLIT_FILE)
    unseen = [scan for scan in scans if split.get(scan.patient, "test") != "train"]
    return unseen or scans


def compare(
    scans: list[Scan], truth_of: dict[str, Scan], translator: Translator, picture: Path
) -> dict[str, float]:
    """Mean absolute error inside the body, by patient, and a picture of some scans.

    Args:
        scans: Source scans.
        truth_of: From :func:`truths`.
        translator: Of a trained run.
        picture: PNG to write: a row a scan, source | translated | truth.

    Returns:
        Patient (pseudonym) -> mean absolute error in the target's unit.

    Raises:
        DataError: If no scan has a truth on the same grid.
    """
    errors: dict[str, list[float]] = {}
    rows: list[FloatArray] = []
    paired = [scan for scan in scans if common_name(scan.path) in truth_of]
    shown = {scan.path for scan in paired[:: max(1, len(paired) // ROWS)][:ROWS]}
    for scan in paired:
        source, truth = (
            read_series(found.series) for found in (scan, truth_of[common_name(scan.path)])
        )
        if truth.array.shape != source.array.shape:
            continue
        translated = translator.translate(source)
        body = _encoded(source, translator.source) > ABOVE_BACKGROUND
        body |= _encoded(truth, translator.target) > ABOVE_BACKGROUND
        error = np.abs(translated.array - truth.array)[body].mean()
        errors.setdefault(scan.patient, []).append(float(error))
        if scan.path in shown:
            rows.append(_row(source, translated, truth, translator))
    if not errors:
        raise DataError(
            "--truth: no scan has a truth of the same name and grid",
            observed=f"truths are named like {next(iter(truth_of), 'nothing')!r}, "
            f"scans like {common_name(scans[0].path)!r}",
        )
    _save(np.concatenate(rows), picture)
    return {patient: float(np.mean(values)) for patient, values in errors.items()}


def _encoded(volume: Volume, modality: str) -> FloatArray:
    return MODALITIES[modality].fit(volume.array, volume.unit).encode(volume.array)


def _row(source: Volume, translated: Volume, truth: Volume, translator: Translator) -> FloatArray:
    """One slice of a scan (H, 3 W): a little above the middle, where the ventricles are."""
    k = int(0.55 * source.array.shape[2])
    size = max(128, translator.recipe.spec.size)
    frame = frame_of(source.array.shape, source.spacing, size)
    encoded = [
        _encoded(source, translator.source),
        translator.scale.encode(translated.array),
        translator.scale.encode(truth.array),
    ]
    return np.hstack([to_pictures(part[:, :, k : k + 1], frame)[0] for part in encoded])


def _save(pixels: FloatArray, path: Path) -> None:
    from medimg_gan.imaging import write_picture

    write_picture((pixels + 1) / 2, path)

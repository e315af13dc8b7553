"""Which scans a translator is scored on, and their truth; a short score for ``translate``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.data.index import build_index
from medimg_gan.data.prepare import SPLIT_FILE, read_split
from medimg_gan.errors import DataError
from medimg_gan.evaluation import translation
from medimg_gan.evaluation.translation_pictures import Shown, draw
from medimg_gan.files import written_aside
from medimg_gan.imaging import Volume, read_series
from medimg_gan.metrics.paired import mean_absolute_error
from medimg_gan.modalities import MODALITIES

if TYPE_CHECKING:
    from medimg_gan.data.index import Scan
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.synthesis import Translator


def common_name(path: str) -> str:
    """What a source scan and its truth share: the path without modality folder and ending.

    'mri/P001' and 'ct/P001.nii.gz' -> 'P001'.
    """
    parts = [part for part in Path(path).parts if part.lower() not in MODALITIES]
    return re.sub(r"(\.nii(\.gz)?|\.[a-z]{3,4})$", "", "/".join(parts), flags=re.IGNORECASE)


def truths(config: DataConfig) -> dict[str, Scan]:
    """The true target scans by their common name."""
    return by_name(build_index(config).scans)


def by_name(scans: list[Scan]) -> dict[str, Scan]:
    """Scans by their common name."""
    return {common_name(scan.path): scan for scan in scans}


def held_out(scans: list[Scan], run: Path) -> list[Scan]:
    """The scans of patients that the training did not see; all, if it saw none of these."""
    split = read_split(run / SPLIT_FILE)
    unseen = [scan for scan in scans if split.get(scan.patient, "test") != "train"]
    return unseen or scans


def unseen(scans: list[Scan], run: Path) -> tuple[list[Scan], bool]:
    """The scans to measure on, and whether they are those of validation patients.

    Validation patients may have been looked at while training, so they serve only where there are
    no others; training patients never do.
    """
    split = read_split(run / SPLIT_FILE)
    by_split: dict[str, list[Scan]] = {"train": [], "val": [], "test": []}
    for scan in scans:
        by_split[split.get(scan.patient, "test")].append(scan)
    return by_split["test"] or by_split["val"], not by_split["test"]


def truth_of(scan: Scan, known: Mapping[str, Scan], grid: Volume) -> Volume | None:
    """The truth of a scan on its own grid, or None where there is none."""
    other = known.get(common_name(scan.path))
    if other is None:
        return None
    truth = read_series(other.series)
    return truth if truth.array.shape == grid.array.shape else None


def shown(source: Volume, made: Volume, truth: Volume | None, translator: Translator) -> Shown:
    """What the picture of a scan needs."""
    values = None
    if truth is not None:
        values = translation.comparable(truth, translator.target, translator.scale)
    return Shown(source, made, values, *translation.limits_of(made.unit, translator.scale))


def compare(
    scans: list[Scan], known: Mapping[str, Scan], translator: Translator, picture: Path
) -> dict[str, float]:
    """Mean absolute error inside the body, by patient, and a picture of the first scan.

    ``evaluate`` measures more.

    Args:
        scans: Source scans.
        known: Their truths, from :func:`truths`.
        translator: Of a trained run.
        picture: PNG to write: source, translated, truth and error in the windows of CT.

    Returns:
        Patient (pseudonym) -> mean absolute error in the target's unit.

    Raises:
        DataError: If no scan has a truth on the same grid.
    """
    errors: dict[str, list[float]] = {}
    for scan in scans:
        source = read_series(scan.series)
        truth = truth_of(scan, known, source)
        if truth is None:
            continue
        made = translator.translate(source)
        body = translation.body_of(source, translator.source)
        body |= translation.body_of(truth, translator.target)
        what = shown(source, made, truth, translator)
        assert what.truth is not None
        if not errors:
            with written_aside(picture) as aside:
                aside.write_bytes(draw(what))
        error = mean_absolute_error(made.array, what.truth, body)
        errors.setdefault(scan.patient, []).append(error)
    if not errors:
        raise without_truth(scans, known)
    return {patient: float(np.mean(values)) for patient, values in errors.items()}


def without_truth(scans: list[Scan], known: Mapping[str, Scan]) -> DataError:
    """What to tell a user whose truths fit no scan."""
    return DataError(
        "--truth: no scan has a truth of the same name and grid",
        observed=f"truths are named like {next(iter(known), 'nothing')!r}, "
        f"scans like {common_name(scans[0].path)!r}",
    )

"""Trainings in files, so that a repeated command goes on where it stopped.

A training whose file is whole, and of the same settings and data, is not repeated, whoever
trained it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_gan.classify import network_identity
from medimg_gan.files import written_aside
from medimg_gan.study.arms import stages_of
from medimg_gan.study.jobs import FitResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from medimg_gan.study.data import StudyConfig, StudyData
    from medimg_gan.study.fits import Fit

FOLDER = "fits"


def fold_folder(folder: Path, fold: int, folds: int) -> Path:
    """Where a fold keeps its GAN and its trainings; a single fold has no folder of its own."""
    return folder if folds == 1 else folder / f"fold-{fold + 1}"


class Kept:
    """The trainings of one fold that lie in files.

    Args:
        folder: Of the fold.
        data: Of the fold; what was learnt from other slices is not read.
        config: What was trained with other settings is not read.
    """

    def __init__(self, folder: Path, data: StudyData, config: StudyConfig) -> None:
        self.folder = folder / FOLDER
        self.digest = data.digest()
        self.config = config
        self.settings = asdict(config.classifier)
        del self.settings["device"]
        self.settings["network"] = network_identity(config.classifier.network)

    def read(self, fit: Fit) -> FitResult | None:
        """A kept result, or None if it is absent, damaged, or of other settings or data."""
        try:
            with np.load(self._path(fit), allow_pickle=False) as kept:
                if str(kept["fingerprint"]) != self.fingerprint(fit):
                    return None
                return FitResult(
                    kept["validation"], kept["test"], int(kept["step"]), kept.get("synthetic")
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def write(self, fit: Fit, result: FitResult) -> None:
        """Keep a result: a reader sees all of it or none."""
        arrays: dict[str, Any] = {
            "validation": result.validation,
            "test": result.test,
            "step": result.step,
            "fingerprint": self.fingerprint(fit),
        }
        if result.synthetic is not None:
            arrays["synthetic"] = result.synthetic
        with written_aside(self._path(fit)) as aside:
            np.savez(aside, **arrays)

    def _path(self, fit: Fit) -> Path:
        return self.folder / f"{fit.name}.npz"

    def fingerprint(self, fit: Fit) -> str:
        """Changes with anything that would change the result; the device is not among it."""
        facts: list[Any] = [asdict(fit), self.settings, self.digest]
        stages = stages_of(fit.arm, self.config.filters)
        if stages:  # the filters' classifier is of the study's first seed
            facts += [stages, self.config.features, self.config.seed]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def keepers(folds: Sequence[StudyData], config: StudyConfig, folder: Path) -> list[Kept]:
    """What keeps the trainings of each fold."""
    return [
        Kept(fold_folder(folder, fold, len(folds)), data, config) for fold, data in enumerate(folds)
    ]

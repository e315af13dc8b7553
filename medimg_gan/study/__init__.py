"""Does adding synthetic slices help a classifier of this user's data, and by how much?

The arms (``arms.ARMS``) differ only in what the classifier learns from. Every choice (ratio, best
arm without synthetic slices, threshold, kept weights) is made on validation; the test split only
gives the figures. With several folds each has its own GAN and makes its own choices.
"""

from __future__ import annotations

from medimg_gan.study.arms import ARMS, Arm
from medimg_gan.study.data import Split, StudyConfig, StudyData
from medimg_gan.study.fits import planned_fits
from medimg_gan.study.kept import fold_folder
from medimg_gan.study.run import StudyResult, run_study
from medimg_gan.study.trainers import Trainers

__all__ = [
    "ARMS",
    "Arm",
    "Split",
    "StudyConfig",
    "StudyData",
    "StudyResult",
    "Trainers",
    "fold_folder",
    "planned_fits",
    "run_study",
]

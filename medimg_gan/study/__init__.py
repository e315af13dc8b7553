"""Does adding synthetic slices help a classifier of this user's data, and by how much?

The arms (``arms.ARMS``) differ only in what the classifier learns from. Every choice (ratio, best
arm without synthetic slices, threshold, kept weights) is made on validation; the test split only
gives the figures.
"""

from __future__ import annotations

from medimg_gan.study.arms import ARMS, Arm
from medimg_gan.study.data import Split, StudyConfig, StudyData
from medimg_gan.study.fits import estimate_seconds, planned_fits
from medimg_gan.study.run import StudyResult, run_study

__all__ = [
    "ARMS",
    "Arm",
    "Split",
    "StudyConfig",
    "StudyData",
    "StudyResult",
    "estimate_seconds",
    "planned_fits",
    "run_study",
]

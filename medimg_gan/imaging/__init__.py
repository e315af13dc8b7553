"""Scans in and out: DICOM series, NIfTI files and pictures as :class:`Volume` (numpy only)."""

from medimg_gan.imaging.dicom_origin import Origin, origin_of
from medimg_gan.imaging.dicom_write import write_dicom
from medimg_gan.imaging.find import find_series
from medimg_gan.imaging.nifti import write_nifti
from medimg_gan.imaging.picture import write_picture
from medimg_gan.imaging.read import read_files, read_series, read_volumes
from medimg_gan.imaging.series import Problem, Series
from medimg_gan.imaging.volume import Volume
from medimg_gan.read_options import ReadOptions

__all__ = [
    "Origin",
    "Problem",
    "ReadOptions",
    "Series",
    "Volume",
    "find_series",
    "origin_of",
    "read_files",
    "read_series",
    "read_volumes",
    "write_dicom",
    "write_nifti",
    "write_picture",
]

"""Small healthy files of every kind, for the fuzz to spoil."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
from pydicom import Dataset, Sequence, dcmread, uid

from medimg_gan.imaging import Volume, write_dicom, write_nifti

SHIPPED = """
    CT_small MR_small MR_small_RLE MR_small_bigendian MR_small_implicit MR_small_jp2klossless
    MR_small_jpeg_ls_lossless MR_small_padded MR_truncated JPEG-lossy JPGExtended JPEG2000 693_J2KI
    SC_rgb_jpeg SC_rgb_rle SC_rgb_rle_16bit SC_rgb_small_odd SC_rgb_small_odd_big_endian
    SC_rgb_jls_lossy_line JPEGLSNearLossless_16 image_dfl badVR rtdose_1frame rtplan test-SR
    UN_sequence nested_priv_SQ ExplVR_LitEndNoMeta meta_missing_tsyntax
"""
"""Of pydicom's test files: one of each encoding, and some that are no scans."""


def phantom(modality: str, size: int = 12, slices: int = 3) -> Volume:
    """A few bright voxels with unlike axes."""
    array = np.random.default_rng(0).integers(-1000, 2000, (size, size + 2, slices))
    unit = "HU" if modality == "ct" else "signal"
    affine = np.diag([0.8, 0.9, 2.5, 1.0])
    return Volume(array.astype(np.float32), affine, modality, unit)


def dicom_seeds(folder: Path) -> list[Path]:
    """One file each: classic, compressed, enhanced multi-frame, and what pydicom ships."""
    seeds = [*write_dicom(phantom("ct"), folder / "ct")[:1]]
    seeds += write_dicom(phantom("mri"), folder / "mri")[:1]
    seeds.append(enhanced(folder / "enhanced.dcm"))
    for syntax in (uid.RLELossless, uid.JPEG2000Lossless, uid.DeflatedExplicitVRLittleEndian):
        image = dcmread(write_dicom(phantom("mri", 40), folder / syntax.keyword)[0])
        if syntax.is_deflated:
            image.file_meta.TransferSyntaxUID = syntax
        else:
            image.compress(syntax, generate_instance_uid=False)
        image.save_as(folder / f"{syntax.keyword}.dcm")
        seeds.append(folder / f"{syntax.keyword}.dcm")
    shipped = Path(pydicom.__file__).parent / "data" / "test_files"
    return seeds + [shipped / f"{name}.dcm" for name in SHIPPED.split()]


def nifti_seeds(folder: Path) -> list[Path]:
    """Single files, plain and zipped, a time series and a pair (named by its .img)."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [
        write_nifti(phantom("mri", 6), folder / "a.nii"),
        write_nifti(phantom("ct", 6), folder / "b.nii.gz"),
    ]
    series = np.arange(360, dtype=np.int16).reshape(4, 5, 6, 3)
    nibabel.save(nibabel.Nifti1Image(series, np.eye(4)), folder / "series.nii")
    nibabel.save(nibabel.Nifti2Image(series[..., 0], np.eye(4)), folder / "second.nii")
    nibabel.save(nibabel.Nifti1Pair(series[..., 0], np.eye(4)), folder / "pair.img")
    return [*seeds, *(folder / name for name in ("series.nii", "second.nii", "pair.img"))]


def enhanced(path: Path) -> Path:
    """One enhanced multi-frame MR file of three frames."""
    slices = [dcmread(one) for one in write_dicom(phantom("mri"), path.with_suffix(""))]
    whole = Dataset(slices[0])
    whole.file_meta = slices[0].file_meta
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = uid.EnhancedMRImageStorage
    whole.NumberOfFrames = len(slices)
    measures, plane, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, whole.SliceThickness
    plane.ImageOrientationPatient = whole.ImageOrientationPatient
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for one in slices:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    whole.PerFrameFunctionalGroupsSequence = Sequence(frames)
    whole.PixelData = b"".join(one.PixelData for one in slices)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(whole, name)
    whole.save_as(path, enforce_file_format=True)
    return path

"""How fast headers are found: ours, first and again, beside what others need for one folder."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import numpy as np
import SimpleITK
from pydicom import Dataset, dcmread, uid
from pydicom.dataset import FileMetaDataset

from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig

Row = dict[str, Any]
SLICES = 100
"""Files of one series in the tree."""


def make_tree(folder: Path, files: int) -> Path:
    """Small DICOM files that no scanner made: ``files`` of them, 100 a series, a folder each.

    The series' headers are encoded once; what differs between slices (instance number and UID,
    position) is put in as text of equal length.
    """
    for number, first in enumerate(range(0, files, SLICES)):
        place = folder / f"{number // 100:03d}" / f"{number:05d}"
        place.mkdir(parents=True, exist_ok=True)
        encoded = _encoded_slice(number)
        for slice_number in range(min(SLICES, files - first)):
            text = b"1%04d" % slice_number  # a UID may not begin a part with 0
            (place / f"{slice_number:05d}.dcm").write_bytes(encoded.replace(b"77777", text))
    return folder


def index_rows(folder: Path, files: int) -> list[Row]:
    """Files per second on one tree of ``files`` small DICOM files, fresh from the disk's cache."""
    tree = make_tree(folder / f"tree-{files}", files)
    shutil.rmtree(folder / "index-cache", ignore_errors=True)
    settings = DataConfig(data=tree, cache=folder / "index-cache")
    ways: dict[str, Callable[[], object]] = {
        "our index, first time": lambda: build_index(settings),
        "our index, again": lambda: build_index(settings),
        "pydicom alone (dcmread before pixels)": lambda: _pydicom(tree),
        "SimpleITK's GDCM series reader": lambda: _gdcm(tree),
        "dcm2niix -b o (sidecars only)": lambda: _dcm2niix(tree, folder / "sidecars"),
    }
    rows = []
    for what, work in ways.items():
        start = time.perf_counter()
        work()
        rate = files / (time.perf_counter() - start)
        rows.append({"what": f"files: {what}", "figure": rate, "unit": "/s"})
    alone = rows[2]["figure"]
    for row in rows:
        row |= {"ratio": row["figure"] / alone, "against": "pydicom alone"}
    return rows


def _pydicom(tree: Path) -> None:
    for path in tree.rglob("*.dcm"):
        dcmread(path, stop_before_pixels=True)


def _gdcm(tree: Path) -> None:
    for place in {path.parent for path in tree.rglob("*.dcm")}:
        for series in SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(str(place)):
            SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(place), series)


def _dcm2niix(tree: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    words = ["-b", "o", "-d", "9", "-w", "1", "-f", "%j", "-o", str(out), str(tree)]
    subprocess.run([dcm2niix.bin, *words], check=True, capture_output=True)


def _encoded_slice(series: int) -> bytes:
    """One slice of 16 x 16 pixels; 77777 stands where slices differ."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    image.SOPClassUID = uid.MRImageStorage
    image.SOPInstanceUID = f"2.25.9{series:06d}.77777"
    image.SeriesInstanceUID = f"2.25.8{series:06d}"
    image.StudyInstanceUID = f"2.25.6{series:06d}"
    image.PatientID = f"PHANTOM{series:06d}"
    image.Modality = "MR"
    image.ImageType = ["ORIGINAL", "PRIMARY"]
    image.SeriesNumber, image.InstanceNumber = 1, "77777"
    image.ImagePositionPatient = ["0", "0", "77777.0"]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness = [1, 1], 1
    image.Rows = image.Columns = 16
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = np.arange(256, dtype=np.uint16).tobytes()
    buffer = io.BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()

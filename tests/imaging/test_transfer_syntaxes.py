"""Every transfer syntax among pydicom's own test files: decoded, or refused by its name."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import dcmread, uid

from medimg_gan.errors import MedimgError, UnreadableError
from medimg_gan.imaging import read_files, write_dicom
from medimg_gan.imaging.dicom_pixels import stored_frames

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pytest forgets our own filter


def shipped_by_syntax() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
        image = dcmread(path, force=True)
        if "PixelData" in image and "TransferSyntaxUID" in image.file_meta:
            found[uid.UID(image.file_meta.TransferSyntaxUID).name].append(path)
    return found


SHIPPED = shipped_by_syntax()


def test_the_shipped_files_cover_the_common_syntaxes():
    assert set(SHIPPED) >= {
        "Implicit VR Little Endian", "Explicit VR Little Endian", "Explicit VR Big Endian",
        "Deflated Explicit VR Little Endian", "RLE Lossless", "JPEG Baseline (Process 1)",
        "JPEG Extended (Process 2 and 4)", "JPEG-LS Lossless Image Compression",
        "JPEG-LS Lossy (Near-Lossless) Image Compression", "JPEG 2000 Image Compression",
        "JPEG 2000 Image Compression (Lossless Only)",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_each_is_decoded_or_the_refusal_names_it(name):
    decoded, refusals = 0, []
    for path in SHIPPED[name]:
        image = dcmread(path, force=True)
        try:
            frames = stored_frames(image, path)
        except UnreadableError as error:
            refusals.append(str(error))
        else:
            decoded += 1
            assert frames.shape[1:3] == (image.Rows, image.Columns)
    assert decoded
    assert all(name in refusal for refusal in refusals)


@pytest.mark.parametrize("name", ["jpeg_ls_lossless", "jp2klossless", "RLE"])
def test_lossless_copies_of_one_scan_are_equal(name):
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    plain, packed = (read_files([folder / f"MR_small{end}.dcm"]) for end in ("", f"_{name}"))
    np.testing.assert_array_equal(packed.array, plain.array)
    np.testing.assert_array_equal(packed.affine, plain.affine)


def test_nine_syntaxes_of_one_image_are_equal(reader_data):
    stored = [
        stored_frames(dcmread(path), path)
        for path in sorted((reader_data / "dcm_qa_ts" / "In").iterdir())
    ]
    assert len(stored) == 9
    for one in stored:
        np.testing.assert_array_equal(one, stored[0])


@pytest.mark.parametrize("syntax", [uid.MPEG2MPML, uid.HEVCMP51, uid.JPEG2000MC])
def test_what_no_decoder_knows_is_refused_by_name(make_volume, tmp_path, syntax):
    paths = write_dicom(make_volume("mri"), tmp_path / "a")
    for path in paths:
        image = dcmread(path)
        image.compress(uid.RLELossless)
        image.file_meta.TransferSyntaxUID = syntax
        image.save_as(path)
    with pytest.raises(MedimgError) as refusal:
        read_files(paths)
    assert syntax.name in str(refusal.value)

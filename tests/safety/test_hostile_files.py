"""Files made to fill memory, to hang or to lead astray; each found case keeps its name here."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
import seeds
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate, generate_frames
from test_fuzz import in_a_child

from medimg_gan.errors import UnreadableError
from medimg_gan.imaging import find_series, read_files, read_volumes, write_dicom, write_nifti
from medimg_gan.imaging.nifti import _values
from medimg_gan.imaging.nifti_file import opened

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pytest forgets our own filter

MEGABYTES = 500
"""What reading all the bombs may take; each of them claims gigabytes."""


def nifti_header(shape, kind=np.uint8) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_dtype(kind)
    header.set_data_shape(shape)
    header["vox_offset"] = 352
    return header.binaryblock + bytes(4)


def zipped_zeros(mebibytes: int) -> bytes:
    """Members of a gzip file may follow each other: no need to compress them all."""
    return gzip.compress(bytes(2**24)) * (mebibytes // 16)


def slice_of(folder: Path, size: int = 40) -> Dataset:
    return dcmread(write_dicom(seeds.phantom("mri", size), folder)[0])


def compressed(folder: Path, syntax: uid.UID, **claims) -> Dataset:
    image = slice_of(folder)
    image.compress(syntax, generate_instance_uid=False)
    for keyword, value in claims.items():
        setattr(image, keyword, value)
    return image


def with_other_size(image: Dataset, marker: bytes, offset: int, size: bytes) -> Dataset:
    """Change what the first frame claims for itself."""
    frame = bytearray(next(generate_frames(image.PixelData, number_of_frames=1)))
    place = frame.index(marker) + offset
    frame[place : place + len(size)] = size
    image.PixelData = encapsulate([bytes(frame)])
    return image


def deflated(folder: Path, mebibytes: int) -> bytes:
    """A file that inflates to much more than its picture."""
    image = slice_of(folder)
    image.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    image.save_as(folder / "a", enforce_file_format=True)
    content = (folder / "a").read_bytes()
    start = 144 + dcmread(folder / "a").file_meta.FileMetaInformationGroupLength
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    pieces = [squeeze.compress(zlib.decompress(content[start:], -zlib.MAX_WBITS))]
    pieces += [squeeze.compress(bytes(2**20)) for _ in range(mebibytes)]
    return content[:start] + b"".join(pieces) + squeeze.flush()


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + start + pixels + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1),
               (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, 9)]  # fmt: skip
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4)


def bombs(folder: Path, scratch: Path) -> dict[str, str]:
    """Write the files; name -> a word of the refusal."""
    many = (10000, 10000, 10000)
    huge = {"Rows": 65535, "Columns": 32767}
    jpeg = dcmread(seeds.shipped("MR_small_jpeg_ls_lossless"))
    zeros = gzip.compress(nifti_header((1024, 1024, 528))) + zipped_zeros(528)
    # nibabel reads an extension of size 0 to the end of the stream.
    extended = gzip.compress(nifti_header((8, 8, 8))[:-4] + b"\1\0\0\0" + bytes(8))
    files = {
        "trillion.nii": (nifti_header(many), "claims shape"),
        "trillion.nii.gz": (gzip.compress(nifti_header(many)), "claims shape"),
        "zeros.nii.gz": (zeros, "fill memory"),
        "extension.nii.gz": (extended + zipped_zeros(512), "every value is 0"),
        "deflated.dcm": (deflated(scratch / "d", 300), "inflates to more than"),
        "rle.dcm": (compressed(scratch / "r", uid.RLELossless, **huge), "claims 4095 MiB"),
        "j2k.dcm": (compressed(scratch / "j", uid.JPEG2000Lossless, **huge), "claims 4095 MiB"),
        "frame.dcm": (
            with_other_size(
                compressed(scratch / "f", uid.JPEG2000Lossless),
                b"\xff\x4f\xff\x51", 8, struct.pack(">II", 60000, 60000),
            ),
            "another size than the header says",
        ),
        "tiles.dcm": (
            with_other_size(
                compressed(scratch / "t", uid.JPEG2000Lossless),
                b"\xff\x4f\xff\x51", 24, struct.pack(">II", 1, 0),
            ),
            "are not in the frame",
        ),
        "jls.dcm": (
            with_other_size(jpeg, b"\xff\xf7", 5, struct.pack(">HH", 65535, 65535)),
            "another size than the header says",
        ),
        "picture.png": (png(60000, 60000), "picture"),
        "wide.png": (png(12000, 6000), "claims 12000 x 6000 pixels"),
        "picture.tif": (tiff(50000, 50000), "picture"),
    }  # fmt: skip
    for name, (content, _) in files.items():
        place = folder / name.replace(".", "_")
        place.mkdir(parents=True)
        if isinstance(content, bytes):
            (place / name).write_bytes(content)
        else:
            content.save_as(place / name)
    return {name: word for name, (_, word) in files.items()}


def test_bombs_are_refused_each_by_its_name_within_little_memory(tmp_path):
    expected = bombs(tmp_path / "bombs", tmp_path / "scratch")
    result, noise = in_a_child(tmp_path / "bombs", 0, seed=0)
    assert result["failures"] == []
    for name, word in expected.items():
        said = [text for text in result["said"] if name in text]
        assert said, name
        assert word in said[0], said
    assert result["grown_mb"] < MEGABYTES
    assert noise == []


def nested(depth: int) -> bytes:
    """Sequences of undefined length in each other, never closed."""
    return b"\x08\x00\x40\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth


@pytest.mark.parametrize("depth", [1, 50, 100_000])
def test_endless_and_deeply_nested_sequences_are_refused(tmp_path, depth):
    image = slice_of(tmp_path / "s")
    image.file_meta.TransferSyntaxUID = uid.ImplicitVRLittleEndian
    for keyword in [element.keyword for element in image if element.tag > 0x00081140]:
        del image[keyword]
    (tmp_path / "a").mkdir()
    image.save_as(tmp_path / "a" / "a.dcm", implicit_vr=True, little_endian=True)
    with (tmp_path / "a" / "a.dcm").open("ab") as file:
        file.write(nested(depth))
    found, problems = find_series(tmp_path / "a")
    assert found == []
    assert len(problems) == 1


@pytest.mark.parametrize("frames", [2**31 - 1, 4, 0, -1])
def test_a_false_number_of_frames_is_refused(tmp_path, frames):
    image = dcmread(seeds.enhanced(tmp_path / "s.dcm"))
    image.NumberOfFrames = frames
    (tmp_path / "a").mkdir()
    image.save_as(tmp_path / "a" / "a.dcm")
    volumes, problems = read_volumes(tmp_path / "a")
    assert volumes == []
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelSpacing", ["0", "1"]),
        ("PixelSpacing", ["-1", "1"]),
        ("ImagePositionPatient", ["1e300", "0", "0"]),
        ("ImageOrientationPatient", ["0"] * 6),
        ("RescaleSlope", "1e300"),
        ("RescaleSlope", "nan"),
        ("PixelPaddingValue", b"\1\2\3"),
        ("BitsStored", 0),
    ],
)
def test_numbers_that_no_scanner_writes_are_refused(tmp_path, keyword, value):
    image = slice_of(tmp_path / "s")
    if isinstance(value, bytes):
        image.add_new(keyword, "OB", value)
    else:
        image[keyword]._value = value
    (tmp_path / "a").mkdir()
    image.save_as(tmp_path / "a" / "a.dcm")
    volumes, problems = read_volumes(tmp_path / "a")
    assert volumes == []
    assert len(problems) == 1


def test_axes_in_one_plane_are_refused(tmp_path):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 1] = affine[:3, 0] + (0, 1e-5, 0)
    image = nibabel.Nifti1Image(np.ones((3, 4, 5), np.float32), None)
    image.set_sform(affine, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(UnreadableError, match="singular"):
        read_files([tmp_path / "a.nii"])


def test_links_pipes_and_devices_neither_hang_nor_repeat(tmp_path):
    folder = tmp_path / "scans"
    write_nifti(seeds.phantom("mri"), folder / "a.nii")
    (folder / "loop").symlink_to(folder)
    (folder / "self.nii").symlink_to(folder / "self.nii")
    (folder / "gone.dcm").symlink_to(tmp_path / "nothing")
    (folder / "endless.nii").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.nii.gz")
    found, problems = find_series(folder)
    assert [one.paths[0].name for one in found] == ["a.nii"]
    assert [problem.path.name for problem in problems] == [
        "endless.nii", "gone.dcm", "pipe.nii.gz", "self.nii"
    ]  # fmt: skip
    assert all("not a file" in problem.reason for problem in problems)


def read_while_it_shrinks(path: Path) -> None:
    with opened(path) as file:
        os.truncate(path, 1000)
        _values(file, 0)


def test_a_plain_file_that_shrinks_while_it_is_read_does_not_end_the_process(tmp_path):
    """A memory map would (SIGBUS)."""
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((99, 99, 99), np.float32), np.eye(4)), path)
    with pytest.raises(UnreadableError, match="truncated"):
        read_while_it_shrinks(path)

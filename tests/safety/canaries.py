"""Plant words that no output may hold, and look for them in every byte that was written."""

from __future__ import annotations

import base64
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import Dataset, Sequence, dcmread
from pydicom.datadict import DicomDictionary

from medimg_gan.imaging.dicom_header import TAGS

WORD, ROOT, DATE, TIME = "CANARY", "1.2.826.0.1.91827364", "17530417", "171953"
SIGNS = [WORD.encode(), b"91827364", DATE.encode(), b"1753-04-17"]
"""Times are planted, but six digits may occur anywhere by chance."""
TEXTS = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
MEANING = {*TAGS.split()} - {
    "PatientID", "SeriesInstanceUID", "SOPInstanceUID", "ImageType", "BurnedInAnnotation",
}  # fmt: skip
"""What the reader understands must keep its sense; the rest may say anything."""


def planted(tag: int, representation: str) -> object:
    """A value of that type with a sign in it, or None where the type holds no text."""
    if representation in TEXTS:
        return f"{WORD}{tag:08X}"
    fixed = {"UI": f"{ROOT}.{tag}", "DA": DATE, "TM": TIME, "DT": DATE + TIME}
    return fixed.get(representation)


def plant_dicom(path: Path, patient: str, image: int) -> int:
    """Put signs into every text attribute of the dictionary; how many there were."""
    dataset = dcmread(path)
    sequences, count = [], 0
    for tag, (representation, _, _, _, keyword) in DicomDictionary.items():
        if not keyword or keyword in MEANING or tag < 0x00080000:
            continue
        value = planted(tag, representation.split(" ")[0])
        if representation == "SQ":
            sequences.append(keyword)
        elif value is not None:
            dataset.add_new(tag, representation.split(" ")[0], value)
            count += 1
    for keyword in sequences:
        item, inner = Dataset(), Dataset()
        item.PatientName = inner.PatientComments = f"{WORD}{keyword}"
        item.ReferencedImageSequence = Sequence([inner])
        setattr(dataset, keyword, Sequence([item]))
    dataset.PatientID = f"../../../{WORD}^{patient}"
    dataset.PatientName = f"../{WORD}^{patient}"
    dataset.SeriesInstanceUID = f"{ROOT}.{int(patient)}"
    dataset.SOPInstanceUID = f"{ROOT}.{int(patient)}.{image}"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", f"{WORD}KIND"]
    private = dataset.private_block(0x0099, f"{WORD} PRIVATE", create=True)
    private.add_new(1, "LO", f"{WORD}VALUE")
    dataset.add_new(0xFFFCFFFC, "OB", WORD.encode() * 3)  # Data Set Trailing Padding
    dataset.preamble = (WORD.encode() * 22)[:128]
    dataset.file_meta.SourceApplicationEntityTitle = WORD
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path)
    return count


def plant_nifti(path: Path) -> None:
    """Into the text fields and an extension."""
    image = nibabel.load(path)
    assert isinstance(image, nibabel.Nifti1Image)
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = WORD.encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, WORD.encode() * 9))
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), path)


def plant_png(path: Path) -> None:
    """Into text chunks, plain and compressed."""
    about = PngInfo()
    about.add_text("Patient", WORD)
    about.add_text("Comment", WORD * 99, zip=True)
    with Image.open(path) as image:
        image.load()
        image.save(path, pnginfo=about)


def found_below(folder: Path, besides: Path) -> list[str]:
    """Where signs stand: in names and in contents, unpacked as far as they can be."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_relative_to(besides):
            continue
        if any(sign in str(path.relative_to(folder)).encode() for sign in SIGNS):
            found.append(f"{path}: its name")
        if path.is_file():
            content = path.read_bytes()
            found += [f"{path}: {sign!r}" for sign in signs_in(content)]
    return found


def signs_in(content: bytes) -> list[bytes]:
    """The signs in some bytes or in anything packed into them."""
    return [sign for sign in SIGNS if any(sign in layer for layer in _layers(content))]


def _layers(content: bytes, depth: int = 3) -> Iterator[bytes]:
    yield content
    yield content.replace(b"\0", b"")  # UTF-16
    if depth:
        for inner in _unpacked(content):
            yield from _layers(inner, depth - 1)


def _unpacked(content: bytes) -> Iterator[bytes]:
    if content[:2] == b"\x1f\x8b":
        yield gzip.decompress(content)
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    for match in re.finditer(rb"(?:IDAT|zTXt|iTXt|iCCP)", content):  # chunks of a PNG, anywhere
        length = int.from_bytes(content[max(0, match.start() - 4) : match.start()], "big")
        data = content[match.end() : match.end() + length]
        start = data.find(b"\x78")
        try:
            yield zlib.decompressobj().decompress(data[start:]) if start >= 0 else data
        except zlib.error:
            continue
    for match in re.finditer(rb"base64,([A-Za-z0-9+/=]{40,})", content):
        yield base64.b64decode(match.group(1))

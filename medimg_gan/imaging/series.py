"""What was found in a folder: series that can be read, and what is wrong with the rest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from medimg_gan.errors import UnreadableError
from medimg_gan.read_options import DEFAULTS, ReadOptions

DICOM_MODALITIES = {"CT": "ct", "MR": "mri"} | dict.fromkeys(("CR", "DX", "XA", "RF"), "xray")
"""Modality (0008,0060) -> key of ``MODALITIES``."""

NAME_HINTS = {
    "ct": re.compile(r"ct"),
    "mri": re.compile(r"mri|mr|flair|t[12](w|wi|c|ce|gd|post|pre)?"),
    "xray": re.compile(r"xray|cxr|xr"),
}
"""Words in a file's or folder's name that tell the modality."""
ONE_OF_SEVERAL = "4D: one volume of several is read (--data.volume)"


@dataclass(frozen=True)
class Series:
    """One volume that can be read, known from headers only.

    Attributes:
        key: Stable short hash without identity in it.
        paths: The files, in slice order.
        format: "dicom", "nifti" or "picture".
        modality: A key of ``MODALITIES``, or "" where nothing says what it is.
        patient: DICOM Patient ID, else "". Kept in memory only: never write or log it.
        shape: (I, J, K) of the volume that reading will give.
        spacing: Distance between voxels along I, J, K in mm.
        unit: "HU", "signal" or "display" where headers tell, else "".
        part: Name of the volume among those that dcm2niix makes of ``paths``; None where our own
            decoder reads it.
        affine: Rows of the (4, 4) affine to RAS+ mm, where headers tell it better than what
            dcm2niix writes; None elsewhere.
        volume: Which frame of a 4D file; None for a file that holds one volume.
        notes: What a person should know of it, each a phrase without identity.
        options: How it was found, and is to be read.
    """

    key: str
    paths: tuple[Path, ...]
    format: str
    modality: str
    patient: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    unit: str = ""
    part: str | None = None
    affine: tuple[tuple[float, ...], ...] | None = None
    volume: int | None = None
    notes: tuple[str, ...] = ()
    options: ReadOptions = DEFAULTS

    @property
    def fills_a_folder(self) -> bool:
        """Whether it has, or shares with other volumes of its series, a folder of several files."""
        dealt = self.volume is None and any(note.startswith(ONE_OF_SEVERAL) for note in self.notes)
        return len(self.paths) > 1 or dealt


@dataclass(frozen=True)
class Problem:
    """A file or series that was left out.

    Attributes:
        path: The file, or the first file's folder for a whole series.
        reason: One line.
    """

    path: Path
    reason: str


def chosen_volumes(count: int, options: ReadOptions, what: str) -> list[int]:
    """Which of ``count`` volumes the options ask for.

    Raises:
        UnreadableError: If there are fewer.
    """
    if options.volume == "all":
        return list(range(count))
    if options.volume < count:
        return [options.volume]
    raise UnreadableError(
        what,
        observed=f"volume {options.volume} was asked for; it has {count}, counted from 0",
        fix=f"--data.volume {count - 1} at most",
    )


def volume_notes(volume: int, count: int) -> tuple[str]:
    """What to say of one volume of several."""
    return (f"{ONE_OF_SEVERAL}; volume {volume} of {count}, from 0",)


def short_key(*identity: object) -> str:
    """16 hexadecimal digits from UIDs or a relative path (BLAKE2b; not reversible to a UID)."""
    text = "\n".join(str(part) for part in identity)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def modality_from_name(path: Path, root: Path) -> str:
    """Guess from the file's own name, then its folders below ``root``, the nearest first.

    A name that hints at two modalities ("ct_to_mr") decides nothing.
    """
    for name in reversed(path.relative_to(root).parts):
        words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
        hints = {
            modality
            for modality, pattern in NAME_HINTS.items()
            if any(pattern.fullmatch(word) for word in words)
        }
        if len(hints) == 1:
            return hints.pop()
    return ""

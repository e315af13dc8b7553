"""Flags about the data, shared by every verb that reads a folder (nothing heavy here)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medimg_gan.errors import ConfigError, DataError


@dataclass(frozen=True)
class DataConfig:
    """Where the scans are and how to read what their headers do not say."""

    data: Path | None = None
    """Folder of DICOM, NIfTI or pictures, or an edited index.csv. None: the embedded phantom."""
    modality: str = ""
    """ct, mri, xray or picture: needed only where neither header nor folder name tells."""
    labels: Path | None = None
    """Table with columns path (or patient) and label; default: labels.csv or index.csv in --data,
    then class folders."""
    mask: str = ""
    """Path pattern of mask volumes, e.g. '{patient}/{visit}_Mask.nii.gz': labels every slice."""
    mask_label: str = "tumor"
    """Class of a slice in which the mask is present; the others are 'no-<this>'."""
    mask_min_area: float = 10.0
    """Area in mm2 from which a mask counts as present in a slice."""
    layout: str = ""
    """Path pattern such as '{label}/{patient}/*' where folder names need explaining."""
    strict: bool = False
    """Stop at the first unreadable series instead of listing it and going on."""
    cache: Path = Path("runs/cache")
    """Where decoded slices are kept between runs."""
    workers: int = 2
    """Processes that decode scans; each holds one volume in memory."""

    def __post_init__(self) -> None:
        """Refuse at once what no folder could satisfy."""
        for name, pattern in (("--mask", self.mask), ("--layout", self.layout)):
            if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
                raise ConfigError(
                    f"{name} {pattern!r}: the pattern is relative to --data",
                    fix="for example '{patient}/{visit}_Mask.nii.gz'",
                )
        if self.data is not None and not self.data.exists():
            raise DataError(
                f"{self.data}: no such file or folder", fix="check the spelling of --data"
            )
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: at least one process must read")
        if self.mask_min_area < 0:
            raise ConfigError(f"--mask-min-area {self.mask_min_area:g}: an area cannot be negative")

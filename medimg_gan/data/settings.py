"""Flags about the data, shared by every verb that reads a folder (nothing heavy here)."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from medimg_gan.errors import ConfigError, DataError
from medimg_gan.read_options import OnGap, OnTilt, PhilipsScaling, ReadOptions

ANY = 0
"""In place of a mask's value: any value above 0."""

AUTO = "auto"
"""In place of the names of numbers that images are conditioned on, or of the strength with which
slices are varied: what fits the data."""

Vary = float | Literal["auto"]
"""How strongly a GAN's training slices are varied; see :mod:`medimg_gan.data.variation`."""

STRONGEST = 2.0
"""Strength of variation above which displacements could fold tissue over itself."""


@dataclass(frozen=True)
class DataConfig:
    """Where the scans are and how to read what their headers do not say."""

    data: Path | None = None
    """Folder of DICOM, NIfTI or pictures, or an edited index.csv. index and translate need it;
    without it evaluate takes the run's own data, and what trains the embedded phantom."""
    modality: str = ""
    """ct, mri, xray or picture: needed only where neither header nor folder name tells."""
    labels: Path | None = None
    """Table with columns path (or patient) and label; default: labels.csv or index.csv in --data,
    then class folders."""
    mask: str = ""
    """Path pattern of mask volumes, e.g. '{patient}/{visit}_Mask.nii.gz': labels every slice."""
    mask_label: tuple[str, ...] = ()
    """What the mask marks: 'tumor' (any value above 0), or single values, the most important
    first: '4=enhancing 2=edema'. A slice gets the first that is present, else 'no-<this>', or
    'background' where there are several. Default: the names in a DICOM SEG, dataset.json or
    BraTS folder (highest number first: lesions count up from organs), else 'tumor'."""
    mask_min_area: float = 10.0
    """Area in mm2 from which a mask's label counts as present in a slice."""
    layout: str = ""
    """Path pattern such as '{label}/{patient}/*' where folder names need explaining."""
    strict: Annotated[bool, tyro.conf.arg(name="data.strict", aliases=["--strict"])] = False
    """Stop where a series cannot be used instead of listing it and going on; reports and second
    copies do not count."""
    on_gap: Annotated[OnGap, tyro.conf.arg(name="data.on-gap")] = "error"
    """Missing slices or uneven gaps: refuse, interpolate to the smallest gap (resample), or make a
    series of each evenly spaced run (split)."""
    on_tilt: Annotated[OnTilt, tyro.conf.arg(name="data.on-tilt")] = "resample"
    """A tilted gantry: resample to an upright grid, keep the slices on a grid that ignores the
    tilt, or refuse (error)."""
    volume: Annotated[int | Literal["all"], tyro.conf.arg(name="data.volume")] = 0
    """Which volume of a time or diffusion series to read, from 0; all makes a scan of each."""
    philips_scaling: Annotated[PhilipsScaling, tyro.conf.arg(name="data.philips-scaling")] = (
        "precise"
    )
    """Values of Philips MR series that dcm2niix reads (time series, mixed multi-frame): comparable
    between scans (precise) or as the console displays them (display)."""
    drop_duplicates: bool = False
    """Keep each picture once (of exact copies that of the given test split, then val, then train),
    and none whose copies differ in label. Without it copies stay in one split, and a given split
    that has them in two is refused."""
    cache: Path = Path("runs/cache")
    """Where decoded slices are kept between runs."""
    workers: int = 2
    """Processes that work side by side: those that decode scans (each holds one volume in memory),
    and those that train the classifiers of a study."""

    @property
    def read_options(self) -> ReadOptions:
        """What of this the reader needs."""
        return ReadOptions(self.on_gap, self.on_tilt, self.volume, self.philips_scaling)

    def of_truth(self, folder: Path, modality: str) -> DataConfig:
        """The same for a folder of true targets, without what is said of the sources alone.

        Args:
            folder: Of the true targets.
            modality: Theirs, which counts only where the sources' had to be told as well.
        """
        told = modality if self.modality else ""
        return replace(self, data=folder, modality=told, labels=None, mask="", layout="")

    def __post_init__(self) -> None:
        """Refuse at once what no folder could satisfy."""
        for name, pattern in (("--mask", self.mask), ("--layout", self.layout)):
            if pattern.startswith(("/", "~")) or ".." in pattern.split("/"):
                raise ConfigError(
                    f"{name} {pattern!r}: the pattern is relative to --data",
                    fix="for example '{patient}/{visit}_Mask.nii.gz'",
                )
        if self.data is not None and not self.data.exists():
            raise DataError(f"{self.data}: no such file or folder", fix=_spelling(self.data))
        _ = self.read_options  # refuses what it does not know
        if self.workers < 1:
            raise ConfigError(f"--workers {self.workers}: at least one process must work")
        if self.mask_min_area < 0:
            raise ConfigError(f"--mask-min-area {self.mask_min_area:g}: an area cannot be negative")
        mask_names(self.mask_label)


def _spelling(path: Path) -> str:
    """What a path that is not there may have been meant to be."""
    place = next((parent for parent in path.parents if parent.is_dir()), None)
    wanted = path.relative_to(place).parts[0] if place else ""
    try:
        there = sorted(entry.name for entry in place.iterdir()) if place else []
    except OSError:
        there = []
    lower = {name.lower(): name for name in reversed(there)}
    near = difflib.get_close_matches(wanted.lower(), lower, n=1)
    if place and near:
        return f"did you mean {place / lower[near[0]]} ?"
    return f"check the spelling of --data; {place} is there" if place else "check --data"


def refuse_variation(vary: Vary) -> None:
    """Refuse a strength that no slice could bear.

    Raises:
        ConfigError: If it is neither "auto" nor within 0 to :data:`STRONGEST`.
    """
    if vary != AUTO and not 0 <= vary <= STRONGEST:
        raise ConfigError(
            f"--vary {vary:g}: expected auto, or 0 (not at all) to {STRONGEST:g}",
            cause="stronger displacements could fold tissue over itself",
            fix="--vary 1",
        )


def mask_names(words: tuple[str, ...]) -> dict[int, str]:
    """``--mask-label`` as mask value -> name, in the order given; ``ANY`` is every value above 0.

    Raises:
        ConfigError: If a word is not 'name' or 'value=name', or both kinds are mixed.
    """
    names: dict[int, str] = {}
    for word in words:
        value, separator, name = word.partition("=")
        if separator and value.strip().isdigit() and int(value) > 0 and name.strip():
            if names.setdefault(int(value), name.strip()) != name.strip():
                raise ConfigError(f"--mask-label: value {value} has two names")
        elif len(words) == 1 and not separator and word.strip():
            return {ANY: word.strip()}
        else:
            raise ConfigError(
                f"--mask-label {word!r}: expected one name, or value=name for each value",
                observed=f"given: {' '.join(words)}",
                fix="--mask-label tumor, or --mask-label 4=enhancing 2=edema",
            )
    return names

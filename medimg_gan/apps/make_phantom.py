"""Write the embedded data set of generated heads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medimg_gan.console import say


@dataclass(frozen=True)
class Config:
    """Generate labelled heads: MRI and CT of different patients, tumour masks, paired truth."""

    out: Path
    """Folder to make; holds data/ (to train on) and truth/ (to score with)."""
    patients: int = 40
    """How many heads."""
    seed: int = 0
    """Seed of anatomy, tumours and noise."""
    format: Literal["dicom", "nifti"] = "dicom"
    """Format of the training scans; masks and truth are NIfTI."""
    size: tuple[int, int, int] = (128, 160, 26)
    """Voxels right-left, back-front, low-high of the 192 x 240 x 130 mm box."""
    tumour_fraction: float = 0.5
    """Share of patients with a tumour."""
    mri_fraction: float = 0.5
    """Share of patients scanned with MRI; the others with CT."""
    tumour_fraction_ct: float | None = None
    """Share of CT patients with a tumour, where it differs: with 0, a translator that adds or
    removes tumours has learnt it from the sets' difference."""
    weighting: Literal["t1", "t2", "both"] = "t1"
    """Contrast of the MRI; both gives every MRI patient T1 and T2 (--src t1+t2, --src t1 --tgt
    t2)."""
    workers: int = 2
    """Processes to use."""
    restart: bool = False
    """Delete an earlier set in this folder and begin again."""


def main(config: Config) -> None:
    """Write what is not there yet, then say where it is and what it is good for."""
    from medimg_gan.imaging.phantom import make_phantom

    phantoms = make_phantom(
        config.out,
        config.patients,
        config.seed,
        size=config.size,
        tumour_fraction=config.tumour_fraction,
        mri_fraction=config.mri_fraction,
        weighting=config.weighting,
        tumour_fraction_ct=config.tumour_fraction_ct,
        format=config.format,
        workers=config.workers,
        restart=config.restart,
    )
    if phantoms.made == 0:
        say(f"{config.out} is finished already; --restart begins again")
    say(f"data:  {phantoms.data} ({config.patients} patients, labelled in index.csv)")
    say(f"truth: {phantoms.truth} (each patient in the other modality: for scoring only)")
    say(f"next:  python scripts/train_cyclegan.py --src mri --tgt ct --data {phantoms.data}")

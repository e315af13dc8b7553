"""How a folder of synthetic slices is laid out, so that other programs read it as it is.

To add a layout: its name in ``LayoutName``, its formats in ``FORMATS``, its places in
:func:`place`, and what else it needs in :func:`describe`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from medimg_gan.apps.common import plain_name
from medimg_gan.errors import ConfigError, LabelError
from medimg_gan.runs import write_json

LayoutName = Literal["plain", "imagefolder", "monai", "nnunet"]
FormatName = Literal["nifti", "png", "dicom"]

FORMATS: dict[LayoutName, tuple[FormatName, ...]] = {
    "plain": ("nifti", "png", "dicom"),
    "imagefolder": ("png",),
    "monai": ("nifti", "png", "dicom"),
    "nnunet": ("nifti",),
}
"""What a layout's readers read, the default first."""

PNG_BITS: dict[LayoutName, Literal[8, 16]] = {"plain": 16, "imagefolder": 8, "monai": 16}
"""torchvision's ImageFolder turns pictures into 8-bit RGB, and clips 16-bit grey to white."""

NOTES: dict[LayoutName, str] = {
    "imagefolder": "read by torchvision.datasets.ImageFolder; pictures of 8 bits",
    "monai": "read by monai.data.load_decathlon_datalist('{folder}/datalist.json', "
    "is_segmentation=False)",
    "nnunet": "nnU-Net learns from masks, and a GAN of slices makes none: these lie in imagesTs, "
    "for nnUNetv2_predict; to train on them, add a mask each in labelsTr and move them to imagesTr",
}
"""How to read a layout, in one line for the user."""


def format_for(layout: LayoutName, file_format: FormatName | None) -> FormatName:
    """The format that was asked for, or the layout's own.

    Raises:
        ConfigError: If the layout's readers do not read it.
    """
    if file_format is not None and file_format not in FORMATS[layout]:
        raise ConfigError(
            f"--layout {layout} --format {file_format}: its readers take "
            f"{' or '.join(FORMATS[layout])}",
            fix="leave --format away, or --layout plain",
        )
    return file_format or FORMATS[layout][0]


def refuse_classes(layout: LayoutName, classes: Sequence[str]) -> None:
    """Refuse classes that folders cannot tell apart, before anything is written.

    Raises:
        LabelError: If the layout has a folder for each class, and there is no class, or two
            would share one.
    """
    if layout != "imagefolder":
        return
    if not classes:
        raise LabelError(
            "--layout imagefolder: folders are named by class, and this GAN knows none",
            fix="--layout plain, or train with --recipe cgan on labelled data",
        )
    sharing: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        sharing[plain_name(name)].append(name)
    for folder, names in sharing.items():
        if len(names) > 1:
            raise LabelError(
                f"--layout imagefolder: classes {' and '.join(map(repr, names))} would share "
                f"the folder {folder}",
                fix="--layout plain or monai",
            )


def place(layout: LayoutName, number: int, label: str, ending: str) -> str:
    """Where a slice lies, relative to the folder; every name says that it is synthetic."""
    name = f"synthetic_{number:05d}"
    named = name + (f"_{plain_name(label)}" if label else "")
    match layout:
        case "imagefolder":
            return f"{plain_name(label)}/{name}{ending}"
        case "monai":
            return f"images/{named}{ending}"
        case "nnunet":
            return f"imagesTs/{named}_0000{ending}"
    return named + ending


def describe(
    layout: LayoutName,
    folder: Path,
    places: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    modality: str,
) -> None:
    """Write the file that the layout's readers begin with, if there is one.

    Args:
        layout: Which.
        folder: Where the slices lie.
        places: Of each slice, relative to ``folder``.
        labels: Class of each slice; "" where the GAN knows none.
        classes: In the order of their numbers.
        modality: Of the slices.
    """
    about = {
        "name": "synthetic slices",
        "description": "Synthetic slices made by medimg-gan, of no patient; see manifest.json",
    }
    if layout == "monai":
        numbers = {name: number for number, name in enumerate(classes)}
        items = [
            {"image": path, **({"label": numbers[label]} if label else {}), "synthetic": True}
            for path, label in zip(places, labels, strict=True)
        ]
        facts = {
            "modality": {"0": modality.upper()},
            "labels": {str(number): name for name, number in numbers.items()},
            "numTraining": len(items),
            "numTest": 0,
            "training": items,
        }
        write_json(folder / "datalist.json", {**about, **facts})
    elif layout == "nnunet":
        facts = {
            "channel_names": {"0": modality.upper()},  # "CT" is a word that nnU-Net knows
            "labels": {"background": 0},
            "numTraining": 0,
            "file_ending": ".nii.gz",
        }
        write_json(folder / "dataset.json", {**about, **facts})

"""The flags of the transform chain, from a scan to the pictures of a network and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Literal

from medimg_gan.errors import ConfigError
from medimg_gan.modalities.ct import window_of


@dataclass(frozen=True)
class ChainConfig:
    """How a scan becomes pictures: the same at training and, from the run's folder, ever after.

    The order is fixed: orient, correct the bias field, fit the intensity scale, resample, crop,
    encode, resize and pad to a square. Every geometric step is undone when a volume is written.
    """

    plane: Literal["axial", "coronal", "sagittal", "acquired"] = "axial"
    """Plane of the pictures; acquired: across each scan's own thickest spacing (axial, where
    voxels are cubes)."""
    bias_field: Literal["none", "n4"] = "none"
    """n4: even out the coils' shading in MR (N4, Tustison 2010); seconds per volume."""
    spacing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Resample to this many mm right-left, front-back and feet-head; 0 keeps a scan's own."""
    crop: Literal["none", "body"] = "none"
    """body: cut away the air around the body or head."""
    margin: float = 10.0
    """Air in mm that a crop leaves around the body."""
    window: str = "wide"
    """CT: wide (-1000 to 1500 HU), full, brain, soft, bone, lung, or LOW,HIGH in HU, LOW no lower
    than -1024; values outside are clipped."""
    intensity: Literal["percentile", "nyul"] = "percentile"
    """MR: percentile scales each volume by itself; nyul also maps its histogram's landmarks to
    the training patients' mean."""

    def __post_init__(self) -> None:
        """Refuse at once what no scan could satisfy."""
        window_of(self.window)
        if not all(0 <= step < float("inf") for step in self.spacing):
            raise ConfigError(
                f"--transform.spacing {' '.join(f'{step:g}' for step in self.spacing)}",
                observed="expected three lengths in mm",
                fix="for example 1 1 3, or 0 0 3 to keep the spacing within slices",
            )
        if not 0 <= self.margin < float("inf"):
            raise ConfigError(f"--transform.margin {self.margin:g}: a length in mm, 0 or more")

    @property
    def mirrors(self) -> bool:
        """Whether a picture's left and right are those of the body (not its front and back)."""
        return self.plane in ("axial", "coronal")

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> ChainConfig:
        """The chain of a manifest's JSON; what it does not name is as by default."""
        known = {field.name for field in dataclasses.fields(cls)} & values.keys()
        plain = {name: values[name] for name in known}
        if "spacing" in plain:
            plain["spacing"] = tuple(plain["spacing"])
        return cls(**plain)

    def refuse_what_does_nothing(self, modalities: Set[str]) -> None:
        """Compare with the modalities of the data.

        Raises:
            ConfigError: If a setting is for a modality of which there is no scan.
        """
        asked = {
            "--transform.bias-field n4": ("mri", self.bias_field != "none"),
            "--transform.intensity nyul": ("mri", self.intensity == "nyul"),
            f"--transform.window {self.window}": ("ct", self.window != "wide"),
        }
        reasons = {
            "mri": "its coils shade the image and its values have no unit; other modalities' do",
            "ct": "only CT numbers have a fixed meaning",
        }
        for flag, (modality, is_asked) in asked.items():
            if is_asked and modality not in modalities:
                raise ConfigError(
                    f"{flag}: is for {modality} alone, and there are no {modality} scans here",
                    observed=f"the data are {', '.join(sorted(modalities))}",
                    cause=reasons[modality],
                    fix="leave the flag away, or say --modality if the scans are called wrongly",
                )


DEFAULT_CHAIN = ChainConfig()
"""Axial pictures on the scan's own grid, CT from -1000 to 1500 HU, MR by percentiles."""

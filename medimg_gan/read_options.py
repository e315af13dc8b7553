"""What to do where a file leaves a choice: gaps, tilt, time points (nothing heavy here)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from medimg_gan.errors import ConfigError

OnGap = Literal["error", "resample", "split"]
OnTilt = Literal["resample", "keep", "error"]
PhilipsScaling = Literal["precise", "display"]


@dataclass(frozen=True)
class ReadOptions:
    """How series that are no regular volume are read.

    Attributes:
        on_gap: Missing slices or uneven gaps: refuse ("error"), interpolate to the smallest gap
            ("resample"), or make a series of each evenly spaced run ("split").
        on_tilt: A tilted gantry: resample to an upright grid, "keep" the stored slices on a grid
            that ignores the slant, or refuse ("error").
        volume: Which volume of a time series (or diffusion series), from 0; "all" makes a series
            of each.
        philips_scaling: What time series and mixed multi-frame files of Philips MR scanners
            are scaled to: comparable between scans ("precise") or as the console displays them.
    """

    on_gap: OnGap = "error"
    on_tilt: OnTilt = "resample"
    volume: int | Literal["all"] = 0
    philips_scaling: PhilipsScaling = "precise"

    def __post_init__(self) -> None:
        """Refuse what a type checker would; notebooks have none."""
        for name, known in (
            ("on_gap", OnGap), ("on_tilt", OnTilt), ("philips_scaling", PhilipsScaling)
        ):  # fmt: skip
            value, choices = getattr(self, name), get_args(known)
            if value not in choices:
                raise ConfigError(f"{name} {value!r}", observed=f"known: {', '.join(choices)}")
        if self.volume != "all" and not (isinstance(self.volume, int) and self.volume >= 0):
            raise ConfigError(
                f"volume {self.volume!r}", observed="volumes are counted from 0; or 'all'"
            )


DEFAULTS = ReadOptions()

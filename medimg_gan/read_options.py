"""What to do where a file leaves a choice: gaps, tilt, time points (nothing heavy here)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


DEFAULTS = ReadOptions()

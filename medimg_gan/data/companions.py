"""What ``translate`` writes beside its volumes to be looked at: no scans, but read like them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medimg_gan import runs
from medimg_gan.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

COMPARISON = "comparison.png"
"""Source, translated and truth of one scan, in the folder of a translation."""
UNCERTAINTY = "_uncertainty.nii.gz"
"""What the name of an uncertainty map ends with."""
REASON = "left out: written by translate to be looked at; there is no scan in this file"


def is_companion(path: Path) -> bool:
    """Whether a file bears such a name in the folder of a translation, by its manifest."""
    if path.name == COMPARISON:
        folder = path.parent
    elif path.name.endswith(UNCERTAINTY):
        folder = path.parent.parent  # below it a folder for each patient
    else:
        return False
    try:
        return runs.read_json(folder / runs.MANIFEST).get("verb") == "translate"
    except (RunError, AttributeError):
        return False

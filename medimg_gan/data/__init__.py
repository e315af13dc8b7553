"""From a folder of scans to batches: index, labels, split by patient, slice cache, streams.

What a training of one's own needs is named here, and loaded when it is asked for: the settings
in this package must answer ``--help`` without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medimg_gan.data.mixed import MixedDataset, mixed_loader
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.data.synthetic_set import SyntheticSet

__all__ = ["DataConfig", "MixedDataset", "SyntheticSet", "mixed_loader"]

_HOMES = {
    "DataConfig": "settings",
    "MixedDataset": "mixed",
    "SyntheticSet": "synthetic_set",
    "mixed_loader": "mixed",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

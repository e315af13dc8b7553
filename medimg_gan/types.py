"""Names for the shapes of data that cross a floor (no heavy import at run time)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    FloatArray = NDArray[np.floating[Any]]
    """Real numbers in a modality's own units, or float32 in [-1, 1] once encoded."""

    IntArray = NDArray[np.integer[Any]]
    """Class indices, positions, counts."""

    Batch = dict[str, Tensor]
    """Named tensors that share their first axis. Known names:

    ``image``     (N, C, H, W) float32 in [-1, 1]
    ``label``     (N,) int64, index into the classes
    ``numbers``   (N, K) float32, what images are conditioned on, standardised to about [-1, 1]
    ``position``  (N,) float32 in [0, 1], the slice's height in its volume
    ``source``, ``target``   (N, C, H, W) float32 in [-1, 1], unpaired
    """

    Logs = Mapping[str, Tensor]
    """Scalars to plot, detached and left on the device; ``"critic/gap"`` groups by the slash."""

    Stream = Callable[[int], Batch]
    """The batch at a position: a pure function, so that resuming is only a number."""

"""Scans into slices through the MONAI pipeline, in worker processes, or a reason why not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from monai.data.dataloader import DataLoader
from monai.data.dataset import Dataset

from medimg_gan.data.index import Scan
from medimg_gan.data.transforms import Slices, slicing_pipeline
from medimg_gan.errors import MedimgError

WORTH_WORKERS = 16
"""Scans from which worker processes pay."""


@dataclass(frozen=True)
class Refusal:
    """Why a scan gives no slices.

    Attributes:
        reason: One line.
        lasting: Whether the same files will be refused again (a disk may come back).
    """

    reason: str
    lasting: bool


class _Scans(Dataset):
    """A MONAI dataset that gives a scan's slices, or the reason why there are none."""

    def __init__(self, scans: Sequence[Scan], size: int, blank_below: float) -> None:
        self.pipelines = {
            with_mask: slicing_pipeline(size, blank_below, with_mask=with_mask)
            for with_mask in (False, True)
        }
        super().__init__(scans)

    def __getitem__(self, index: int) -> Slices | Refusal:  # type: ignore[override]
        scan: Scan = self.data[index]
        item: dict[str, Any] = {
            "image": [str(path) for path in scan.series.paths],
            "modality": scan.modality,
            "series": scan.series,
        }
        if scan.mask:
            item["mask"] = str(scan.mask)
        try:
            result = self.pipelines[scan.mask is not None](item)
        except Exception as error:
            return _refusal(error, scan)
        return result["slices"]  # type: ignore[index]


def _refusal(error: BaseException, scan: Scan) -> Refusal:
    """The user's error under the wrappers that MONAI puts around it; others are not hidden."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    passing = next((one for one in chain if isinstance(one, OSError)), None)
    ours = next((one for one in chain if isinstance(one, MedimgError)), None)
    if ours is not None:
        return Refusal(_without_names(ours.one_line(), scan), lasting=passing is None)
    if passing is not None:
        return Refusal(f"cannot be read: {passing.strerror or type(passing).__name__}", False)
    raise error


def _without_names(reason: str, scan: Scan) -> str:
    """The reason without the scan's path, which stands beside it, and without quoted values."""
    files = (*scan.series.paths, *([scan.mask] if scan.mask else []))
    for path in sorted({*files, *(path.parent for path in files)}, key=lambda p: -len(str(p))):
        reason = reason.replace(f"{path}: ", "").replace(str(path), "this scan")
    return re.sub(r"'[^']*'|\"[^\"]*\"", "'...'", reason)


def _first(items: list[Any]) -> Any:
    return items[0]


def decoded(
    scans: Sequence[Scan], size: int, blank_below: float, workers: int
) -> Iterator[Slices | Refusal]:
    """Scans in order, decoded by worker processes when there are enough to pay for them.

    Memory does not grow with the number of scans: each worker holds one volume and the slices of
    one more scan.

    Args:
        scans: What to decode.
        size: Side of the square pictures.
        blank_below: Share of pixels above background from which a slice is kept.
        workers: Processes at the most.
    """
    workers = min(workers, len(os.sched_getaffinity(0))) if len(scans) >= WORTH_WORKERS else 0
    # One scan ahead for each worker, or memory would grow with what waits to be written.
    ahead = {"prefetch_factor": 1} if workers else {}
    scans_of = _Scans(scans, size, blank_below)
    yield from DataLoader(scans_of, batch_size=1, num_workers=workers, collate_fn=_first, **ahead)

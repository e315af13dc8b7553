"""Peak memory of decoding volumes and of reading the warm cache, against their number."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medimg_gan.apps.benchmark_children import in_a_child
from medimg_gan.apps.benchmark_peers import phantom_index
from medimg_gan.data.cache import build_cache
from medimg_gan.data.dataset import SliceDataset, Stream

BATCHES, BATCH_SIZE = 50, 16
PARTS = 2
"""All volumes are compared with one of so many parts of them."""


def memory_rows(folder: Path, patients: int, size: int) -> list[dict[str, Any]]:
    """Peak memory of all processes, with all volumes and with half of them; two decode."""
    phantom_index(folder, patients)
    rows = []
    for work in ("building", "reading"):
        peaks = []
        for part in (PARTS, 1):
            told, peak = in_a_child(__name__, [work, str(folder), str(patients // part), str(size)])
            peaks.append((told["volumes"], peak))
        (few, low), (many, high) = peaks
        row = {"what": f"peak memory: {work} a cache of {many} volumes", "unit": "MiB"}
        if high is None or low is None:
            rows.append({**row, "figure": None, "note": "psutil is not installed"})
        else:
            rows.append(
                {**row, "figure": high, "ratio": high / low, "against": f"that of {few} volumes"}
            )
    return rows


def child(work: str, folder: str, volumes: str, size: str) -> None:
    """Build a cache of some volumes, or read batches from it, and print how many there were."""
    index = phantom_index(Path(folder), None)
    index = replace(index, scans=index.scans[: int(volumes)])
    place = Path(folder) / f"memory-{volumes}"
    if work == "building":
        shutil.rmtree(place, ignore_errors=True)
    cache = build_cache(index, int(size), place)
    if work == "reading":
        stream = Stream(SliceDataset(cache, np.arange(len(cache.rows))), BATCH_SIZE, seed=0)
        for position in range(BATCHES):
            stream(position)
    print(json.dumps({"volumes": len(index.scans)}))


if __name__ == "__main__":
    child(*sys.argv[1:])

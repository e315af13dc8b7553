"""Measure reading, loading and training speed on the phantom; ratios, since machines differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medimg_gan import runs
from medimg_gan.apps.common import RUNS
from medimg_gan.config import as_dict
from medimg_gan.console import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from medimg_gan.data.index import Index


@dataclass(frozen=True)
class Config:
    """Measure volumes read, slices loaded and training steps per second."""

    patients: int = 12
    """Phantom patients to read."""
    size: int = 64
    """Side of the pictures."""
    batch_size: int = 16
    """Images per batch."""
    seconds: float = 6.0
    """How long each figure is measured."""
    run: Path = RUNS / "benchmark"
    """Folder for the phantom and the figures."""


def main(config: Config) -> None:
    """Print one table; the same figures go to ``benchmark.json``."""
    run = runs.open_run(config.run, "benchmark", as_dict(config), restart=True)
    rows = [*_reading(config), *_memory(config), *_training(config)]
    width = max(len(row["what"]) for row in rows)
    environment = run.manifest["environment"]
    say(f"\n{environment['cores']} cores, torch {environment['versions']['torch']}\n")
    for row in rows:
        compared = f"   {row['ratio']:.2f} x {row['against']}" if "ratio" in row else ""
        say(f"{row['what']:{width}}  {row['figure']:10.1f} {row['unit']}{compared}")
    runs.write_json(config.run / "benchmark.json", rows)
    run.finish()
    say(f"\nfigures: {config.run}/benchmark.json")


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Units of work per second; the first call warms up and does not count."""
    import time

    work()
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        done += work()
    return done / (time.perf_counter() - start)


def _index_of(config: Config, file_format: Literal["dicom", "nifti"]) -> Index:
    from medimg_gan.data.index import build_index
    from medimg_gan.data.settings import DataConfig
    from medimg_gan.imaging.phantom import make_phantom

    folder = config.run / f"phantom-{file_format}"
    make_phantom(folder, patients=config.patients, mri_fraction=1.0, format=file_format)
    return build_index(DataConfig(data=folder / "data", cache=config.run / "cache"))


def _reading(config: Config) -> list[dict[str, Any]]:
    """Volumes read, and slices from the warm cache against reading volumes anew every epoch."""
    import numpy as np

    from medimg_gan.data.cache import build_cache
    from medimg_gan.data.dataset import SliceDataset, Stream
    from medimg_gan.data.transforms import slicing_pipeline
    from medimg_gan.imaging import read_series

    rows = []
    for file_format in ("dicom", "nifti"):
        index = _index_of(config, file_format)

        def read_all(index: Index = index) -> int:
            return len([read_series(scan.series) for scan in index.scans])

        rows.append(_row(f"{file_format} volumes read", _rate(read_all, config.seconds), "/s"))
    pipeline = slicing_pipeline(config.size, 0.0, with_mask=False)

    def reread() -> int:
        items = [
            {
                "image": [str(path) for path in scan.series.paths],
                "modality": scan.modality,
                "series": scan.series,
            }
            for scan in index.scans
        ]
        return sum(len(pipeline(item)["slices"].pictures) for item in items)  # type: ignore

    cache = build_cache(index, config.size, config.run / "cache")
    dataset = SliceDataset(cache, np.arange(len(cache.rows)))
    stream = Stream(dataset, config.batch_size, seed=0)
    positions = iter(range(10**9))
    again = _rate(reread, config.seconds)
    warm = _rate(lambda: len(stream(next(positions))["image"]), config.seconds)
    rows.append(_row("slices by reading NIfTI volumes again", again, "/s"))
    rows.append(_row("slices from the warm cache", warm, "/s", warm / again, "reading again"))
    return rows


def _memory(config: Config) -> list[dict[str, Any]]:
    """Peak memory of building and reading a cache of all volumes against half of them."""
    import subprocess
    import sys

    peaks = []
    for share in (2, 1):
        command = [sys.executable, "-c", MEMORY_PROBE, str(config.run), str(share)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(float(done.stdout.split()[-1]))
    what = f"peak memory with {config.patients} volumes"
    return [_row(what, peaks[1], "MiB", peaks[1] / peaks[0], f"that with {config.patients // 2}")]


MEMORY_PROBE = """
import resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from medimg_gan.data.cache import build_cache
from medimg_gan.data.dataset import SliceDataset, Stream
from medimg_gan.data.index import build_index
from medimg_gan.data.settings import DataConfig
run, share = Path(sys.argv[1]), int(sys.argv[2])
index = build_index(DataConfig(data=run / "phantom-nifti" / "data", cache=run / "cache"))
index = replace(index, scans=index.scans[: len(index.scans) // share])
cache = build_cache(index, 256, run / f"memory-{share}")
stream = Stream(SliceDataset(cache, np.arange(len(cache.rows))), 16, seed=0)
for position in range(50):
    stream(position)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _training(config: Config) -> list[dict[str, Any]]:
    """Steps per second of the engine beside those of its bare networks, for every recipe."""
    from medimg_gan.apps.benchmark_training import engine_and_bare_rates
    from medimg_gan.recipes import RECIPES

    rows = []
    for name in RECIPES:
        engine, bare = engine_and_bare_rates(
            name, config.size, config.batch_size, config.seconds, config.run / f"engine-{name}"
        )
        rows.append(_row(f"{name}: training steps", engine, "/s", engine / bare, "bare kernels"))
    return rows


def _row(
    what: str, figure: float, unit: str, ratio: float | None = None, against: str = ""
) -> dict[str, Any]:
    row: dict[str, Any] = {"what": what, "figure": figure, "unit": unit}
    return row if ratio is None else {**row, "ratio": ratio, "against": against}

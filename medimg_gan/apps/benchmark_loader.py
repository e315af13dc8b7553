"""Slices per second of our warm cache and of other loaders, each in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medimg_gan.apps.benchmark_children import in_a_child
from medimg_gan.apps.benchmark_peers import CONTENDERS, Epochs, warm_cache
from medimg_gan.data.transforms import STORED_MAX
from medimg_gan.imaging import Volume, find_series, read_series, write_nifti
from medimg_gan.imaging.phantom import make_phantom

YARDSTICK = "numpy"
TURNS = 3


def loader_rows(
    folder: Path, patients: int, size: int, batch_size: int, seconds: float
) -> list[dict[str, Any]]:
    """One row for each contender, with the peak memory of its processes and the workers it had.

    Args:
        folder: For the phantom, our cache and the peers' files.
        patients: Volumes.
        size: Side of the slices.
        batch_size: Slices in a batch.
        seconds: How long each is measured.
    """
    prepare(folder, patients, size)
    rows: dict[str, dict[str, Any]] = {}
    for name, contender in CONTENDERS.items():
        rows[name] = {"what": f"slices: {contender.what}", "unit": "/s", "figure": None}
        if importlib.util.find_spec(contender.needs) is None:
            rows[name]["note"] = "not installed"
            continue
        tried = []
        for workers in contender.workers:
            words = [name, *map(str, (folder, size, batch_size, workers, seconds))]
            told, peak = in_a_child(__name__, words)
            tried.append({"figure": told["rate"], "peak_mib": peak, "workers": workers})
        rows[name] |= max(tried, key=lambda one: one["figure"])
    yardstick = rows[YARDSTICK]["figure"]
    for name, row in rows.items():
        if row["figure"] and name != YARDSTICK:
            row |= {"ratio": row["figure"] / yardstick, "against": "numpy gather"}
    return list(rows.values())


def prepare(folder: Path, patients: int, size: int) -> None:
    """The phantom, our cache of it, and its slices as the peers like them."""
    cache = warm_cache(folder, size, patients)
    files = {name: folder / f"{name}-{size}" for name in ("npy", "png", "nii")}
    if (files["nii"] / "complete").exists():
        return
    for path in (files["npy"], files["png"] / "all", files["nii"]):
        path.mkdir(parents=True, exist_ok=True)
    for place in range(len(cache.rows)):
        encoded = cache.pictures[cache.rows["picture"].iloc[place]] / np.float32(STORED_MAX)
        np.save(files["npy"] / f"{place:06d}.npy", encoded[np.newaxis])
        grey = Image.fromarray(np.round((encoded + 1) * 127.5).astype(np.uint8))
        grey.save(files["png"] / "all" / f"{place:06d}.png")
    for scan, rows in cache.rows.groupby("scan"):
        volume = cache.pictures[rows["picture"]].T / np.float32(STORED_MAX)
        write_nifti(Volume(volume, np.eye(4), "mri"), files["nii"] / f"{scan}.nii")
    (files["nii"] / "complete").touch()


def reading_row(folder: Path, seconds: float) -> dict[str, Any]:
    """Whole DICOM volumes decoded, one after the other."""
    data = make_phantom(folder / "phantom-dicom", patients=3, mri_fraction=1.0).data
    series, _ = find_series(data)
    series = [one for one in series if one.format == "dicom"]
    rate = _rate(lambda: ([read_series(one)] for one in series), seconds)
    return {"what": "DICOM volumes read", "figure": rate, "unit": "/s"}


def _rate(epochs: Epochs, seconds: float) -> float:
    """Items per second after a warm-up: the best of three turns, as other work may disturb."""
    _taken(epochs, seconds / TURNS)
    rates = []
    for _ in range(TURNS):
        start = time.perf_counter()
        rates.append(_taken(epochs, seconds / TURNS) / (time.perf_counter() - start))
    return max(rates)


def _taken(epochs: Epochs, seconds: float) -> int:
    """Slices that came in a while."""
    done, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for images in epochs():
            done += len(images)
            if time.perf_counter() >= end:
                break
    return done


def child(name: str, folder: str, size: str, batch_size: str, workers: str, seconds: str) -> None:
    """Measure one contender and print its rate."""
    warnings.simplefilter("ignore")
    epochs = CONTENDERS[name].epochs(Path(folder), int(size), int(batch_size), int(workers))
    print(json.dumps({"rate": _rate(epochs, float(seconds))}))


if __name__ == "__main__":
    child(*sys.argv[1:])

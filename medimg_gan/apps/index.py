"""What is in a folder, and what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medimg_gan import runs
from medimg_gan.apps.common import RUNS, FlatData
from medimg_gan.config import as_dict
from medimg_gan.console import say
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, RunError

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ROWS = 40


@dataclass(frozen=True)
class Config:
    """List a folder's scans: patient (pseudonym), modality, size, spacing, label, problems."""

    source: FlatData = field(default_factory=DataConfig)
    run: Path | None = None
    """Folder for the table; default runs/index-<folder's name>."""
    restart: bool = False
    """Write the table anew, even over your own changes to it."""


def main(config: Config) -> None:
    """Read all headers, write ``index.csv``, and print what a person would ask."""
    from medimg_gan.data.index import build_index

    data = config.source.data
    if data is None:
        raise ConfigError("index needs a folder", fix="python scripts/index.py --data DIR")
    index = build_index(config.source)
    folder = config.run or RUNS / f"index-{data.resolve().name}"
    run = runs.open_run(folder, "index", as_dict(config), restart=config.restart)
    path = folder / "index.csv"
    known = run.manifest.get("index_sha256")
    if path.exists() and known and _digest(path) != known:
        raise RunError(
            f"{path}: you have changed it since it was written",
            fix=f"use it with --data {path}, or write it anew with --restart",
        )
    index.write(path)
    run.finish(
        data_root=str(index.root.resolve()),
        index_sha256=_digest(path),
        scans=len(index.scans),
        problems=len(index.problems),
    )
    _show(index.table())
    say(f"\ntable: {path}   (edit it as you like; --data takes it in place of the folder)")
    say(f"next:  python scripts/train_gan.py --recipe cgan --data {path}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _show(table: pd.DataFrame) -> None:
    """Counts first, then scans, then problems with what to do."""
    scans, problems = table[table["problem"] == ""], table[table["problem"] != ""]
    say(f"{len(scans)} scans of {scans['patient'].nunique()} patients, {len(problems)} problems")
    for column in ("modality", "format", "label", "split"):
        counts = scans[column].replace("", "unknown").value_counts()
        if list(counts.index) != ["unknown"]:
            say(f"  {column:9}" + ", ".join(f"{name}: {count}" for name, count in counts.items()))
    columns = ["path", "patient", "modality", "shape", "spacing_mm", "label"]
    say("\n" + scans[columns].head(SHOWN_ROWS).to_string(index=False))
    if len(scans) > SHOWN_ROWS:
        say(f"... and {len(scans) - SHOWN_ROWS} more, all in the table")
    if len(problems):
        say("\nleft out:")
        for _, row in problems.head(SHOWN_ROWS).iterrows():
            say(f"  {row['path']}: {row['problem']}")
        if len(problems) > SHOWN_ROWS:
            say(f"  ... and {len(problems) - SHOWN_ROWS} more, all in the table")

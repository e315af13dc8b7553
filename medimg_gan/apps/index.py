"""What is in a folder, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_gan import runs
from medimg_gan.apps.common import RUNS, FlatData
from medimg_gan.config import as_dict
from medimg_gan.console import progress, say
from medimg_gan.data.settings import DataConfig
from medimg_gan.errors import ConfigError, RunError

if TYPE_CHECKING:
    from medimg_gan.data.index import Index
    from medimg_gan.data.masks import Labelling
    from medimg_gan.report.contact_sheet import Shown

TABLE = "index.csv"
SHEETS = "contact_sheet*.html"
COUNTED_MASKS = 50
"""Up to this many masked scans are decoded to count labels without being asked (--html asks)."""


@dataclass(frozen=True)
class Config:
    """List a folder's scans: patient (pseudonym), modality, size, spacing, label, problems."""

    source: FlatData = field(default_factory=DataConfig)
    html: bool = False
    """Write a contact sheet too: a middle slice of each series, CT in three windows."""
    run: Path | None = None
    """Folder for the table; default runs/index-<folder's name>."""
    restart: bool = False
    """Write the table anew, even over your own changes to it."""


def main(config: Config) -> None:
    """Read all headers, write ``index.csv``, and print what a person would ask."""
    data = config.source.data
    if data is None:
        raise ConfigError("index needs a folder", fix="python scripts/index.py --data DIR")
    name = data.stem if data.is_file() else data.resolve().name
    folder = config.run or RUNS / f"index-{name or 'root'}"
    settings = {key: value for key, value in as_dict(config).items() if key != "html"}
    _keep_the_users_table(folder, restart=config.restart)

    from medimg_gan.data.index import refuse_unusable, survey

    index = survey(config.source)
    run = _opened(folder, settings, restart=config.restart)
    say_all = _look_and_list(config, index, folder)
    path = folder / TABLE
    index.write(path)
    if not config.html and run.manifest.get("index_sha256") != _digest(path):
        for sheet in folder.glob(SHEETS):
            sheet.unlink()  # it shows what is no longer so
    run.finish(
        data_root=str(index.root.resolve()),
        index_sha256=_digest(path),
        scans=len(index.scans),
        problems=len(index.problems),
    )
    for line in say_all:
        say(line)
    refuse_unusable(index, strict=config.source.strict)
    say(f"\ntable: {path}   (edit it as you like; --data takes it in place of the folder)")
    if config.html:
        say(f"contact sheet: {folder / 'contact_sheet.html'}")
    say(f"next:  python scripts/train_gan.py --recipe cgan --data {path}")


def _look_and_list(config: Config, index: Index, folder: Path) -> list[str]:
    """Decode what was asked for, write the sheet, and give all that is to be said."""
    from medimg_gan.data.masks import Labelling
    from medimg_gan.report import listing
    from medimg_gan.report.contact_sheet import write_contact_sheet

    masked = {n: scan.mask_names for n, scan in enumerate(index.scans) if scan.mask}
    labelling = Labelling.of(config.source, masked)
    labels = {n: listing.labels_of(n, one, None, labelling) for n, one in enumerate(index.scans)}
    slices: Counter[str] = Counter()
    looks = _looks(config, index, labelling, labels, slices)
    if config.html:
        write_contact_sheet(folder, index, looks)
    for _ in looks:
        pass
    return [
        *listing.summary(index, slices),
        *listing.absent_names(config.source.mask_label, slices),
        *(f"  {line}" for line in index.layouts),
        *(["", *listing.table(index.scans, labels)] if index.scans else []),
        *_apart(listing.notes(index)),
        *_apart(listing.problems(index)),
    ]


def _looks(
    config: Config, index: Index, labelling: Labelling, labels: dict[int, str], slices: Counter[str]
) -> Iterator[Shown]:
    """Look at the scans that need it; labels, counts and problems are filled in on the way."""
    from medimg_gan.report import listing
    from medimg_gan.report.contact_sheet import Shown, problem_of
    from medimg_gan.report.thumbnails import look_at

    masked = [number for number, scan in enumerate(index.scans) if scan.mask]
    numbers = masked if len(masked) <= COUNTED_MASKS else []
    numbers = list(range(len(index.scans))) if config.html else numbers
    scans = [index.scans[number] for number in numbers]
    with progress("looking at scans", len(scans), "scans") as ticker:
        found = look_at(scans, len(scans), pictures=config.html)
        for number, (scan, look) in zip(numbers, found, strict=True):
            index.problems.extend(problem_of(scan, look))
            labels[number] = listing.labels_of(number, scan, look.areas, labelling)
            slices.update(listing.label_counts(number, look.areas, labelling))
            ticker.advance()
            yield Shown(scan, look, labels[number])


def _apart(lines: list[str]) -> list[str]:
    return ["", *lines] if lines else []


def _keep_the_users_table(folder: Path, *, restart: bool) -> None:
    """Refuse to write over a table that was edited.

    Raises:
        RunError: If it was.
    """
    path = folder / TABLE
    if not restart and path.exists() and not _as_written(folder):
        raise RunError(
            f"{path}: you have changed it since it was written",
            fix=f"use it with --data {path}, or write it anew with --restart",
        )


def _opened(folder: Path, settings: dict[str, Any], *, restart: bool) -> runs.Run:
    """The run's folder; another flag needs no --restart where nothing of the user's is lost."""
    try:
        return runs.open_run(folder, "index", settings, restart=restart)
    except RunError:
        if not _nothing_to_lose(folder):
            raise
        return runs.open_run(folder, "index", settings, restart=True)


def _nothing_to_lose(folder: Path) -> bool:
    """Whether a run with other settings may be replaced without asking: all in it is ours."""
    if not folder.is_dir() or not _as_written(folder):
        return False
    known = {runs.MANIFEST, runs.LOCK, TABLE, *(path.name for path in folder.glob(SHEETS))}
    return {path.name for path in folder.iterdir()} <= known


def _as_written(folder: Path) -> bool:
    """Whether the folder's table is still the one that this verb wrote."""
    manifest, path = folder / runs.MANIFEST, folder / TABLE
    if not (manifest.is_file() and path.is_file()):
        return False
    found = runs.read_json(manifest)
    return found.get("verb") == "index" and found.get("index_sha256") == _digest(path)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

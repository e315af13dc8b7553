"""The data of the benchmark of translators: a generated set, and splits of registered pairs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from medimg_gan.apps import benchmark_queue
from medimg_gan.apps.benchmark_translation import Material, Part
from medimg_gan.errors import DataError
from medimg_gan.files import written_aside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.apps.benchmark_translation import Config

SOURCE, TARGET = "mri", "ct"
TUMOURS: dict[Part, tuple[str, ...]] = {
    "phantom": ("0.5",),
    "tumours-in-source": ("1", "0"),
    "tumours-in-target": ("0", "1"),
}
"""Share of heads with a tumour; then of CT heads, where it is another."""
FEWEST = 4
"""Patients of the pairs: two to test on, one that is watched, one to learn from."""


def materials(config: Config, part: Part) -> list[Material]:
    """The data of every repeat of a part, made where they are not there yet.

    Raises:
        DataError: If heads cannot be made, or the folder of pairs holds too few patients.
    """
    return _splits(config) if part == "pairs" else _phantom(config, part)


def _phantom(config: Config, part: Part) -> list[Material]:
    """MRI of some patients and CT of others; the truth of all lies beside."""
    folder = config.run / f"{part}-data"
    words = ["make-phantom", "--out", str(folder), "--patients", str(config.patients)]
    words += ["--format", "nifti", "--workers", str(config.parallel)]
    for flag, share in zip(
        ("--tumour-fraction", "--tumour-fraction-ct"), TUMOURS[part], strict=False
    ):
        words += [flag, share]
    log = folder.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    if benchmark_queue.start(tuple(words), log).wait():
        raise DataError(f"{folder}: the heads could not be made", observed=f"see {log}")
    data, truth = folder / "data", folder / "truth"
    return [Material(f"seed-{seed}", seed, data, truth) for seed in config.seeds]


def _splits(config: Config) -> list[Material]:
    """A table for each split: two patients to test on, one of the others to watch."""
    assert config.pairs is not None
    slices = {
        folder.name: len(list(folder.glob("*.png")))
        for folder in sorted((config.pairs / SOURCE).glob("*"))
        if (config.pairs / TARGET / folder.name).is_dir()
    }
    if len(slices) < FEWEST:
        raise DataError(
            f"--pairs {config.pairs}: too few patients",
            observed=f"{len(slices)} folders that are both in {SOURCE}/ and in {TARGET}/",
            fix=f"at least {FEWEST}: {SOURCE}/PATIENT/NAME.png and {TARGET}/PATIENT/NAME.png",
        )
    found = []
    for number, tested in enumerate(balanced_choices(list(slices), config.splits)):
        others = [patient for patient in slices if patient not in tested]
        watched = min(others, key=lambda patient: slices[patient])  # it costs fewest slices
        split_of = dict.fromkeys(others, "train") | dict.fromkeys(tested, "test")
        split_of[watched] = "val"
        table = config.run / "splits" / f"split-{number}.csv"
        _write_table(table, config.pairs, split_of)
        seed = config.seeds[0]
        found.append(Material(f"split-{number}", seed, config.pairs, table=table))
    return found


def balanced_choices(patients: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Different pairs of patients, each patient in as many as any other, or one more or fewer.

    Args:
        patients: To choose from.
        count: Pairs wanted; all there are, where that is fewer.
    """
    first, *others = [*patients, *[""] * (len(patients) % 2)]  # with a bye, as in a tournament
    chosen: list[tuple[str, str]] = []
    for turn in range(len(others)):
        table = [first, *others[turn:], *others[:turn]]
        half = len(table) // 2
        facing = zip(table[:half], reversed(table[half:]), strict=True)
        chosen += [(one, other) for one, other in facing if one and other]
    return chosen[:count]


def _write_table(path: Path, folder: Path, split_of: dict[str, str]) -> None:
    with written_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["path", "patient", "split"])
        for modality in (SOURCE, TARGET):
            for patient, split in split_of.items():
                for picture in sorted((folder / modality / patient).glob("*.png")):
                    table.writerow([picture.relative_to(folder).as_posix(), patient, split])

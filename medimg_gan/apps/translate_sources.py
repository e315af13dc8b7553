"""Which scans a translator is given together, and how well its uncertainty tells the error."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medimg_gan.console import say
from medimg_gan.data.domains import Domain, sequence_of
from medimg_gan.data.visits import visits, with_patients_by_name
from medimg_gan.errors import DataError
from medimg_gan.imaging import read_files, read_series
from medimg_gan.modalities import MODALITIES

if TYPE_CHECKING:
    from medimg_gan.data.index import Index
    from medimg_gan.data.scan import Scan
    from medimg_gan.synthesis import Translator

Visit = tuple["Scan", ...]
"""What goes into a translator at once: a scan of each of its sequences."""


def found_visits(index: Index, translator: Translator) -> tuple[list[Visit], int]:
    """The scans of an index as a translator takes them, and how many were left out.

    Of a translator of one sequence these are the scans of that sequence, or all, where nothing
    tells a sequence. Of several: one of each for a patient's visit.

    Args:
        index: Scans of the source modality.
        translator: Its ``sequences`` say what is wanted.

    Raises:
        DataError: If no visit has all of them.
    """
    wanted = translator.sequences
    if not wanted:
        return [(scan,) for scan in index.scans], 0
    if len(wanted) == 1 and not any(sequence_of(scan) for scan in index.scans):
        say(f"  nothing tells the sequence of these scans: all are taken for {wanted[0]}")
        return [(scan,) for scan in index.scans], 0
    domain = Domain("+".join(wanted), translator.source, wanted)
    domain.refuse_absent(index, "a translator from")
    scans = index.scans if len(wanted) == 1 else with_patients_by_name(index.scans)
    of_sequence = [[scan for scan in scans if sequence_of(scan) == sequence] for sequence in wanted]
    found = [(scan,) for scan in of_sequence[0]] if len(wanted) == 1 else visits(of_sequence)
    left_out = len(index.scans) - len(wanted) * len(found)
    if not found:
        raise DataError(
            f"{index.root}: no visit of a patient has {' and '.join(wanted)}",
            observed=", ".join(
                f"{len(own)} scans of {name}" for own, name in zip(of_sequence, wanted, strict=True)
            ),
            fix="name the scans of a visit alike, or give a table with the columns patient and "
            "sequence",
        )
    if left_out:
        say(f"  left out: {left_out} scans that do not make up {' and '.join(wanted)} of a visit")
    return found, left_out


def correlations(written: Iterable[tuple[Path, Path, Scan]], modality: str) -> dict[str, float]:
    """How the uncertainty goes with the true error, inside the body.

    Args:
        written: Translated volume, its uncertainty and the truth; all on one grid.
        modality: Of the target.

    Returns:
        ``spearman`` and ``pearson`` of voxels, each the mean over the scans.
    """
    from scipy.stats import pearsonr, spearmanr

    rows = []
    for made_path, unsure_path, scan in written:
        truth = read_series(scan.series)
        made, unsure = read_files([made_path]).array, read_files([unsure_path]).array
        body = MODALITIES[modality].foreground(truth.array, truth.unit)
        error = np.abs(made - truth.array)[body]
        rows.append([measure(unsure[body], error)[0] for measure in (spearmanr, pearsonr)])
    spearman, pearson = np.mean(rows, axis=0).tolist()
    return {"spearman": spearman, "pearson": pearson}

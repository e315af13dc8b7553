"""Which scans a translator is given together, whose they are, and which show what it makes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from medimg_gan.console import say
from medimg_gan.data.domains import Domain, sequence_of
from medimg_gan.data.visits import visits, with_patients_by_name
from medimg_gan.errors import DataError

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
        index: Scans of the source modality, from :func:`as_trained`.
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
    domain = Domain(translator.source_name, translator.source, wanted)
    domain.refuse_absent(index, "a translator from")
    of_sequence = [
        [scan for scan in index.scans if sequence_of(scan) == sequence] for sequence in wanted
    ]
    found = visits(of_sequence)
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


def as_trained(index: Index) -> Index:
    """The same scans, of the patients that the training took them for where nobody names them.

    A training of a translator tells them by the scans' common names.
    """
    return replace(index, scans=with_patients_by_name(index.scans))


def targets_of(index: Index, translator: Translator) -> list[Scan]:
    """The scans that show what the translator makes."""
    wanted = translator.target_sequence
    domain = Domain(translator.target_name, translator.target, (wanted,) if wanted else ())
    return [scan for scan in index.scans if domain.channel_of(scan) is not None]

"""The two sides of a translation by their names: a modality, or MR sequences as channels."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medimg_gan.data.layouts import SEQUENCES
from medimg_gan.errors import ConfigError, DataError

if TYPE_CHECKING:
    from medimg_gan.data.index import Index
    from medimg_gan.data.scan import Scan

MODALITY_NAMES = ("ct", "mri", "picture", "xray")


@dataclass(frozen=True)
class Domain:
    """One side of a translation.

    Attributes:
        name: As in the manifest: ``mri``, ``t1`` or ``t1+t2``.
        modality: Key of ``MODALITIES``.
        sequences: MR sequences whose scans are an image's channels; () for any scan of the
            modality, one an image.
    """

    name: str
    modality: str
    sequences: tuple[str, ...] = ()

    @property
    def channels(self) -> tuple[str, ...]:
        """What an image is gathered from, a name a scan."""
        return self.sequences or (self.modality,)

    def channel_of(self, scan: Scan) -> int | None:
        """Which of ``channels`` a scan can be; None if it belongs to another domain."""
        if scan.modality != self.modality:
            return None
        sequence = sequence_of(scan)
        if not self.sequences:
            return 0
        return self.sequences.index(sequence) if sequence in self.sequences else None

    def refuse_absent(self, index: Index, flag: str) -> None:
        """Say what the data hold in place of what was asked for.

        Raises:
            DataError: If a channel has no scan.
        """
        there = {self.channel_of(scan) for scan in index.scans}
        absent = [name for number, name in enumerate(self.channels) if number not in there]
        if not absent:
            return
        if not self.sequences:
            index.of_modality(self.modality)  # says it
        sequences = Counter(sequence_of(scan) for scan in index.scans if scan.modality == "mri")
        unnamed = sequences.pop("", 0)
        held = Counter(scan.modality or "unknown" for scan in index.scans) + sequences
        near = difflib.get_close_matches(absent[0], held, n=1)
        observed = ", ".join(f"{name} ({count})" for name, count in sorted(held.items()))
        raise DataError(
            f"{flag} {self.name}: {index.root} holds no {' and no '.join(absent)} scans",
            observed=f"it holds {observed or 'nothing readable'}"
            + (f"; nothing tells the sequence of {unnamed} MR scans" if unnamed else ""),
            fix=f"did you mean {near[0]} ?"
            if near
            else "name one of these, or give sequences in a column 'sequence' of index.csv",
        )


def sequence_of(scan: Scan) -> str:
    """A scan's MR sequence by its usual short name, or ""."""
    word = scan.sequence.strip().lower()
    return SEQUENCES.get(word, word)


def parse_domain(text: str, flag: str) -> Domain:
    """``mri``, ``t1`` or ``t1+t2`` as typed behind a flag.

    Raises:
        ConfigError: If it names nothing, a modality beside others, or one name twice.
    """
    words = [word.strip() for word in text.lower().split("+")]
    names = [SEQUENCES.get(word, word) for word in words]
    if len(names) == 1 and names[0] in MODALITY_NAMES:
        return Domain(names[0], names[0])
    wrong = [name for name in names if not name or name in MODALITY_NAMES]
    if wrong or len(set(names)) < len(names):
        raise ConfigError(
            f"{flag} {text!r}",
            observed=f"one of {', '.join(MODALITY_NAMES)}, or different MR sequences joined by '+'",
            fix=f"for example {flag} mri, {flag} t1 or {flag} t1+t2",
        )
    return Domain("+".join(names), "mri", tuple(names))


def parse_domains(source: str, target: str) -> tuple[Domain, Domain]:
    """Both sides of a translation, from ``--src`` and ``--tgt``.

    Raises:
        ConfigError: If one is wrong, the target has several sequences, or the two share scans.
    """
    domains = parse_domain(source, "--src"), parse_domain(target, "--tgt")
    if domains[0] == domains[1]:
        raise ConfigError(
            f"--src and --tgt are both {domains[0].name!r}",
            fix="name two modalities or sequences: --src mri --tgt ct, --src t1 --tgt t2",
        )
    if len(domains[1].sequences) > 1:
        raise ConfigError(
            f"--tgt {domains[1].name}: a translator makes one sequence",
            fix="train one run a sequence",
        )
    both = set(domains[0].sequences) & set(domains[1].sequences)
    known = all(set(domain.sequences) <= set(SEQUENCES.values()) for domain in domains)
    whole = (
        known  # what an unknown word is, only the data can tell
        and domains[0].modality == domains[1].modality
        and not all(domain.sequences for domain in domains)
    )
    if both or whole:
        raise ConfigError(
            f"--src {domains[0].name} --tgt {domains[1].name}: the same scans on both sides",
            observed=f"{' and '.join(sorted(both)) or 'mri'} is on either side",
            fix="name different sequences, such as --src t1 --tgt t2",
        )
    return domains

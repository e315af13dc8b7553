"""Which test patients the two arms of the verdict see differently."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medimg_gan.metrics import Outcome

SAME = 1e-9


def changed_patients(
    reference: Sequence[Outcome],
    candidate: Sequence[Outcome],
    patients: np.ndarray[Any, Any],
    *,
    known: bool,
) -> list[dict[str, Any]]:
    """Patients whose slices are called minority more or less often by the candidate.

    A patient with slices of both kinds has an entry for each kind.

    Args:
        reference: Of the best arm without synthetic slices, one per seed.
        candidate: Of the best arm with them.
        patients: (N,) of the test slices; their names stay here.
        known: Whether they are patients, not stand-ins for slices.

    Returns:
        Largest change first: ``patient`` (a number in the order of a hash of the pseudonyms),
        ``minority`` (whether the entry is about the patient's minority slices), ``slices``, and
        the share of slices and seeds called minority by ``reference`` and ``candidate``.
    """
    called = [np.mean([one.called for one in tests], axis=0) for tests in (reference, candidate)]
    positive = reference[0].positive.astype(bool)
    word = "patient" if known else "slice"
    found = []
    for number, name in enumerate(sorted(np.unique(patients), key=_hash), 1):
        for minority in (True, False):
            own = (patients == name) & (positive == minority)
            if not own.any():
                continue
            before, after = (float(share[own].mean()) for share in called)
            if abs(after - before) > SAME:
                found.append(
                    {
                        "patient": f"test {word} {number}",
                        "minority": minority,
                        "slices": int(own.sum()),
                        "reference": round(before, 5),
                        "candidate": round(after, 5),
                    }
                )
    return sorted(found, key=lambda entry: -abs(entry["candidate"] - entry["reference"]))


def _hash(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()

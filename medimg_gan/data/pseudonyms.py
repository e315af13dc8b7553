"""Patients under another name: a keyed hash, stable within a project, useless outside it."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

KEY_FILE = "patient.key"
PSEUDONYM = re.compile(r"p-[0-9a-f]{12}")


def project_key(folder: Path) -> bytes:
    """The project's secret key, made on first use and readable by its owner alone.

    Two processes that start together agree: the file is linked into place, and the one that comes
    second reads the first one's.
    """
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        aside = folder / f".{KEY_FILE}.{os.getpid()}"
        aside.touch(mode=0o600)
        aside.write_bytes(secrets.token_bytes(32))
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return path.read_bytes()


def pseudonym(patient: str, key: bytes) -> str:
    """A name for ``patient`` that says nothing without the key; a pseudonym stays as it is."""
    if PSEUDONYM.fullmatch(patient):
        return patient
    return "p-" + hashlib.blake2b(patient.encode(), key=key, digest_size=6).hexdigest()

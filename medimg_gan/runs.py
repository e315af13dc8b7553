"""One verb, one folder, one manifest: how a run begins, is found again, and ends.

A run folder holds ``manifest.json`` from its first moment, with ``"finished": false``; the last
thing a verb does is to set it to true. Every file is written aside and renamed, so that a kill at
any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from medimg_gan.errors import RunError
from medimg_gan.files import written_aside

try:
    import fcntl
except ImportError:
    fcntl = None

MANIFEST = "manifest.json"
NOTED_PACKAGES = ("medimg-gan", "torch", "torchvision", "monai", "numpy", "pydicom", "nibabel")
LOCK = ".lock"
CHEAP = {MANIFEST, LOCK, "split.csv", "folds.csv"}
"""Files that cost nothing to make again: a folder with no others has no work in it to lose."""
NOT_COMPARED = ("restart", "engine", "workers")
"""Settings that may differ between a run and its repetition."""

_HELD: list[IO[bytes]] = []
"""Locks of this process's run folders; the system lets go of them when the process ends."""


@dataclass(frozen=True)
class Run:
    """A run's folder; made by :func:`open_run`."""

    folder: Path
    finished: bool

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run so far."""
        return read_json(self.folder / MANIFEST)

    def note(self, **facts: Any) -> None:
        """Add facts (counts, inputs, results) to the manifest."""
        write_json(self.folder / MANIFEST, {**self.manifest, **facts})

    def finish(self, **facts: Any) -> None:
        """Mark the run as complete."""
        self.note(**facts, finished=True)


def open_run(folder: Path, verb: str, config: dict[str, Any], *, restart: bool = False) -> Run:
    """Begin a run, or find the one that the same command began.

    Args:
        folder: Where the run lives; made if absent.
        verb: The command, noted in the manifest.
        config: Resolved configuration as plain values.
        restart: Delete what an earlier run of this verb left there. A run that stopped before it
            did any work (a misspelt flag, say) is begun again without being asked.

    Raises:
        RunError: If the folder holds something that is not a run of this verb, or a run with
            other settings.
    """
    found = find_run(folder, verb, config, restart=restart)
    folder.mkdir(parents=True, exist_ok=True)
    _hold(folder)
    if found is not None:
        return found
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    write_json(
        folder / MANIFEST,
        {"verb": verb, "finished": False, "config": config, "environment": environment()},
    )
    return Run(folder, finished=False)


def find_run(
    folder: Path, verb: str, config: dict[str, Any], *, restart: bool = False
) -> Run | None:
    """The run that the same command began, or None where :func:`open_run` would begin one.

    Nothing is written. Arguments and errors are those of :func:`open_run`.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder}: is a file, not a folder", fix="name another folder")
    if not (folder / MANIFEST).exists():
        if folder.exists() and {path.name for path in folder.iterdir()} - {LOCK}:
            raise RunError(
                f"{folder}: holds files, but no {MANIFEST}",
                cause="the folder was not made by medimg-gan",
                fix="choose another folder, or empty this one yourself",
            )
        return None
    found = read_json(folder / MANIFEST)
    if found.get("verb") != verb:
        raise RunError(
            f"{folder}: belongs to another verb",
            observed=f"made by '{found.get('verb')}', asked for by '{verb}'",
            fix="choose another folder",
        )
    finished = bool(found.get("finished"))
    no_work = not finished and {path.name for path in folder.iterdir()} <= CHEAP
    if restart or no_work:
        return None
    _refuse_other_settings(folder, found, config)
    return Run(folder, finished)


def environment() -> dict[str, Any]:
    """Versions, machine and commit that a repetition would need, and the day."""
    versions = {}
    for name in NOTED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "python": platform.python_version(),
        "versions": versions,
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "date": datetime.date.today().isoformat(),
        "git_commit": git_commit(),
    }


def cpu_name() -> str:
    """The processor's name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_commit() -> str | None:
    """The checkout's commit, with ``+`` when it has local changes; None outside a checkout."""
    here = Path(__file__).parent
    try:
        describe = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
        tracked = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=here, capture_output=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return describe.stdout.strip() if tracked.returncode == 0 else None


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that a reader sees the old content or the new, never a part."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        RunError: If the file is absent or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"{path}: not found",
            cause="this is not the folder of a run, or its name is misspelt",
            fix="give the folder that the training printed, for example runs/train-gan-cgan",
        ) from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read", observed=str(error)) from error


def _hold(folder: Path) -> None:
    """Keep other processes from writing to the same run.

    Raises:
        RunError: If one is doing so now.
    """
    if fcntl is None:  # Windows
        return
    handle = (folder / LOCK).open("ab")
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunError(
            f"{folder}: in use by another process",
            cause="the same command is running already",
            fix="wait for it, or name another folder",
        ) from error
    _HELD.append(handle)  # closing any handle on the file would let go


def let_go(folder: Path) -> None:
    """Let other processes use a folder of which this one needs no more than what is in it."""
    for handle in [handle for handle in _HELD if Path(handle.name) == folder / LOCK]:
        _HELD.remove(handle)
        handle.close()


def _refuse_other_settings(folder: Path, found: dict[str, Any], config: dict[str, Any]) -> None:
    before, now = _flat(found.get("config", {})), _flat(config)
    if now.get("run") in (None, str(folder)):
        # The folder itself, which may have been moved; where --run is an input, it is compared.
        before.pop("run", None)
        now.pop("run", None)
    changed = [
        f"{key}: {before.get(key)} -> {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if key not in NOT_COMPARED and before.get(key) != now.get(key)
    ]
    if changed:
        raise RunError(
            f"{folder}: holds a run with other settings",
            observed="; ".join(changed),
            fix="name another folder, or --restart to begin again (deletes what is there)",
        )


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings by the names of their flags; how a machine is used is not compared."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and key not in NOT_COMPARED:
            flat.update(_flat(value))
        else:
            flat[key] = value
    return flat

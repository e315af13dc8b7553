"""Write aside, then rename: nobody ever sees half a file or half a series."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from medimg_gan.errors import DataError

UNFINISHED = ".unfinished-"
"""What the names of files that are being written begin with."""


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it into place if the block succeeds.

    Raises:
        OSError: As the system does; :func:`new_file` says it in a user's words.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The whole name goes last: writers choose format and compression by the ending.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED, suffix=f".{path.name}")
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        _usual_permissions(aside, 0o666)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def clear_unfinished(*folders: Path) -> None:
    """Remove what killed processes were writing aside, in folders that nobody else writes to.

    Folders in them are left alone; a folder that is not there holds nothing.
    """
    for folder in folders:
        for aside in folder.glob(f"{UNFINISHED}*"):
            if aside.is_file():
                aside.unlink()


def clear_unfinished_of(path: Path) -> None:
    """Remove what killed processes left of this one file; other files' are another's business."""
    if path.parent.is_dir():
        for aside in path.parent.iterdir():
            # mkstemp puts eight characters between the two.
            ours = aside.name[len(UNFINISHED) + 8 :] == f".{path.name}"
            if ours and aside.name.startswith(UNFINISHED) and aside.is_file():
                aside.unlink(missing_ok=True)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """The same as :func:`written_aside`, with errors for users.

    Raises:
        DataError: If the disk is full or the folder may not be written.
    """
    with _said_clearly(path), written_aside(path) as aside:
        yield aside


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``folder``; rename it into place if the block succeeds.

    Raises:
        DataError: If ``folder`` already holds something, the disk is full, or the place may not
            be written.
    """
    with _said_clearly(folder):
        if folder.exists() and any(folder.iterdir()):
            raise DataError(
                f"{folder}: already holds files",
                cause="an earlier series was written here",
                fix="choose another folder, or empty this one yourself",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            yield aside
            _usual_permissions(aside, 0o777)
            if folder.exists():
                folder.rmdir()  # empty, as checked; not every system renames onto a folder
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _usual_permissions(path: Path, mode: int) -> None:
    """Temporary files are private; give them what an ordinary new file would have."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(mode & ~mask)


@contextlib.contextmanager
def _said_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written",
            observed=error.strerror or str(error),
            fix="free some space, or choose a folder that you may write to",
        ) from error

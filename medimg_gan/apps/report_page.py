"""One study as a page: what of its run is shown, and how its command reads to others."""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path
from typing import Any

from medimg_gan.console import say
from medimg_gan.errors import ConfigError, RunError
from medimg_gan.report.pictures import shown_in
from medimg_gan.report.study_page import TITLE, write_study_page

PLACES = ("--data", "--labels", "--cache", "--gan", "--run")
"""Flags of augment that name a place on the user's machine, which is nobody's business."""
HIDDEN = "DIR"


def write_page(folder: Path, report: dict[str, Any], path: Path) -> None:
    """Write a study down as ``path`` with its pictures beside it.

    Args:
        folder: Of the finished study.
        report: Its ``report.json``; reasons are worked out where an earlier version gave none.
        path: NAME.md.

    Raises:
        ConfigError: If ``path`` holds something else than such a page.
        RunError: If the study's ``report.html``, which holds its pictures, cannot be read.
        DataError: If the disk refuses.
    """
    if path.exists() and not _text(path).startswith(TITLE):
        raise ConfigError(
            f"--page {path}: holds something else than the page of a study",
            fix="name another file, or move this one away",
        )
    if "reasons" not in report:
        from medimg_gan.study.reasons import reasons  # loads torch

        report = {**report, "reasons": reasons(report)}
    written = write_study_page(
        path,
        report,
        shown_in(_text(folder / "report.html")),
        shown_command(report.get("command", "not noted")),
        report["environment"].get("date") or _day(folder / "report.json"),
    )
    say(f"{folder}: {report['outcome']}")
    say(f"page: {path}   pictures: {len(written)} in {path.with_suffix('')}/")


def shown_command(command: str) -> str:
    """The command that made a study, without what it says of the user's machine."""
    words = shlex.split(command)
    script = next((place for place, word in enumerate(words) if word.endswith(".py")), None)
    if script is not None:
        words[script] = f"scripts/{Path(words[script]).name}"
    shown, hide = [], False
    for word in words:
        flag, equals, _ = word.partition("=")
        if hide:
            word = HIDDEN
        elif flag in PLACES and equals:
            word = f"{flag}={HIDDEN}"
        elif Path(word).is_absolute() or word.startswith("~"):
            word = HIDDEN
        shown.append(word)
        hide = word in PLACES
    return shlex.join(shown)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path}: cannot be read",
            cause="moved, deleted or damaged; a page takes its pictures of slices from report.html",
            fix="put it back, or repeat the study with --restart",
        ) from error


def _day(path: Path) -> str:
    """When a file was written: studies of earlier versions do not say their day."""
    written = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    return written.date().isoformat()

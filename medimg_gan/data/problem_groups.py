"""Problems as a person reads them: the same one once, with a count, examples and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from medimg_gan.imaging import Problem

FIX = "; fix: "
"""Stands before the remedy in ``MedimgError.one_line``."""
HERE = "…"
"""Stands for a path, which may hold a patient's name."""
NOTHING = "nothing; it holds no scan that would be used"
REMEDIES = (
    ("copies of", "nothing; the first copy is used"),
    ("localiser", NOTHING),
    ("no scan in this", NOTHING),
    ("a DICOMDIR", NOTHING),
    ("one slice of other size", "nothing, if it is a scout or a report; else export it again"),
    ("permission denied", "ask for the right to read it, or copy it to a folder of your own"),
    ("convert to NIfTI", "convert it, for example with dcm2niix, 3D Slicer or SimpleITK"),
)
"""What to do where the reason itself does not say: words in it -> remedy."""
ELSE = "open it in another viewer; if that fails too, copy or export it again"


@dataclass
class ProblemGroup:
    """Problems of one kind.

    Attributes:
        title: What is wrong, without place or numbers that differ.
        detail: What was observed in the first of them, "" if nothing.
        remedy: What to do.
        paths: Where, in the order found.
    """

    title: str
    detail: str
    remedy: str
    paths: list[Path] = field(default_factory=list)


def grouped(problems: Iterable[Problem], root: Path) -> list[ProblemGroup]:
    """The kinds of problems, the most frequent first.

    Args:
        problems: In any order.
        root: The data folder; paths below it are taken out of the reasons.
    """
    groups: dict[str, ProblemGroup] = {}
    for problem in problems:
        text = without_places(problem, root)
        said, _, fix = text.partition(FIX)
        title, _, detail = said.removeprefix("left out: ").partition("; ")
        kind = re.sub(r"\d+(\.\d+)?", "#", title)
        group = groups.setdefault(kind, ProblemGroup(title, detail, fix or _remedy(title)))
        group.paths.append(problem.path)
    for group in groups.values():
        group.paths.sort()
    return sorted(groups.values(), key=lambda group: (-len(group.paths), group.title))


def calls_for_action(problem: Problem) -> bool:
    """Whether there is something to do: a report or a second copy among the scans needs nothing."""
    said = problem.reason.partition(FIX)[0].removeprefix("left out: ")
    return FIX in problem.reason or not _remedy(said.partition("; ")[0]).startswith("nothing")


def without_places(problem: Problem, root: Path) -> str:
    """A problem's reason without any path below ``root``."""
    text = problem.reason
    inside = [place for place in (problem.path, *problem.path.parents) if root in place.parents]
    for place in inside:
        text = text.replace(str(place), HERE)
    for folder in {str(root), str(root.absolute()), str(root.resolve())}:
        beyond = r"(?:/[^;\n'\"]*?)?(?=: |; |$|['\"])"
        text = re.sub(r"(?<![\w/.-])" + re.escape(folder) + beyond, HERE, text)
    text = re.sub(rf"{HERE}(/[^;:\n'\"]*)", HERE, text)
    # 'PLACE (series 3): slices are ...': the place is told beside it.
    return re.sub(rf"^(left out: )?{HERE}(?: \([^)]*\))?: ", r"\1", text)


def _remedy(reason: str) -> str:
    lower = reason.lower()
    return next((remedy for words, remedy in REMEDIES if words.lower() in lower), ELSE)

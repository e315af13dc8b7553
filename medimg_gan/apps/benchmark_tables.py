"""What the pages of benchmarks share: lines of tables, verdicts, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from medimg_gan.apps.benchmark_gans_figures import Target
from medimg_gan.console import say
from medimg_gan.files import written_aside


def line(*cells: object) -> str:
    """One line of a Markdown table; None is a dash."""
    return "| " + " | ".join("–" if cell is None else str(cell) for cell in cells) + " |"


def verdict_table(kind: str, first: str, verdicts: Sequence[Target]) -> str:
    """Targets, what was found, and whether they are met; said aloud too.

    Args:
        kind: Of the data, for what is said.
        first: The contender that is held against the others.
        verdicts: Lines.
    """
    lines = [f"| {first}: asked | found | verdict |", "|---|---|---|"]
    for target in verdicts:
        word = {True: "met", False: "missed", None: "open"}[target.met]
        lines.append(line(target.asked, target.found, word))
        say(f"{kind}: {target.asked}: {word}, {target.found}")
    return "\n".join(lines)


def copy_picture(picture: Path, path: Path, magnified: int = 1, mode: str = "L") -> None:
    """Copy a picture beside a page, larger.

    Args:
        picture: What was drawn.
        path: PNG to write.
        magnified: How much larger, each pixel a square.
        mode: Pillow's: L for grey, RGB for colours.
    """
    with Image.open(picture) as found:
        shown = found.convert(mode)
    larger = shown.resize(
        (shown.width * magnified, shown.height * magnified), Image.Resampling.NEAREST
    )
    with written_aside(path) as aside:
        larger.save(aside, optimize=True)

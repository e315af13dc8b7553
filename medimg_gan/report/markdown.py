"""Pieces of Markdown, as GitHub and the wikis read it; texts are escaped with :func:`plain`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

SPECIAL = re.compile(r"([\\`*_\[\]<>|&$~#])")


def plain(text: str) -> str:
    """Text on one line that no reader of Markdown takes for anything else."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table, its first column to the left and the others to the right.

    Args:
        heads: Markdown.
        lines: Cells, Markdown.
    """
    rule = [":---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *lines))


def bullets(entries: Iterable[str]) -> str:
    """A list of Markdown."""
    return "\n".join(f"- {entry}" for entry in entries)


def bold(text: str) -> str:
    """Markdown in bold."""
    return f"**{text}**"


def picture(title: str, folder: str, name: str) -> str:
    """A picture beside the page.

    Args:
        title: Text, for those who cannot see it.
        folder: Its name beside the page.
        name: Of the file in it.
    """
    return f"![{plain(title)}]({quote(folder)}/{quote(name)})"


def code(text: str) -> str:
    """Lines as they are typed, in a fence longer than any in them."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"

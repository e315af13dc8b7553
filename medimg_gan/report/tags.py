"""Pieces of HTML; what is called text is escaped here, cells and bodies are HTML already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template


@dataclass(frozen=True)
class Section:
    """A chapter of a page: its anchor, title (text) and body (HTML); an empty body is left out."""

    anchor: str
    title: str
    body: str


def page(
    template: str,
    colours: Mapping[str, str],
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str,
    lead: str,
) -> str:
    """A whole page.

    Args:
        template: A :class:`string.Template`.
        colours: Name -> colour, for the style sheet.
        sections: In order; those without a body are left out.
        title: Text.
        subtitle: Text.
        lead: HTML above the contents.
    """
    shown = [section for section in sections if section.body]
    links = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.title)}</a></li>' for section in shown
    )
    return Template(template).substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        colours=" ".join(f"--{name}: {value};" for name, value in colours.items()),
        lead=lead,
        contents=f'<nav aria-label="Contents"><ol>{links}</ol></nav>',
        sections="".join(
            f'<section id="{section.anchor}"><h2>{escape(section.title)}</h2>{section.body}'
            "</section>\n"
            for section in shown
        ),
    )


def table(
    heads: Sequence[str],
    lines: Iterable[Sequence[str]],
    *,
    style: str = "",
    chosen: Sequence[bool] | None = None,
) -> str:
    """A table whose headings come again on every page of print.

    Args:
        heads: Text.
        lines: Cells, HTML.
        style: A class of the style sheet.
        chosen: Which lines are highlighted.
    """
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    rows = []
    for place, line in enumerate(lines):
        cells = "".join(f"<td>{cell}</td>" for cell in line)
        mark = ' class="chosen"' if chosen and chosen[place] else ""
        rows.append(f"<tr{mark}>{cells}</tr>")
    kind = f' class="{style}"' if style else ""
    body = "".join(rows)
    return f"<table{kind}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def note(words: str) -> str:
    """A paragraph of small text."""
    return f'<p class="note">{escape(words)}</p>'


def figures(plots: Iterable[str], caption: str = "") -> str:
    """Plots below each other, with words (text) under the last."""
    drawn = list(plots)
    if not drawn:
        return ""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{'</figure><figure>'.join(drawn)}{below}</figure>"


def glossary(entries: Mapping[str, str]) -> str:
    """Words and what they mean."""
    items = (f"<li><b>{escape(key)}:</b> {escape(words)}</li>" for key, words in entries.items())
    return f"<ul>{''.join(items)}</ul>"


def bullets(words: Iterable[str]) -> str:
    """A list; nothing if there is nothing to say."""
    items = "".join(f"<li>{escape(entry)}</li>" for entry in words)
    return f"<ul>{items}</ul>" if items else ""

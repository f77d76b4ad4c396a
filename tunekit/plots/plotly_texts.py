"""Makes texts safe for Plotly, which reads tags, entities, TeX and templates in them."""

from __future__ import annotations

from html import escape


def plain(text: str) -> str:
    """Return what makes Plotly show a text as it is, whatever a user has typed.

    Plotly decodes entities after it has looked for tags and for TeX between dollar signs.
    """
    return escape(text, quote=False).replace("$", "&#36;").replace("%{", "%&#123;")


def wrapped(text: str, width: int) -> str:
    """Return a plain text broken into lines of about `width` characters."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    return "<br>".join(map(plain, [*lines, line]))

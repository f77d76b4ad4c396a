"""Shows texts that users typed as they are: no HTML, no Markdown, no control characters."""

from __future__ import annotations

import re
import unicodedata

import streamlit as st

MAX_SHOWN = 120
"""Characters of a name in a heading or label."""

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def plain(text: str, most: int = MAX_SHOWN) -> str:
    """Return a text of a user for a place that reads Markdown, as it was typed, in one line.

    Args:
        text: whatever a user typed.
        most: characters to show; a longer one is cut with an ellipsis.
    """
    return _PUNCTUATION.sub(r"\\\1", cut(text, most))


def cut(text: str, most: int = MAX_SHOWN) -> str:
    """Return a text in one line without control characters, cut to a number of characters."""
    line = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text).strip()
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def number(value: float | None, digits: int = 4) -> str:
    """Return a number for people: significant digits, `-` for none."""
    if value is None:
        return "-"
    if abs(value) < 1e6 and value == int(value):
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


def numbers(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, such as `1 trial` or `2,000 trials`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def sentence(text: str) -> None:
    """Draw a sentence that may hold a user's text, such as that of an error."""
    st.markdown(plain(text, 2000))

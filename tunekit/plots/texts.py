"""Makes the texts of figures: names cut to length, numbers with four digits, counts."""

from __future__ import annotations

from collections.abc import Mapping

from tunekit.analysis.charts.samples import cut
from tunekit.shown import counted, printable

MAX_LABEL = 48
"""Characters of a name in a figure."""


def label(text: str, most: int = MAX_LABEL) -> str:
    """Return a name on one line, without control characters, of at most `most` characters."""
    return cut(" ".join(printable(text).split()), most)


def path_label(path: str, most: int = MAX_LABEL) -> str:
    """Return a path of a parameter like `label`, but a long one without its beginning."""
    text = label(path, len(path) * 12 + 1)
    return text if len(text) <= most else f"…{text[1 - most :]}"


def amount(value: float | None) -> str:
    """Return a number with four significant digits, "none" for `None`."""
    return "none" if value is None else f"{value:.4g}"


def plenty(n: int, noun: str) -> str:
    """Return a number with its noun: "1 trial", "10,000 trials"."""
    return counted(n, noun).replace(str(n), f"{n:,}", 1)


def shown_of(shown: int, total: int, noun: str = "trial") -> str:
    """Return "300 of 10,000 trials"."""
    return f"{shown:,} of {plenty(total, noun)}"


def listed(counts: Mapping[str, int]) -> str:
    """Return "3 failed, 9 running", the most first."""
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{n:,} {name}" for name, n in order)


def sentences(*parts: str) -> str:
    """Return the parts that are not empty as sentences."""
    return " ".join(f"{p[0].upper()}{p[1:]}." for p in parts if p)


def best_word(direction: str) -> str:
    """Return "lowest" or "highest", what the best result is."""
    return "lowest" if direction == "minimize" else "highest"

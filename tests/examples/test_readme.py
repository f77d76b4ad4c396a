"""README.md shows what is there; tests/docs runs its code and compares what it prints."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block, in order."""
    return FENCE.findall(README.read_text())


def test_the_quickstart_is_the_code_of_the_readme() -> None:
    (code,) = [text for language, text in blocks() if language == "python"]
    assert (README.parent / "examples" / "quickstart.py").read_text().endswith(f'"""\n\n{code}')


def test_the_commands_shown_exist() -> None:
    makefile = (README.parent / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z]+)", README.read_text()))
    assert used
    assert used <= targets

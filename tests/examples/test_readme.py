"""The code of README.md runs, and what it shows as output is what it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """Return the language and the text of each fenced block, in order."""
    return FENCE.findall(README.read_text())


def test_the_python_blocks_run_in_order_and_print_what_is_shown(tmp_path: Path) -> None:
    found = blocks()
    code = [text for language, text in found if language == "python"]
    assert code
    (tmp_path / "readme.py").write_text("\n".join(code))
    done = subprocess.run(
        [sys.executable, "readme.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = [
        text
        for (_, text), (before, _) in zip(found[1:], found, strict=False)
        if before == "python"
    ]
    outputs = [text for language, text in found if language == "text"]
    assert outputs, "no output is shown"
    assert all(text in shown for text in outputs), "a text block follows the code that prints it"
    assert done.stdout == "".join(outputs)


def test_the_quickstart_is_the_code_of_the_readme() -> None:
    (code,) = [text for language, text in blocks() if language == "python"]
    assert (README.parent / "examples" / "quickstart.py").read_text().endswith(f'"""\n\n{code}')


def test_the_commands_shown_exist() -> None:
    makefile = (README.parent / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z]+)", README.read_text()))
    assert used
    assert used <= targets

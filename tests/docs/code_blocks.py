"""What the code blocks of the documentation do when sybil runs them, one page in one folder.

- `python` runs in one namespace a page; what it prints is kept.
- `sh` runs in the page's folder; what it prints is kept.
- `text` right after either is what that printed, line by line; a line `...` stands for any lines.
- `yaml` is a search space and is loaded; a block whose first line is `# name.ext` is written to
  that file too, and one in another language has to be.
- `console` is a transcript of commands that need another machine or a person: their words are
  checked, not run.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser
from typer.main import get_command

import tunekit as tk
from tunekit.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FILE_NAME = re.compile(r"^(?:#!.*\n)?(?:#|//) ([\w./-]+\.\w+)\n")
OTHER_LANGUAGES = ("r", "c", "js", "awk", "make")


def run_page(path: Path) -> int:
    """Run every code block of a page in the current folder; return how many there were."""
    sybil = Sybil(parsers=[CodeBlockParser(language, act) for language, act in ACTIONS.items()])
    document = sybil.parse(path)
    document.namespace["__name__"] = "__main__"  # its functions travel to workers by value
    n_blocks = 0
    for example in document.examples():
        example.evaluate()
        n_blocks += 1
    return n_blocks


def languages(path: Path) -> set[str]:
    """Return the languages of a page's fenced blocks, without MyST's directives."""
    found = re.findall(r"^ {0,3}```+([\w{}-]*).*\n(?:.*\n)*?^ {0,3}```+$", path.read_text(), re.M)
    return {language for language in found if not language.startswith("{")}


def _python(example: Example) -> None:
    code = str(example.parsed)
    if _write(code):
        compile(code, "page", "exec")
        return
    printed = io.StringIO()
    source = "\n" * (example.line + example.parsed.line_offset) + code
    with redirect_stdout(printed):
        exec(compile(source, example.path, "exec"), example.namespace)
    example.namespace[PRINTED] = printed.getvalue()


def _sh(example: Example) -> None:
    commands = str(example.parsed)
    if _write(commands):
        return
    env = {k: v for k, v in os.environ.items() if not k.startswith("TUNEKIT_")}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", commands], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    example.namespace[PRINTED] = done.stdout


def _text(example: Example) -> str | None:
    shown = str(example.parsed).strip()
    printed = example.namespace.pop(PRINTED, None)
    assert printed is not None, "a text block follows the code that prints it"
    # Trailing blanks and the blanks that line up a table are not seen.
    wanted, got = ([" ".join(x.split()) for x in t.splitlines()] for t in (shown, printed))
    pattern = "\n".join(".*" if line == "..." else re.escape(line) for line in wanted)
    if re.fullmatch(pattern, "\n".join(got).strip(), re.DOTALL):
        return None
    return f"shown:\n{shown}\n\nprinted:\n{printed}"


def _yaml(example: Example) -> None:
    text = str(example.parsed)
    name = _write(text) or _put("space.yaml", text)
    if "parameters:" in text:
        tk.load_space(name)


def _file(example: Example) -> None:
    assert _write(str(example.parsed)), "the first line names the file: `# name.ext`"


def _console(example: Example) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in str(example.parsed).replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line.removeprefix("$ "), comments=True) or [""]
        if program == "make" and words:
            assert words[0] in targets, f"no such target: {line}"
        if program == "tunekit":
            _check_words(words, line)


def _check_words(words: list[str], line: str) -> None:
    """Check that a command of tunekit and its options exist."""
    command: Any = get_command(app)
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        found = command.get_command(None, words.pop(0))  # one of another distribution as well
        assert found is not None, f"no such command: {line}"
        command = found
    known = {option for parameter in command.params for option in parameter.opts}
    own = words[: words.index("--")] if "--" in words else words
    for word in own:
        if word.startswith("-"):
            assert word.partition("=")[0] in {*known, "--help"}, f"no option {word}: {line}"


def _write(text: str) -> str:
    """Write a block that names its file; return the name, or an empty text."""
    match = FILE_NAME.match(text)
    return _put(match[1], text) if match else ""


def _put(name: str, text: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return name


PRINTED = "printed by the block before"
ACTIONS: dict[str, Any] = {
    "python": _python,
    "sh": _sh,
    "text": _text,
    "yaml": _yaml,
    "console": _console,
    **dict.fromkeys(OTHER_LANGUAGES, _file),
}

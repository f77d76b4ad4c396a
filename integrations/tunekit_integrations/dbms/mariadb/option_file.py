"""Writes the option file that holds the settings under trial, and nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tunekit_integrations.dbms.mariadb.variables import SWITCH

HEAD = "# Written by tunekit and rewritten while it tunes; change nothing here.\n"


def options_text(settings: Mapping[str, str]) -> str:
    """Return the text of an option file; flags of `optimizer_switch` become one line."""
    prefix = f"{SWITCH}_"
    flags = {
        n.removeprefix(prefix): t.lower() for n, t in settings.items() if n.startswith(prefix)
    }
    lines = [f"{n} = {t}" for n, t in settings.items() if not n.startswith(prefix)]
    if flags:
        lines.append(f"{SWITCH} = {','.join(f'{name}={text}' for name, text in flags.items())}")
    return f"{HEAD}[mysqld]\n" + "".join(f"{line}\n" for line in lines)


def read_text(file: Path) -> str:
    """Return a file's text, "" where there is none."""
    return file.read_text(encoding="utf-8") if file.exists() else ""


def write_whole(file: Path, text: str) -> None:
    """Replace a file's text atomically, even if the power fails.

    An empty text deletes the file, as there was none before.

    Raises:
        OSError: it cannot be written.
    """
    if not text:
        file.unlink(missing_ok=True)
        return
    handle, draft = tempfile.mkstemp(prefix=f".{file.name}", dir=file.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(draft, 0o644)  # the server's user reads it
        os.replace(draft, file)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise

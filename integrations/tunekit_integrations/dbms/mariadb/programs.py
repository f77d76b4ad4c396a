"""Finds the programs of MariaDB or MySQL."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.mariadb.variables import parse_version

_PLACES = ("/usr/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/usr/local/mariadb/bin")
_SYSTEMS = {"mariadb": ("mariadbd", "mysqld"), "mysql": ("mysqld",)}


@dataclass(frozen=True, slots=True)
class Programs:
    """A server's programs.

    Attributes:
        system: "mariadb" or "mysql".
        version: such as (10, 11, 19).
        server: the server itself.
        installer: makes a data folder; `None` for MySQL, whose server does that.
    """

    system: str
    version: tuple[int, ...]
    server: Path
    installer: Path | None


def find_programs(system: str, *, folder: Path | None = None) -> Programs:
    """Return the programs of a system.

    Args:
        system: "mariadb" or "mysql".
        folder: with the server's program; else the usual places are searched.

    Raises:
        InvalidArgument: it is not installed.
    """
    places = [folder] if folder else [None, *map(Path, _PLACES)]
    for name in _SYSTEMS[system]:
        for place in places:
            found = shutil.which(name, path=str(place) if place else None)
            programs = _programs(Path(found).resolve()) if found else None
            if programs and programs.system == system:
                return programs
    where = f" in {folder}" if folder else ""
    raise InvalidArgument(
        f"no server program of {system} found{where}; install the package {system}-server, or "
        "give the URL of a server that runs."
    )


@cache
def _programs(server: Path) -> Programs | None:
    try:
        told = subprocess.run(  # noqa: S603 - a server's program, no shell
            [server, "--no-defaults", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    system = "mariadb" if "MariaDB" in told else "mysql"
    version = parse_version(told.partition("Ver ")[2])
    if system == "mysql":
        return Programs(system, version, server, None)
    names = ("mariadb-install-db", "mysql_install_db")
    folders = (server.parent, server.parent.parent / "bin", server.parent.parent / "scripts")
    path = ":".join(map(str, folders))
    installer = next(
        (f for n in names if (f := shutil.which(n, path=path) or shutil.which(n))), None
    )
    return Programs(system, version, server, Path(installer)) if installer else None

"""What stays as it is while a server lives: version, catalogue, defaults, machine, identity."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tunekit_integrations.dbms.catalogue import Catalogue, load_catalogue
from tunekit_integrations.dbms.machine import this_machine
from tunekit_integrations.dbms.mariadb.connection import Address, AutocommitConnection
from tunekit_integrations.dbms.mariadb.variables import (
    defaults_of,
    parse_version,
    read_variables,
)
from tunekit_integrations.dbms.records import FailureKind, Machine, Snapshot, TargetFailure

OLDEST: Mapping[str, tuple[int, ...]] = {"mariadb": (10, 6), "mysql": (8, 0)}
UNKNOWN_DISK_BYTES = 2**34
"""Free disk that is assumed of a server on another machine."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is asked once.

    Attributes:
        system: "mariadb" or "mysql".
        version: such as (10, 11, 19).
        catalogue: of the system.
        defaults: variable -> text of what the server has where nothing sets it.
        machine: what the server may use.
        pid: of the server where it runs on this machine, else `None`.
        identity: tells it from all others.
    """

    system: str
    version: tuple[int, ...]
    catalogue: Catalogue
    defaults: Mapping[str, str]
    machine: Machine
    pid: int | None
    identity: Mapping[str, str]


def ask_facts(
    connection: AutocommitConnection,
    address: Address,
    *,
    ram_bytes: int | None = None,
    cpus: int | None = None,
) -> Facts:
    """Return the facts of a server.

    Raises:
        TargetFailure: it is too old, or on another machine whose size nobody gave.
    """
    ((text,),) = connection.rows("SELECT version()")
    version, system = parse_version(text), "mariadb" if "mariadb" in text.lower() else "mysql"
    if version < OLDEST[system]:
        oldest = ".".join(map(str, OLDEST[system]))
        raise TargetFailure(
            FailureKind.INVALID, f"the server is {system} {text}, expected {oldest} or newer."
        )
    variables = read_variables(connection, is_mysql=system == "mysql")
    folder, pid = Path(variables["datadir"].text), None
    if _is_here(address):
        pid = _pid_in(folder / variables["pid_file"].text)
        machine = this_machine(_reachable(folder), pid=pid, ram_bytes=ram_bytes, cpus=cpus)
    elif ram_bytes and cpus:
        machine = Machine(ram_bytes, cpus, UNKNOWN_DISK_BYTES)
    else:
        raise TargetFailure(
            FailureKind.INVALID,
            f"the server is on another machine, {address.host}, whose size cannot be seen from "
            "here; give ram_bytes= and cpus= of what it may use.",
        )
    names = ("hostname", "datadir", "port", "server_uuid")
    identity = {name: variables[name].text for name in names if name in variables}
    catalogue = load_catalogue(system)
    return Facts(system, version, catalogue, defaults_of(variables), machine, pid, identity)


def check_identity(snapshot: Snapshot, facts: Facts) -> None:
    """Check that a snapshot is of this server.

    Raises:
        TargetFailure: it is of another one.
    """
    if snapshot.system == facts.system and dict(snapshot.identity) == dict(facts.identity):
        return
    raise TargetFailure(
        FailureKind.INVALID,
        f"the snapshot is of {snapshot.system} at {_shown(snapshot.identity)}, and this server is "
        f"{facts.system} at {_shown(facts.identity)}; give the URL of the snapshot's server.",
    )


def _shown(identity: Mapping[str, str]) -> str:
    return f"{identity.get('hostname', '?')}:{identity.get('datadir', '?')}"


def _is_here(address: Address) -> bool:
    return bool(address.socket) or address.host in ("localhost", "127.0.0.1", "::1")


def _pid_in(file: Path) -> int | None:
    try:
        pid = int(file.read_text())
        name = psutil.Process(pid).name()
    except (OSError, ValueError, psutil.Error):
        return None  # of another user, or behind a tunnel
    return pid if name.startswith(("mariadbd", "mysqld")) else None


def _reachable(folder: Path) -> Path:
    """Return the folder, or the first above it that we may look at."""
    return next(f for f in (folder, *folder.parents, Path("/")) if os.access(f, os.X_OK))

"""Asks a running server which one it is, what it was built with, and what it may use."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit_integrations.dbms.machine import this_machine
from tunekit_integrations.dbms.postgresql.server import ForeignServer, Server
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession
from tunekit_integrations.dbms.records import (
    FailureKind,
    Instance,
    Machine,
    Snapshot,
    TargetFailure,
)


@dataclass(frozen=True, slots=True)
class ResourceLimits:
    """What a user lets a server use; `None` for all that there is."""

    ram_bytes: int | None = None
    cpus: int | None = None


def instance_of(session: ReconnectingSession, server: Server, budget: ResourceLimits) -> Instance:
    """Return what is known of a server.

    Raises:
        TargetFailure: it does not answer, or is on another machine and has no budget.
    """
    if isinstance(server, ForeignServer):
        where, identifier = running_identity(session)
        if where:
            server.locate(where, identifier)
    ((number,),) = session.run("SELECT current_setting('server_version_num')::int")
    ((has_jit,),) = session.run("SELECT pg_jit_available()")
    rows = session.run(
        "SELECT value FROM pg_settings, unnest(enumvals) AS value"
        " WHERE name IN ('wal_compression', 'io_method')"
    )
    features = {"jit"} if has_jit else set()
    features |= {str(value) for (value,) in rows} & {"lz4", "zstd", "io_uring"}
    return Instance(
        "postgresql",
        (number // 10000, number % 10000),
        _machine(server, budget),
        features=frozenset(features),
        is_private=server.is_private,
        may_restart=server.may_restart,
    )


def running_identity(session: ReconnectingSession) -> tuple[str, str]:
    """Return the data folder, "" where this role may not see it, and the identifier.

    Raises:
        TargetFailure: the server does not answer.
    """
    ((folder, identifier),) = session.run(
        "SELECT (SELECT setting FROM pg_settings WHERE name = 'data_directory'),"
        " (SELECT system_identifier::text FROM pg_control_system())"
    )
    return str(folder or ""), str(identifier)


def check_owner(snapshot: Snapshot, folder: str, identifier: str) -> None:
    """Check that a snapshot is of a server; a copy has the identifier of its original.

    Args:
        snapshot: to be brought back.
        folder: of the server, "" where it is not known.
        identifier: of the server.

    Raises:
        TargetFailure: it is another server's.
    """
    theirs = snapshot.identity
    is_ours = (
        snapshot.system == "postgresql"
        and theirs.get("system_identifier") == identifier
        and ("" in (folder, theirs["data_directory"]) or theirs["data_directory"] == folder)
    )
    if not is_ours:
        raise TargetFailure(
            FailureKind.INVALID,
            f"the snapshot is of another server ({theirs.get('data_directory')}), not of this "
            f"one ({folder}); give that of this server.",
        )


def _machine(server: Server, budget: ResourceLimits) -> Machine:
    if server.data_folder is not None:
        return this_machine(
            server.data_folder, pid=server.pid, ram_bytes=budget.ram_bytes, cpus=budget.cpus
        )
    if budget.ram_bytes is None or budget.cpus is None:
        raise TargetFailure(
            FailureKind.INVALID,
            "the server is on another machine, or this role may not see where its data are; give "
            "its memory as ram_bytes= and its processors as cpus=.",
        )
    return Machine(budget.ram_bytes, budget.cpus, disk_bytes=budget.ram_bytes)

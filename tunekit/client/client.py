"""Connects a thin worker to a service."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from tunekit.client.leases import Leases
from tunekit.client.spool import Spool, spool_folder
from tunekit.client.study import ServiceStudy
from tunekit.errors import InvalidArgument
from tunekit.identifiers import new_id
from tunekit.storages.http.connection import Connection, quoted
from tunekit.storages.http.urls import split_project, token_for


class Client:
    """A worker's connection to a project of a service; close it, or use it as a context.

    Attributes:
        project: whose studies it reaches.
        worker: name under which it holds trials.
        spool: results that the service does not have yet.
    """

    def __init__(
        self, connection: Connection, project: str | None, spool: Path, lease_s: float
    ) -> None:
        self.http = connection
        self.spool = Spool(spool, connection)
        self.spool.flush()
        caller = connection.request("GET", "/caller").doc
        self.project = project or str(caller["project"])
        self.worker = f"{socket.gethostname()[:60]}/{os.getpid()}/{new_id(4)}"
        self.leases = Leases(lease_s)

    def study(self, name: str) -> ServiceStudy:
        """Return a study of the project.

        Raises:
            UnknownStudy: no study has this name.
        """
        path = f"/projects/{quoted(self.project)}/studies/by-name"
        answer = self.http.request("GET", path, query={"name": name})
        return ServiceStudy(self, answer.doc)

    def flush(self) -> int:
        """Send the results in the spool; return how many are left, because the service is away."""
        return self.spool.flush()

    def close(self) -> None:
        """Stop renewing leases and close the connections."""
        self.leases.close()
        self.http.close()

    def __enter__(self) -> Client:
        """Return the client."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Close it."""
        self.close()


def connect(
    url: str,
    *,
    token: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    lease_s: float = 60.0,
) -> Client:
    """Return a client of the project at `http://host:port/project`.

    Results that an earlier process left in the spool are sent first.

    Args:
        url: without a project, or with a slash at its end, it is the caller's default project.
        token: by default $TUNEKIT_TOKEN, or what `tunekit login` has stored.
        spool: folder that keeps results while the service is away; by default
            `tunekit/spool` in `$XDG_STATE_HOME` or `~/.local/state`.
        lease_s: seconds without a sign of life after which another worker may take a trial.

    Raises:
        InvalidArgument: the URL names no host, or holds a token.
        StorageUnreachable: the service does not answer.
        NotAuthenticated: it refuses the token.
    """
    if not 0.0 < lease_s < float("inf"):
        raise InvalidArgument(f"lease_s={lease_s!r}, expected a number of seconds above 0.")
    base, project = split_project(url)
    connection = Connection(base, token or token_for(base))
    folder = spool_folder() if spool is None else Path(spool)
    return Client(connection, project, folder, float(lease_s))

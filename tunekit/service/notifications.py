"""Tells the replicas of a service on PostgreSQL of each other's changes.

One thread of each replica holds a connection that listens. It also sends: a study that changed
here is announced once for all changes of the last moments, apart from their transactions, because
a NOTIFY inside them would serialise the commits of all studies. A notification only makes waiting
readers faster; they poll in any case, so a lost one costs them a second.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from sqlalchemy import text

from tunekit.storages.sql.database import Database

CHANNEL = "tunekit_changes"
GATHER_S = 0.02
"""Seconds for which changes are gathered into one announcement."""

RECONNECT_S = 5.0
"""Seconds between two tries to listen again after the connection was lost."""

log = logging.getLogger("tunekit.service")


class Notifications:
    """Sends and receives changes of studies between replicas.

    Args:
        database: PostgreSQL; with any other there is one replica, and nothing to do.
        wake: is called with the id of a study that another replica has changed.
    """

    def __init__(self, database: Database, wake: Callable[[int], None]) -> None:
        self._database = database
        self._wake = wake
        self._me = uuid4().hex[:8]
        self._changed: set[int] = set()
        self._ended = threading.Event()
        self._pull: socket.socket | None = None
        self._push: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="tunekit-notify", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        if self._database.dialect == "postgresql":
            self._pull, self._push = socket.socketpair()
            self._thread.start()

    def announce(self, study_id: int) -> None:
        """Tell the other replicas soon that a study has changed; returns at once."""
        if self._push is not None and study_id not in self._changed:
            self._changed.add(study_id)
            self._push.send(b"x")

    def close(self) -> None:
        """Stop listening."""
        self._ended.set()
        if self._push is not None and self._pull is not None:
            self._push.send(b"x")
            self._thread.join()
            self._pull.close()
            self._push.close()
            self._push = None

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with self._database.engine.connect() as connection:
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                    connection.execute(text(f"LISTEN {CHANNEL}"))
                    try:
                        self._serve(connection.connection.driver_connection)
                    finally:
                        connection.invalidate()  # nobody else may get a listening connection
            except Exception as error:  # whatever the driver raises: it listens again
                log.warning("no notifications of other replicas: %s", error)
                self._ended.wait(RECONNECT_S)

    def _serve(self, connection: Any) -> None:
        pull = self._pull
        assert pull is not None
        # The byte that `close` sends may be read together with those of changes.
        while not self._ended.is_set():
            readable, _, _ = select.select([connection, pull], [], [])
            connection.poll()
            while connection.notifies:
                sender, _, study = connection.notifies.pop(0).payload.partition(" ")
                if sender != self._me and study.isdecimal():
                    self._wake(int(study))
            if pull in readable:
                self._ended.wait(GATHER_S)
                pull.recv(4096)
                self._send(connection)

    def _send(self, connection: Any) -> None:
        changed, self._changed = self._changed, set()
        with connection.cursor() as cursor:
            for study_id in changed:
                cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, f"{self._me} {study_id}"))

"""Deletes what has expired, in one replica at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection, delete, func, select

from tunekit.errors import StorageError
from tunekit.service.idempotency import KEPT_S
from tunekit.storages.sql.access_tables import invitations, sessions
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.schema import clock
from tunekit.storages.sql.service_tables import idempotency

EVERY_S = 600.0
LOCK = 0x74756E656B6974 + 1
"""Of PostgreSQL's advisory locks; the number before it is the schema's."""

_EXPIRED = (
    (sessions, sessions.c.expires <= clock()),
    (invitations, invitations.c.expires <= clock()),
    (idempotency, idempotency.c.created < clock() - KEPT_S),
)

log = logging.getLogger("tunekit.service")


class Housekeeping:
    """Deletes expired sessions, invitations and idempotency keys, and lost files.

    Args:
        database: with the tables.
        sweep: deletes files that nothing names; returns their number.
    """

    def __init__(self, database: Database, sweep: Callable[[], int] = lambda: 0) -> None:
        self._database = database
        self._sweep = sweep

    async def run(self) -> None:
        """Clean up now and every ten minutes, until cancelled."""
        while True:
            try:
                count = await run_in_threadpool(self.clean)
                if count:
                    log.info("deleted %d expired rows", count)
                if lost := await run_in_threadpool(self._sweep):
                    log.info("deleted %d files that nothing named", lost)
            except StorageError as error:  # the next round tries again
                log.warning("housekeeping: %s", error)
            await asyncio.sleep(EVERY_S)

    def clean(self) -> int:
        """Delete expired rows; return their number, 0 where another replica is at it."""
        return self._database.write(self._clean)

    def _clean(self, connection: Connection) -> int:
        if self._database.dialect == "postgresql":
            mine = connection.execute(select(func.pg_try_advisory_xact_lock(LOCK))).scalar()
            if not mine:
                return 0
        return sum(connection.execute(delete(t).where(old)).rowcount for t, old in _EXPIRED)

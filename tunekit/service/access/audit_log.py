"""Writes and reads the audit log; nothing changes or deletes what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select

from tunekit.service.access.origin import RequestOrigin
from tunekit.storages.base import Exchange, ExchangeRequest, Pause, Release, Tell
from tunekit.storages.http.oversight_messages import AuditEntry
from tunekit.storages.rows import decoded_mapping, encode
from tunekit.storages.sql.compiled import Cursor
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.oversight_tables import audit

EXCHANGE = "exchange"
"""Action of the entries about asked, told, paused and released trials."""

_ADD = audit.insert()
_KINDS = {Tell: "told", Pause: "paused", Release: "released"}


class AuditLog:
    """The audit log in the database of the studies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        origin: RequestOrigin,
        action: str,
        *,
        project: str = "",
        study_id: int | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Append an entry about a change that has been made."""
        row = _row(origin, action, project, study_id, encode(data or {}))
        self._database.write(lambda c: Cursor(c).insert(_ADD, [row]))

    def page(self, project: str | None, *, before: int | None, limit: int) -> list[AuditEntry]:
        """Return entries of one or all projects, the newest first.

        Args:
            project: name; `None` for all entries, also those outside of projects.
            before: id of the last entry of the page before.
            limit: maximum number of entries.
        """
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if project is not None:
            query = query.where(audit.c.project == project)
        if before is not None:
            query = query.where(audit.c.id < before)
        return [_entry(row) for row in self._database.read(lambda c: c.execute(query).all())]


def note_exchanges(
    cursor: Cursor,
    project: str,
    study_id: int,
    *,
    origins: Sequence[RequestOrigin],
    requests: Sequence[ExchangeRequest],
    answers: Sequence[Exchange | Exception],
) -> None:
    """Append an entry for each exchange that gave a trial away or took one back."""
    rows = [
        _row(origin, EXCHANGE, project, study_id, encode(data))
        for origin, request, answer in zip(origins, requests, answers, strict=True)
        if (data := _numbers(request, answer))
    ]
    if rows:
        cursor.insert(_ADD, rows)


def _numbers(request: ExchangeRequest, answer: Exchange | Exception) -> dict[str, Any]:
    if isinstance(answer, Exception):
        return {}
    found: dict[str, Any] = {}
    for op, status in zip(request.operations, answer.statuses, strict=True):
        if status == "ok" and (kind := _KINDS.get(type(op))):
            found.setdefault(kind, []).append(op.number)
    if answer.leases:
        found["asked"] = [lease.number for lease in answer.leases]
    if found:
        found["worker"] = request.worker
    return found


def _row(
    origin: RequestOrigin, action: str, project: str, study_id: int | None, data: str
) -> dict[str, Any]:
    return {
        "principal": origin.principal,
        "address": origin.address,
        "action": action,
        "project": project,
        "study_id": study_id,
        "data": data,
        "request_id": origin.request_id,
    }


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**{**row._mapping, "data": decoded_mapping(row.data)})

"""Tells who created a study, by the audit log."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from tunekit.storages.sql.database import Database
from tunekit.storages.sql.oversight_tables import audit

CREATED = "create_study"
"""Operation that creates a study, and so the action of its entry."""


class Owners:
    """The accounts that created studies; what is known once is remembered, as it cannot change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, str] = {}

    def of(self, project: str, study_ids: Iterable[int]) -> dict[int, str]:
        """Return id -> account; the text is empty for a study that nobody is known to own."""
        wanted = list(study_ids)
        if missing := [i for i in wanted if i not in self._known]:
            query = select(audit.c.study_id, audit.c.principal).where(
                audit.c.project == project,
                audit.c.action == CREATED,
                audit.c.study_id.in_(missing),
            )
            rows = self._database.read(lambda c: c.execute(query).all())
            self._known |= dict.fromkeys(missing, "") | {r.study_id: r.principal for r in rows}
        return {i: self._known[i] for i in wanted}

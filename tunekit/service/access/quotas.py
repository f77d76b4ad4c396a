"""Counts what projects use, and holds the limits that operators set.

Quotas of running trials and GPUs are counted in the transaction of a claim, under a lock on the
project's row, so that no number of replicas gives out more. Stored bytes are counted once a
minute: what is stored within that minute may go beyond the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tunekit.errors import InvalidArgument, QuotaReached
from tunekit.storages.http.oversight_messages import Quotas, QuotaUse
from tunekit.storages.rows import decoded_mapping
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.oversight_tables import quotas
from tunekit.storages.sql.schema import IS_RUNNING, clock, reports, studies, trials
from tunekit.storages.sql.service_tables import artifacts

KNOWN_S = 5.0
"""Seconds after which a process looks again whether another one has set the quotas."""

COUNTED_S = 60.0
"""Seconds after which stored bytes are counted again."""

_SET = {
    name: insert(quotas).on_conflict_do_update(
        index_elements=["project"],
        set_={c: insert(quotas).excluded[c] for c in ("running", "gpus", "stored_bytes")},
    )
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_ROW_BYTES = 100
"""Of a trial or report besides its texts, about."""


@dataclass(frozen=True, slots=True)
class _Timed:
    value: Any
    until: float


class QuotaBook:
    """Reads, sets and counts the quotas of projects.

    Args:
        database: of the studies.
        now: gives seconds that never go back.
    """

    def __init__(self, database: Database, now: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._now = now
        self._known: dict[str, _Timed] = {}
        self._stored: dict[str, _Timed] = {}

    def of(self, project: str) -> Quotas | None:
        """Return the quotas of a project, `None` if it has none; up to `KNOWN_S` old."""
        known = self._known.get(project)
        if known is None or known.until < self._now():
            found = self._database.read(lambda c: read_quotas(c, project))
            known = self._known[project] = _Timed(found, self._now() + KNOWN_S)
        value: Quotas | None = known.value
        return value

    def set(self, project: str, given: Quotas) -> None:
        """Replace the quotas of a project.

        Raises:
            InvalidArgument: a limit is negative or not finite.
        """
        cells = {"running": given.running, "gpus": given.gpus, "stored_bytes": given.stored_bytes}
        for name, limit in cells.items():
            if limit is not None and not 0 <= limit < 2**31 * (2**32 if name[0] == "s" else 1):
                raise InvalidArgument(
                    f"quota {name}: got {limit}, expected a number from 0, or null for no limit."
                )

        row = {"project": project, **cells}
        self._database.write(lambda c: c.execute(_SET[c.dialect.name], row))
        self._known.pop(project, None)

    def use(self, project: str) -> QuotaUse:
        """Return the quotas of a project and what it uses of them."""
        found = self._database.read(lambda c: read_quotas(c, project)) or Quotas()
        running, gpus = self._database.read(lambda c: running_in(c, project))
        return QuotaUse(found, running, gpus, self.stored_bytes(project))

    def stored_bytes(self, project: str) -> int:
        """Return the bytes of a project's trials, reports and artifacts, up to a minute old."""
        known = self._stored.get(project)
        if known is None or known.until < self._now():
            found = self._database.read(lambda c: _stored_in(c, project))
            known = self._stored[project] = _Timed(found, self._now() + COUNTED_S)
        return int(known.value)

    def refusal_to_store(self, project: str) -> str:
        """Return why a project may not store more, a sentence; empty if it may."""
        limit = (self.of(project) or Quotas()).stored_bytes
        if limit is None or (used := self.stored_bytes(project)) < limit:
            return ""
        return (
            f"project {project!r} stores {used:,} bytes, and its quota is {limit:,}; delete "
            "studies or artifacts, or ask an operator for more (it is counted once a minute)."
        )

    def check_storing(self, project: str) -> None:
        """Check that a project may store more.

        Raises:
            QuotaReached: it may not.
        """
        if reason := self.refusal_to_store(project):
            raise QuotaReached(reason)


def read_quotas(connection: Connection, project: str, *, lock: bool = False) -> Quotas | None:
    """Return the stored quotas of a project, `None` if it has none.

    Args:
        connection: within a transaction that writes, if `lock` is set.
        project: name.
        lock: whether other transactions that lock the same project have to wait for this one.
    """
    query = select(quotas.c.running, quotas.c.gpus, quotas.c.stored_bytes)
    query = query.where(quotas.c.project == project)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None or row == (None, None, None) else Quotas(*row)


def running_in(connection: Connection, project: str) -> tuple[int, float]:
    """Return how many trials of a project hold a lease, and how many GPUs these declare."""
    alive = IS_RUNNING & (trials.c.lease_until > clock())
    rows = connection.execute(
        select(studies.c.attrs, func.count(trials.c.number))
        .join(trials, trials.c.study_id == studies.c.id)
        .where(_in_project(project), alive)
        .group_by(studies.c.id, studies.c.attrs)
    ).all()
    return sum(n for _, n in rows), sum(n * gpus_of(attrs) for attrs, n in rows)


def gpus_of(attrs: str) -> float:
    """Return the GPUs of one trial of a study, as its recipe in the attribute `run` declares."""
    found: Any = decoded_mapping(attrs)
    for key in ("run", "settings", "resources", "gpu"):
        found = found.get(key) if isinstance(found, Mapping) else None
    is_amount = isinstance(found, int | float) and not isinstance(found, bool) and found > 0
    return float(found) if is_amount else 0.0


def _in_project(project: str) -> ColumnElement[bool]:
    prefix = f"{project}/"
    return func.substr(studies.c.name, 1, len(prefix)) == prefix


def _stored_in(connection: Connection, project: str) -> int:
    ids = select(studies.c.id).where(_in_project(project))
    texts = [func.coalesce(func.length(c), 0) for c in trials.c if c.name in _TEXTS]
    sizes = (
        select(func.coalesce(func.sum(sum(texts, start=_ROW_BYTES)), 0)).where(
            trials.c.study_id.in_(ids)
        ),
        select(func.coalesce(func.sum(func.length(reports.c.metrics) + _ROW_BYTES), 0)).where(
            reports.c.study_id.in_(ids)
        ),
        select(func.coalesce(func.sum(artifacts.c.size), 0)).where(artifacts.c.study_id.in_(ids)),
    )
    return sum(int(connection.execute(query).scalar_one()) for query in sizes)


_TEXTS = frozenset({"params", "proposal", "outcome", "user_attrs", "checkpoints"})

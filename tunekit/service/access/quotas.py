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

from sqlalchemy import Connection, Integer, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from tunekit.checks import check_text, check_whole
from tunekit.errors import InvalidArgument, QuotaReached
from tunekit.storages.http.oversight_messages import Quotas, QuotaUse
from tunekit.storages.rows import decoded_mapping, encode
from tunekit.storages.sql.compiled import Cursor
from tunekit.storages.sql.database import Database
from tunekit.storages.sql.oversight_tables import quotas
from tunekit.storages.sql.schema import IS_RUNNING, clock, reports, studies, trials
from tunekit.storages.sql.service_tables import artifacts
from tunekit.storages.sql.statements import STUDY_ATTRS

KNOWN_S = 5.0
"""Seconds after which a process looks again whether another one has set the quotas."""

COUNTED_S = 60.0
"""Seconds after which stored bytes are counted again."""

_LIMITS = [c for c in quotas.c if c.name != "project"]
_SET = {
    name: insert(quotas).on_conflict_do_update(
        index_elements=["project"],
        set_={c.name: insert(quotas).excluded[c.name] for c in _LIMITS},
    )
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}
_QUOTAS = select(*_LIMITS).where(quotas.c.project == bindparam("project"))
_LOCKED = _QUOTAS.with_for_update()
_IDS = select(studies.c.id).where(
    func.substr(studies.c.name, 1, bindparam("length", type_=Integer)) == bindparam("prefix")
)
_RUNNING = (
    select(trials.c.study_id, func.count())
    .where(trials.c.study_id.in_(_IDS), IS_RUNNING, trials.c.lease_until > clock())
    .group_by(trials.c.study_id)
)
MAX_OWNERS = 1000
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
            found = self._database.read(lambda c: read_quotas(Cursor(c), project))
            known = self._known[project] = _Timed(found, self._now() + KNOWN_S)
        value: Quotas | None = known.value
        return value

    def set(self, project: str, given: Quotas) -> None:
        """Replace the quotas of a project.

        Raises:
            InvalidArgument: a limit is negative or not finite, or of no name.
        """
        check_owners(given.owners)
        cells = {"running": given.running, "gpus": given.gpus, "stored_bytes": given.stored_bytes}
        for name, limit in cells.items():
            if limit is not None and not 0 <= limit < 2**31 * (2**32 if name[0] == "s" else 1):
                raise InvalidArgument(
                    f"quota {name}: got {limit}, expected a number from 0, or null for no limit."
                )

        owners = encode(given.owners) if given.owners else None
        row = {"project": project, **cells, "owners": owners}
        self._database.write(lambda c: c.execute(_SET[c.dialect.name], row))
        self._known.pop(project, None)

    def use(self, project: str) -> QuotaUse:
        """Return the quotas of a project and what it uses of them."""
        read = self._database.read
        found = read(lambda c: read_quotas(Cursor(c), project)) or Quotas()
        running, gpus = read(lambda c: running_in(Cursor(c), project, with_gpus=True))
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

    def refusal_to_start(self, project: str) -> str:
        """Return why a project may not start a trial now, a sentence; empty if it may."""
        quotas = self.of(project)
        if quotas is None:
            return ""
        running, gpus = self._database.read(
            lambda c: running_in(Cursor(c), project, with_gpus=quotas.gpus is not None)
        )
        if quotas.running is not None and running >= quotas.running:
            return used_up(project, running, quotas.running, "trials")
        if quotas.gpus is not None and gpus >= quotas.gpus:
            return used_up(project, gpus, quotas.gpus, "GPUs")
        return ""

    def check_storing(self, project: str) -> None:
        """Check that a project may store more.

        Raises:
            QuotaReached: it may not.
        """
        if reason := self.refusal_to_store(project):
            raise QuotaReached(reason)


def used_up(project: str, used: float, quota: float, what: str) -> str:
    """Return why a project gets no further trials, a sentence."""
    return (
        f"project {project!r} uses {used:g} {what} at this time, and its quota is {quota:g}; "
        "further trials start as soon as running ones end."
    )


def read_quotas(cursor: Cursor, project: str, *, lock: bool = False) -> Quotas | None:
    """Return the stored quotas of a project, `None` if it has none.

    Args:
        cursor: in a transaction that writes, if `lock` is set.
        project: name.
        lock: whether other transactions that lock the same project have to wait for this one.
    """
    rows = cursor.rows(_LOCKED if lock else _QUOTAS, {"project": project})
    if not rows or all(cell is None for cell in rows[0]):
        return None
    running, gpus, stored, owners = rows[0]
    return Quotas(running, gpus, stored, {} if owners is None else decoded_mapping(owners))


def owner_quotas(cursor: Cursor, project: str) -> Mapping[str, int]:
    """Return the slots that the jobs of single users of a project hold at most."""
    found = read_quotas(cursor, project)
    return {} if found is None else found.owners


def check_owners(owners: Mapping[str, int]) -> None:
    """Check slots by owner.

    Raises:
        InvalidArgument: there are too many, a name is not a user's, or a number is negative.
    """
    if len(owners) > MAX_OWNERS:
        raise InvalidArgument(f"owners: got {len(owners)}, expected {MAX_OWNERS} or fewer.")
    for owner, slots in owners.items():
        check_text(owner, "owner")
        check_whole(slots, f"quota of owner {owner!r}", low=0, high=2**31 - 1)


def running_in(cursor: Cursor, project: str, *, with_gpus: bool) -> tuple[int, float]:
    """Return how many trials of a project hold a lease, and how many GPUs these declare.

    The GPUs are 0 if they are not asked for.
    """
    prefix = f"{project}/"
    counts = cursor.rows(_RUNNING, {"prefix": prefix, "length": len(prefix)})
    gpus = 0.0
    for study_id, n in counts if with_gpus else ():
        gpus += n * gpus_of(cursor.rows(STUDY_ATTRS, {"study": study_id})[0][0])
    return sum(n for _, n in counts), gpus


def gpus_of(attrs: str) -> float:
    """Return the GPUs of one trial of a study, as its recipe in the attribute `run` declares."""
    found: Any = decoded_mapping(attrs)
    for key in ("run", "settings", "resources", "gpu"):
        found = found.get(key) if isinstance(found, Mapping) else None
    is_amount = isinstance(found, int | float) and not isinstance(found, bool) and found > 0
    return float(found) if is_amount else 0.0


def _stored_in(connection: Connection, project: str) -> int:
    ids, prefix = _IDS, f"{project}/"
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
    known = {"prefix": prefix, "length": len(prefix)}
    return sum(int(connection.execute(query, known).scalar_one()) for query in sizes)


_TEXTS = frozenset({"params", "proposal", "outcome", "user_attrs", "checkpoints"})

"""Finds damage in a database: rows that contradict each other, or cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, func, select

from tunekit.errors import TunekitError
from tunekit.storages.sql.schema import events, reports, spaces, studies, trials
from tunekit.storages.sql.storage import SQLStorage

PAGE = 1000


def problems(storage: SQLStorage) -> Iterator[str]:
    """Yield a sentence about each problem of a database; none if it is sound.

    Checks the file of SQLite, that each study's log is complete and its counts are right, that
    no row belongs to a study that does not exist, and that every record can be read.
    """
    yield from storage.database.read(_of_rows)
    try:
        records = storage.list_studies()
    except TunekitError as error:
        yield error.message
        return
    for record in records:
        try:
            _read_all(storage, record.id)
        except TunekitError as error:
            yield f'study "{record.spec.name}": {error.message}'


def _of_rows(connection: Connection) -> list[str]:
    found = []
    if connection.dialect.name == "sqlite":
        said = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        found += [f"SQLite: {line}" for line in said if line != "ok"]
    for table in (spaces, trials, reports, events):
        alone = select(func.count()).where(table.c.study_id.not_in(select(studies.c.id)))
        if count := connection.execute(alone).scalar():
            found.append(f"{table.name}: {count} rows belong to no study.")
    for study_id, name, seq, n_trials in connection.execute(
        select(studies.c.id, studies.c.name, studies.c.seq, studies.c.n_trials)
    ).all():
        found += [f'study "{name}": {p}' for p in _of_study(connection, study_id, seq, n_trials)]
    return found


def _of_study(connection: Connection, study_id: int, seq: int, n_trials: int) -> Iterator[str]:
    logged, last = _count(connection, study_id, events.c.seq)
    if (logged, last) != (seq, seq):
        yield f"its log has {logged} of {seq} events, up to number {last}."
    stored, last = _count(connection, study_id, trials.c.number)
    if stored != n_trials or (stored and last != n_trials - 1):
        yield f"it has {stored} of {n_trials} trials, up to number {last}."
    if _count(connection, study_id, trials.c.seq)[1] > seq:
        yield "a trial has a later change than the study."
    asked = select(func.count()).where(
        reports.c.study_id == study_id, reports.c.number >= n_trials
    )
    if foreign := connection.execute(asked).scalar():
        yield f"{foreign} reports belong to no trial."


def _count(connection: Connection, study_id: int, column: Column[int]) -> tuple[int, int]:
    """Return the number of a study's rows in the column's table, and its highest value."""
    highest = func.coalesce(func.max(column), 0)
    query = select(func.count(), highest).where(column.table.c.study_id == study_id)
    n, most = connection.execute(query).one()
    return int(n), int(most)


def _read_all(storage: SQLStorage, study_id: int) -> None:
    storage.spaces(study_id)
    cursor, n = 0, PAGE
    while n == PAGE:
        changes = storage.changes(study_id, cursor, PAGE)
        storage.reports(study_id, [t.number for t in changes.trials])
        cursor, n = changes.cursor, len(changes.trials)
    cursor, n = 0, PAGE
    while n == PAGE:
        log = storage.events(study_id, cursor, PAGE)
        cursor, n = (log[-1].seq if log else cursor), len(log)

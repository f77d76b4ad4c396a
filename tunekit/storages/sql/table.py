"""Accesses the rows of one study in a database within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, update

from tunekit.storages.checks import deleted_study
from tunekit.storages.sql.compiled import Cursor
from tunekit.storages.sql.report_queries import report_queries
from tunekit.storages.sql.schema import spaces, studies, trials
from tunekit.storages.sql.statements import (
    ADD_EVENT,
    ADD_REQUEST,
    ADD_TRIAL,
    CHANGES,
    DROP_REPORTS,
    EVENTS,
    EXPIRE,
    FREE,
    LOOK,
    RENEW,
    REQUEST,
    SOME_CHANGES,
    STUDY_ATTRS,
    TAKE,
    TRIAL,
    TRIALS_FROM,
    UPDATES,
    UPSERTS,
)
from tunekit.storages.table import Cells, Row, StudyTableRow, TrialChange

BEFORE_ALL_STEPS = -(2**63)


class SQLTable:
    """Implements `tunekit.storages.table.StudyTable` on a connection."""

    def __init__(self, connection: Connection, study_id: int) -> None:
        self._connection = connection
        self._cursor = Cursor(connection)
        self._study_id = study_id

    @property
    def cursor(self) -> Cursor:
        """Runs statements in the transaction."""
        return self._cursor

    def lock(self, n_events: int, n_new: int = 0) -> StudyTableRow:
        """Lock the study and reserve event and trial numbers."""
        return self._study(TAKE, n_events=n_events, n_new=n_new)

    def look(self) -> StudyTableRow:
        """Return the row without a lock."""
        return self._study(LOOK)

    def _study(self, statement: Any, **bound: Any) -> StudyTableRow:
        rows = self._cursor.rows(statement, {"study": self._study_id, **bound})
        if not rows:
            raise deleted_study(self._study_id)
        study = StudyTableRow(*rows[0])
        self._cursor.grown(study.n_trials)
        return study

    def set_study(self, **cells: Any) -> None:
        """Write cells of the study's row."""
        this = update(studies).where(studies.c.id == self._study_id)
        self._connection.execute(this.values(cells))

    def study_attrs(self) -> str:
        """Return the text of the study's attributes."""
        found = self._connection.execute(STUDY_ATTRS, {"study": self._study_id}).scalar_one()
        return str(found)

    def add_space(self, version: int, text: str) -> None:
        """Append a version of the space."""
        row = {"study_id": self._study_id, "version": version, "space": text}
        self._connection.execute(spaces.insert(), row)

    def change(self, change: TrialChange) -> bool:
        """Apply a transition if it applies; return whether it did."""
        transition, number, cells, seq, now, epoch = change
        bound = {f"to_{column}": value for column, value in cells.items()}
        bound |= {"study": self._study_id, "n": number, "e": epoch, "to_seq": seq, "now": now}
        return self._cursor.change(UPDATES[transition], bound) == 1

    def renew(self, number: int, epoch: int, until: float) -> bool:
        """Extend the lease of a running trial; return whether it is held."""
        bound = {"study": self._study_id, "n": number, "e": epoch, "until": until}
        return self._cursor.change(RENEW, bound) == 1

    def expire(self, number: int, epoch: int) -> None:
        """End the lease of a running trial, if it is held."""
        bound = {"study": self._study_id, "n": number, "e": epoch}
        self._cursor.change(EXPIRE, bound)

    def trial(self, number: int) -> Row | None:
        """Return the row of one trial."""
        rows = self._cursor.mappings(TRIAL, {"study": self._study_id, "n": number})
        return rows[0] if rows else None

    def free(self, key: str, n: int, now: float) -> list[Row]:
        """Return candidates of a claim."""
        asked = {"study": self._study_id, "key": key, "n_wanted": n, "now": now}
        return list(self._cursor.mappings(FREE, asked))

    def changed(self, after: int, limit: int | None = None) -> list[Cells]:
        """Return the trials that changed after the cursor."""
        bound = {"study": self._study_id, "after": after}
        if limit is None:
            return list(self._cursor.rows(CHANGES, bound))
        return list(self._cursor.rows(SOME_CHANGES, bound | {"n": limit}))

    def trials_from(self, first: int, limit: int) -> list[Cells]:
        """Return trials by number, from the first one on."""
        bound = {"study": self._study_id, "first": first, "n": limit}
        return list(self._cursor.rows(TRIALS_FROM, bound))

    def reports(
        self, numbers: Sequence[int] | None, after_step: Mapping[int, int], limit: int | None
    ) -> list[tuple[int, int, str]]:
        """Return number, step and metrics of reports, by number and step."""
        rows: list[tuple[int, int, str]] = []
        for query in report_queries(self._study_id, numbers, after_step):
            some = query if limit is None else query.limit(limit - len(rows))
            rows += [tuple(r) for r in self._connection.execute(some).all()]
            if len(rows) == limit:
                break
        return rows

    def events(self, after: int, limit: int) -> list[Cells]:
        """Return the log after the cursor."""
        bound = {"study": self._study_id, "after": after, "n": limit}
        return list(self._cursor.rows(EVENTS, bound))

    def add_trials(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append trials."""
        self._cursor.insert(ADD_TRIAL, rows)

    def set_trial(self, number: int, **cells: Any) -> None:
        """Write cells of a trial."""
        this = (trials.c.study_id == self._study_id) & (trials.c.number == number)
        self._connection.execute(update(trials).where(this).values(cells))

    def write_reports(self, number: int, texts: Mapping[int, str]) -> None:
        """Write the metrics of steps; a step that is there is replaced."""
        self.add_reports({number: texts})

    def add_reports(self, texts: Mapping[int, Mapping[int, str]]) -> None:
        """Write the metrics of steps of many trials, by number."""
        rows = [
            {"study_id": self._study_id, "number": number, "step": step, "metrics": metrics}
            for number, steps in texts.items()
            for step, metrics in steps.items()
        ]
        if rows:
            self._cursor.insert(UPSERTS[self._connection.dialect.name], rows)

    def drop_reports(self, number: int, after_step: int | None) -> None:
        """Delete the reports after a step, or all of them."""
        step = BEFORE_ALL_STEPS if after_step is None else after_step
        self._cursor.change(DROP_REPORTS, {"study": self._study_id, "n": number, "step": step})

    def add_events(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append events."""
        self._cursor.insert(ADD_EVENT, rows)

    def request(self, key: str) -> str | None:
        """Return the recorded answer of a request."""
        asked = {"study": self._study_id, "key": key}
        answer: str | None = self._connection.execute(REQUEST, asked).scalar()
        return answer

    def add_request(self, key: str, answer: str) -> None:
        """Record the answer of a request."""
        row = {"study_id": self._study_id, "key": key, "answer": answer}
        self._connection.execute(ADD_REQUEST, row)

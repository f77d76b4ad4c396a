"""Lets several exchanges of one transaction share the study's row and their insertions.

Each exchange by itself locks the row, appends trials and events, and gives unused numbers back.
For a batch that is one lock and one insertion of all trials and events at its end, or before
something has to see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tunekit.storages.base import ExchangeRequest
from tunekit.storages.operations import Changing
from tunekit.storages.table import Cells, Row, StudyTable, StudyTableRow, TrialChange


class BatchTable:
    """The table of a study for the exchanges of one transaction; `flush` ends it.

    Args:
        table: of the study.
        requests: exchanges that it serves.
    """

    def __init__(self, table: StudyTable, requests: Sequence[ExchangeRequest]) -> None:
        self.table = table
        self._n_new = sum(r.claim.n for r in requests if r.claim is not None)
        n_changes = sum(isinstance(op, Changing) for r in requests for op in r.operations)
        self._n_events = n_changes + self._n_new
        self._locked: StudyTableRow | None = None
        self._counters = (0, 0)
        self._trials: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._unwritten: set[int] = set()
        self._keys: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    def lock(self, n_events: int, n_new: int = 0) -> StudyTableRow:
        """Reserve numbers of those that the first lock has reserved for all."""
        if self._locked is None:
            self._locked = self.table.lock(self._n_events, self._n_new)
            self._counters = (
                self._locked.seq - self._n_events, self._locked.n_trials - self._n_new
            )  # fmt: skip
        seq, n_trials = self._counters
        self._counters = seq + n_events, n_trials + n_new
        return self._row(self._locked)

    def look(self) -> StudyTableRow:
        """Return the row, as it is within this batch."""
        return self.table.look() if self._locked is None else self._row(self._locked)

    def set_study(self, **cells: Any) -> None:
        """Keep the counters for the end of the batch."""
        assert set(cells) == {"seq", "n_trials"}, "an exchange changes nothing else"
        self._counters = cells["seq"], cells["n_trials"]

    def add_trials(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append trials at the end of the batch."""
        self._trials += rows
        self._unwritten.update(row["number"] for row in rows)
        self._keys.update(row["claim_key"] for row in rows)

    def add_events(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append events at the end of the batch."""
        self._events += rows

    def change(self, change: TrialChange) -> bool:
        """Apply a transition if its conditions hold; return whether they did."""
        self._write(change.number)
        return self.table.change(change)

    def renew(self, number: int, epoch: int, until: float) -> bool:
        """Extend the lease of a running trial; return whether it is held."""
        self._write(number)
        return self.table.renew(number, epoch, until)

    def trial(self, number: int) -> Row | None:
        """Return cells of a trial."""
        self._write(number)
        return self.table.trial(number)

    def free(self, key: str, n: int, now: float) -> list[Row]:
        """Return the candidates of a claim."""
        if key in self._keys:
            self._write_trials()
        return self.table.free(key, n, now)

    def changed(self, after: int, limit: int | None = None) -> list[Cells]:
        """Return the trials that changed after the cursor."""
        self._write_trials()
        self._write_events()
        return self.table.changed(after, limit)

    def flush(self) -> None:
        """Write what was kept, so that everybody sees it in this transaction."""
        self._write_trials()
        self._write_events()
        if self._locked is not None:
            seq, n_trials = self._counters
            if (seq, n_trials) != (self._locked.seq, self._locked.n_trials):
                self.table.set_study(seq=seq, n_trials=n_trials)

    def written(self) -> StudyTable:
        """Return the table itself, in which all trials of the batch so far are written."""
        self._write_trials()
        return self.table

    def _row(self, locked: StudyTableRow) -> StudyTableRow:
        seq, n_trials = self._counters
        return replace(locked, seq=seq, n_trials=n_trials)

    def _write(self, number: int) -> None:
        if number in self._unwritten:
            self._write_trials()

    def _write_trials(self) -> None:
        if self._trials:
            self.table.add_trials(self._trials)
            self._trials = []
            self._unwritten.clear()
            self._keys.clear()

    def _write_events(self) -> None:
        if self._events:
            self.table.add_events(self._events)
            self._events = []

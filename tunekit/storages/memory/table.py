"""Holds the rows of one study in memory, with the cells that a database would store."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from typing import Any

from tunekit.records import StudyRecord, StudySpec, StudyState, TrialState
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_from_dict
from tunekit.storages.rows import (
    TRIAL_COLUMNS,
    decode,
    encode,
    normal,
    spec_fields,
)
from tunekit.storages.table import Cells, Row, StudyTableRow, TrialChange
from tunekit.storages.transitions import TRANSITIONS, Transition

_RUNNING = str(TrialState.RUNNING)
_SOURCES = {t: frozenset(map(str, t.sources)) for t in TRANSITIONS}
_cells_of = itemgetter(*TRIAL_COLUMNS)
_event_cells_of = itemgetter("seq", "kind", "number", "at", "data")
_QUEUED = (str(TrialState.WAITING), str(TrialState.PREEMPTED))


class MemoryTable:
    """Implements `StudyTable` on dictionaries; `MemoryStorage` holds its lock."""

    def __init__(self, study_id: int, spec: StudySpec) -> None:
        self.id = study_id
        self._spec = replace(
            spec,
            sampler_options=normal(spec.sampler_options),
            stopper_options=normal(spec.stopper_options),
        )
        self._study: dict[str, Any] = {
            "seq": 0,
            "n_trials": 0,
            "state": str(StudyState.ACTIVE),
            "space_version": 0 if spec.space is None else 1,
            "attrs": encode(spec.attrs),
        }
        self._created = time.time()
        self.spaces: dict[int, Space] = {1: spec.space} if spec.space is not None else {}
        self._trials: dict[int, dict[str, Any]] = {}
        self._reports: dict[int, dict[int, str]] = {}
        self._events: list[dict[str, Any]] = []
        self._requests: dict[str, str] = {}
        self._queue: list[int] = []  # a heap, possibly with numbers that no longer wait
        self._running: set[int] = set()
        self._claims: dict[str, list[int]] = {}

    @property
    def name(self) -> str:
        """Return the name of the study."""
        return self._spec.name

    # Interface of the rules

    def lock(self, n_events: int, n_new: int = 0) -> StudyTableRow:
        """Reserve event and trial numbers."""
        self._study["seq"] += n_events
        self._study["n_trials"] += n_new
        return self.look()

    def look(self) -> StudyTableRow:
        """Return where the study stands."""
        s = self._study
        retries = self._spec.max_retries
        place = s["seq"], s["n_trials"], s["state"], s["space_version"]
        return StudyTableRow(*place, retries, time.time())

    def set_study(self, **cells: Any) -> None:
        """Write cells of the study's row."""
        if "spec" in cells:
            self._spec = replace(self._spec, **spec_fields(cells.pop("spec")))
        if "name" in cells:
            self._spec = replace(self._spec, name=cells.pop("name"))
        self._study |= cells

    def study_attrs(self) -> str:
        """Return the text of the study's attributes."""
        return str(self._study["attrs"])

    def add_space(self, version: int, text: str) -> None:
        """Append a version of the space."""
        self.spaces[version] = space_from_dict(decode(text))

    def change(self, change: TrialChange) -> bool:
        """Apply a transition if it applies; return whether it did."""
        transition, number, cells, seq, now, epoch = change
        row = self._trials.get(number)
        if row is None or not _applies(transition, row, cells, now=now, epoch=epoch):
            return False
        row["seq"] = seq
        for column in transition.counts:
            row[column] += 1
        if transition.restarts:
            is_whole = row["params"] is not None and not row["is_partial"]
            row["started"] = now if is_whole else None
        for column in transition.offers:
            if cells[column] is not None:
                row |= {column: cells[column], "is_partial": False}
        row |= {column: cells[column] for column in transition.sets}
        row |= dict.fromkeys(transition.clears)
        row |= dict.fromkeys(transition.stamps, now)
        if transition.target is not None:
            row["state"] = str(transition.target)
        self._index(row)
        return True

    def renew(self, number: int, epoch: int, until: float) -> bool:
        """Extend the lease of a running trial; return whether it is held."""
        row = self._trials.get(number)
        if row is None or row["state"] != _RUNNING or row["epoch"] != epoch:
            return False
        row["lease_until"] = until
        return True

    def expire(self, number: int, epoch: int) -> None:
        """End the lease of a running trial, if it is held."""
        self.renew(number, epoch, 0.0)

    def trial(self, number: int) -> Row | None:
        """Return the row of one trial."""
        return self._trials.get(number)

    def free(self, key: str, n: int, now: float) -> list[Row]:
        """Return candidates of a claim."""
        mine = [self._trials[i] for i in self._claims.get(key, ())]
        found: list[Row] = [row for row in mine if row["claim_key"] == key]
        found += islice(self._queued(), n)
        running = (self._trials[i] for i in sorted(self._running))
        found += [row for row in running if row["lease_until"] <= now]
        return [dict(row) for row in found]  # copies, because a claim changes the rows

    def _queued(self) -> Iterator[Row]:
        """Yield the trials waiting for a worker, by number."""
        seen: list[int] = []
        try:
            while self._queue:
                number = heapq.heappop(self._queue)
                if self._trials[number]["state"] in _QUEUED and number not in seen[-1:]:
                    seen.append(number)
                    yield self._trials[number]
        finally:
            for number in seen:
                heapq.heappush(self._queue, number)

    def changed(self, after: int, limit: int | None = None) -> list[Cells]:
        """Return the trials that changed after the cursor."""
        return [_cells_of(row) for row in islice(self._changed(after), limit)]

    def _changed(self, after: int) -> Iterator[Row]:
        # Event number s has position s - 1, so the log serves as the index of changes.
        for position in range(after, len(self._events)):
            event = self._events[position]
            row = self._trials.get(event["number"])
            if row is not None and row["seq"] == event["seq"]:
                yield row

    def add_trials(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append trials."""
        for row in rows:
            self._trials[row["number"]] = dict.fromkeys(TRIAL_COLUMNS) | {"tell_key": None} | row
            self._index(self._trials[row["number"]])

    def set_trial(self, number: int, **cells: Any) -> None:
        """Write cells of a trial."""
        self._trials[number] |= cells

    def write_reports(self, number: int, texts: Mapping[int, str]) -> None:
        """Write the metrics of steps; a step that is there is replaced."""
        self._reports.setdefault(number, {}).update(texts)

    def add_reports(self, texts: Mapping[int, Mapping[int, str]]) -> None:
        """Write the metrics of steps of many trials, by number."""
        for number, steps in texts.items():
            self.write_reports(number, steps)

    def drop_reports(self, number: int, after_step: int | None) -> None:
        """Delete the reports after a step, or all of them."""
        kept = self._reports.pop(number, {})
        if after_step is not None:
            self._reports[number] = {s: t for s, t in kept.items() if s <= after_step}

    def add_events(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append events."""
        self._events += rows

    def request(self, key: str) -> str | None:
        """Return the recorded answer of a request."""
        return self._requests.get(key)

    def add_request(self, key: str, answer: str) -> None:
        """Record the answer of a request."""
        self._requests[key] = answer

    def _index(self, row: Mapping[str, Any]) -> None:
        """Update the indexes after a trial's state has changed."""
        number, state = row["number"], row["state"]
        if state in _QUEUED:
            heapq.heappush(self._queue, number)
        if state == _RUNNING:
            self._running.add(number)
            self._claims.setdefault(row["claim_key"], []).append(number)
        else:
            self._running.discard(number)

    # Interface of readers

    def record(self) -> StudyRecord:
        """Return the current state of the study."""
        s = self._study
        space = self.spaces.get(s["space_version"])
        spec = replace(self._spec, attrs=decode(s["attrs"]), space=space)
        state = StudyState(s["state"])
        place = s["seq"], s["n_trials"], s["space_version"], self._created
        return StudyRecord(self.id, spec, state, *place)

    def reports(
        self, numbers: Sequence[int] | None, after_step: Mapping[int, int], limit: int | None
    ) -> list[tuple[int, int, str]]:
        """Return number, step and metrics of reports, by number and step."""
        asked = sorted(self._reports) if numbers is None else sorted(set(numbers))
        rows = (
            (number, step, text)
            for number in asked
            for step, text in sorted(self._reports.get(number, {}).items())
            if number not in after_step or step > after_step[number]
        )
        return list(islice(rows, limit))

    def events(self, after: int, limit: int) -> list[Cells]:
        """Return the log after the cursor."""
        return [_event_cells_of(event) for event in self._events[after : after + limit]]


def _applies(
    transition: Transition,
    row: Mapping[str, Any],
    cells: Mapping[str, Any],
    *,
    now: float,
    epoch: int | None,
) -> bool:
    """Return whether a transition applies to a trial."""
    if row["state"] not in _SOURCES[transition]:
        return False
    if transition.fenced and row["epoch"] != epoch:
        return False
    if transition.expired and row["lease_until"] > now:
        return False
    differs = any(row[column] != cells[column] for column in transition.changes)
    return differs or not transition.changes

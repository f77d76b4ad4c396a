"""Edits of a study outside any lease: its state, attributes, space, queue and single trials.

Each method runs inside one transaction and takes the event numbers it needs. Checks come after
the lock and before the first change, so that a refused call changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tunekit.records import FIRST_NAME, Branch
from tunekit.storages.base import EventKind
from tunekit.storages.checks import goal_conflict, promoted_reason, space_conflict, unknown_trial
from tunekit.storages.exchange import merge_attrs
from tunekit.storages.rows import branch_text, decode, decoded_mapping, encode
from tunekit.storages.table import StudyTable, StudyTableRow, TrialChange, event_row, trial_row
from tunekit.storages.transitions import CANCEL, PROMOTE

Curves: TypeAlias = Mapping[int, Mapping[int, str]]


class StudyEdits:
    """Edits one study inside one transaction."""

    def __init__(self, table: StudyTable, study_id: int) -> None:
        self._table = table
        self._study_id = study_id

    def set_state(self, state: str) -> None:
        """Set the requested state of the workers; an unchanged state adds no event."""
        study = self._table.lock(1)
        if study.state == state:
            self._table.set_study(seq=study.seq - 1)
            return
        self._table.set_study(state=state)
        self._note(study, "study", None, {"state": state})

    def rename(self, before: str, name: str) -> None:
        """Give the study another name, and keep its first one as an attribute."""
        study = self._table.lock(1)
        attrs = {FIRST_NAME: before, **decoded_mapping(self._table.study_attrs())}
        self._table.set_study(name=name, attrs=encode(attrs))
        self._note(study, "study", None, {"name": name})

    def set_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        study = self._table.lock(1)
        before = decoded_mapping(self._table.study_attrs())
        self._table.set_study(attrs=encode({**before, **attrs}))
        self._note(study, "attrs", None, {})

    def set_goal(self, spec: str, expected_seq: int) -> None:
        """Replace the stored spec, in which only objectives and constraints may differ."""
        study = self._table.lock(1)
        if study.seq - 1 != expected_seq:
            raise goal_conflict(expected_seq, study.seq - 1)
        self._table.set_study(spec=spec)
        self._note(study, "study", None, {"goal": True})

    def set_space(self, text: str, expected_version: int) -> int:
        """Append a version of the space and return its number, or raise `TrialConflict`."""
        study = self._table.lock(1)
        if study.space_version != expected_version:
            raise space_conflict(expected_version, study.space_version)
        version = expected_version + 1
        self._table.add_space(version, text)
        self._table.set_study(space_version=version)
        self._note(study, "space", None, {"version": version})
        return version

    def enqueue(
        self, points: Sequence[str], user_attrs: str | None, branch: Branch | None, key: str | None
    ) -> list[int]:
        """Append WAITING trials for encoded points; return their numbers."""
        study = self._table.lock(len(points), len(points))
        if (known := self._answered(key, study, len(points))) is not None:
            return known
        first_seq, first = study.seq - len(points) + 1, study.n_trials - len(points)
        cells = {"user_attrs": user_attrs, "is_partial": True, "branch": branch_text(branch)}
        trials, events = [], []
        for i, text in enumerate(points):
            number, seq = first + i, first_seq + i
            row = trial_row(self._study_id, number, seq, study.now, params=text, **cells)
            trials.append(row)
            events.append(event_row(self._study_id, seq, "enqueued", number, study.now, None))
        self._table.add_trials(trials)
        self._table.add_events(events)
        numbers = list(range(first, study.n_trials))
        self._answer(key, numbers)
        return numbers

    def add(
        self,
        cells: Sequence[Mapping[str, Any]],
        created: Sequence[float],
        curves: Curves,
        key: str | None,
    ) -> list[int]:
        """Append trials that ran elsewhere; return their numbers.

        Args:
            cells: cells of the trials, as returned by `rows.added_cells`.
            created: seconds since 1970; 0 means now.
            curves: position of a trial -> step -> its encoded metrics.
            key: of the request.
        """
        study = self._table.lock(len(cells), len(cells))
        if (known := self._answered(key, study, len(cells))) is not None:
            return known
        first_seq, first = study.seq - len(cells) + 1, study.n_trials - len(cells)
        trials, events = [], []
        for i, (row, made) in enumerate(zip(cells, created, strict=True)):
            seq, now = first_seq + i, made or study.now
            trials.append(trial_row(self._study_id, first + i, seq, now, **row))
            events.append(event_row(self._study_id, seq, "added", first + i, study.now, None))
        self._table.add_trials(trials)
        self._table.add_events(events)
        self._table.add_reports({first + i: texts for i, texts in curves.items()})
        numbers = list(range(first, study.n_trials))
        self._answer(key, numbers)
        return numbers

    def _answered(self, key: str | None, study: StudyTableRow, n_new: int) -> list[int] | None:
        """Return the answer to an earlier request with the key, giving back what was reserved."""
        known = None if key is None else self._table.request(key)
        if known is None:
            return None
        self._table.set_study(seq=study.seq - n_new, n_trials=study.n_trials - n_new)
        return list(decode(known))

    def _answer(self, key: str | None, numbers: Sequence[int]) -> None:
        if key is not None:
            self._table.add_request(key, encode(list(numbers)))

    def promote(self, reasons: Mapping[int, str]) -> list[int]:
        """Queue the paused ones of these trials for a worker; return their numbers."""
        study = self._table.lock(len(reasons))
        for number in reasons:
            _check_number(number, study)
        seq, promoted = study.seq - len(reasons), []
        for number, reason in reasons.items():
            cells = {"outcome": encode({"reason": promoted_reason(reason)})}
            if self._table.change(TrialChange(PROMOTE, number, cells, seq + 1, study.now)):
                seq += 1
                promoted.append(number)
                self._note(study, "promoted", number, {"reason": reason}, seq=seq)
        if seq != study.seq:
            self._table.set_study(seq=seq)
        return promoted

    def cancel(self, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; return whether it was unfinished."""
        study = self._table.lock(1)
        _check_number(number, study)
        cells = {"outcome": encode({"reason": reason})}
        if not self._table.change(TrialChange(CANCEL, number, cells, study.seq, study.now)):
            self._table.set_study(seq=study.seq - 1)
            return False
        self._note(study, "told", number, {"state": "cancelled"})
        return True

    def set_trial_attrs(self, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes."""
        study = self._table.lock(1)
        _check_number(number, study)
        merge_attrs(self._table, number, attrs)
        self._table.set_trial(number, seq=study.seq)
        self._note(study, "attrs", number, {})

    def _note(
        self,
        study: StudyTableRow,
        kind: EventKind,
        number: int | None,
        data: Mapping[str, Any],
        *,
        seq: int | None = None,
    ) -> None:
        taken = study.seq if seq is None else seq
        row = event_row(self._study_id, taken, kind, number, study.now, encode(data))
        self._table.add_events([row])


def _check_number(number: int, study: StudyTableRow) -> None:
    if not 0 <= number < study.n_trials:
        raise unknown_trial(number, study.n_trials)

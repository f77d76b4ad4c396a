"""Checks what all storages are asked for before it goes to a database or over a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tunekit.records import Branch, Report, TrialRecord
from tunekit.storages.base import Changes, Claim, Event, Exchange, ExchangeRequest, Operation
from tunekit.storages.checks import (
    check_added,
    check_exchange,
    check_key,
    check_page,
    check_points,
)
from tunekit.storages.http.messages import Enqueue

Curves: TypeAlias = Mapping[int, Sequence[Report]]
"""Reports by trial number, to be stored."""
Reports: TypeAlias = dict[int, tuple[Report, ...]]
"""Stored reports by trial number."""
Steps: TypeAlias = Mapping[int, int]
"""The last step that a reader has, by trial number."""


class CheckedStorage(ABC):
    """Validates writes and reads of a study; a storage defines what is done with valid ones."""

    def enqueue(
        self,
        study_id: int,
        points: Sequence[Mapping[str, Any]],
        *,
        user_attrs: Mapping[str, Any],
        branch: Branch | None = None,
        key: str | None = None,
    ) -> list[int]:
        """Append WAITING trials with the given (maybe partial) params; return their numbers."""
        check_points(points)
        check_key(key)
        given = Enqueue(tuple(points), user_attrs, branch)
        return self._enqueue(study_id, given, key) if points else []

    @abstractmethod
    def _enqueue(self, study_id: int, given: Enqueue, key: str | None) -> list[int]: ...

    def add_trials(
        self,
        study_id: int,
        trials: Sequence[TrialRecord],
        reports: Curves,
        *,
        key: str | None = None,
    ) -> list[int]:
        """Append trials that ran elsewhere, unchanged; return their numbers here."""
        check_added(trials, reports)
        check_key(key)
        return self._add(study_id, trials, reports, key) if trials else []

    @abstractmethod
    def _add(
        self, study_id: int, trials: Sequence[TrialRecord], reports: Curves, key: str | None
    ) -> list[int]: ...

    def exchange(
        self,
        study_id: int,
        worker: str,
        operations: Sequence[Operation] = (),
        *,
        claim: Claim | None = None,
        lease_s: float = 60.0,
        after: int | None = None,
    ) -> Exchange:
        """Apply operations in order, then claim, all in one transaction."""
        request = ExchangeRequest(worker, tuple(operations), claim, lease_s, after)
        check_exchange(request)
        return self._exchange(study_id, request)

    @abstractmethod
    def _exchange(self, study_id: int, request: ExchangeRequest) -> Exchange: ...

    def changes(self, study_id: int, after: int = 0, limit: int | None = None) -> Changes:
        """Return the trials that changed after the cursor, at most `limit` of them."""
        check_page(after, limit)
        return self._changes(study_id, after, limit)

    @abstractmethod
    def _changes(self, study_id: int, after: int, limit: int | None) -> Changes: ...

    def reports(
        self,
        study_id: int,
        numbers: Sequence[int] | None = None,
        *,
        after_step: Mapping[int, int] | None = None,
        limit: int | None = None,
    ) -> Reports:
        """Return reports by trial number, in order of step; by default of all trials."""
        check_page(0, limit)
        return self._reports(study_id, numbers, after_step or {}, limit)

    @abstractmethod
    def _reports(
        self, study_id: int, numbers: Sequence[int] | None, after: Steps, limit: int | None
    ) -> Reports: ...

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor, in order, at most `limit` entries."""
        check_page(after, limit)
        return self._events(study_id, after, limit)

    @abstractmethod
    def _events(self, study_id: int, after: int, limit: int) -> list[Event]: ...

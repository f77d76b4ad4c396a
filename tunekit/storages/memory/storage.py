"""Studies in the memory of this process: for tests, benchmarks and one-off runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.records import Branch, Report, StudyRecord, StudySpec, StudyState
from tunekit.spaces import Space
from tunekit.storages.base import Changes, Claim, Event, Exchange, Operation
from tunekit.storages.checks import (
    check_exchange,
    check_points,
    check_spec,
    deleted_study,
    study_exists,
    unknown_study,
)
from tunekit.storages.codec import written
from tunekit.storages.memory.study import MemoryStudy


class MemoryStorage:
    """Keeps the rules of `tunekit.storages.base` under one lock; safe to use from threads."""

    url = "memory://"

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._studies: dict[int, MemoryStudy] = {}
        self._last_id = 0

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """Create a study, or raise `StudyExists`."""
        check_spec(spec)
        with self._lock:
            if any(s.spec.name == spec.name for s in self._studies.values()):
                raise study_exists(spec.name)
            study = MemoryStudy(self._last_id + 1, spec)
            self._last_id = study.id
            self._studies[study.id] = study
            return study.record()

    def get_study(self, name: str) -> StudyRecord:
        """Return the study as it stands now, or raise `UnknownStudy`."""
        with self._lock:
            return self._named(name).record()

    def list_studies(self) -> list[StudyRecord]:
        """Return all studies by name."""
        with self._lock:
            return sorted((s.record() for s in self._studies.values()), key=lambda r: r.spec.name)

    def delete_study(self, name: str) -> None:
        """Delete a study with its trials, or raise `UnknownStudy`."""
        with self._lock:
            del self._studies[self._named(name).id]

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to go on, pause, stop or cancel."""
        with self._lock:
            self._study(study_id).set_state(StudyState(state))

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        with self._lock:
            self._study(study_id).set_attrs(attrs)

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space, or raise `TrialConflict`; return its number."""
        with self._lock:
            return self._study(study_id).set_space(space, expected_version)

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space by number; empty before one is known."""
        with self._lock:
            return dict(self._study(study_id).spaces)

    def enqueue(
        self,
        study_id: int,
        points: Sequence[Mapping[str, Any]],
        *,
        user_attrs: Mapping[str, Any],
        branch: Branch | None = None,
    ) -> list[int]:
        """Append WAITING trials with the given (maybe partial) params; return their numbers."""
        check_points(points)
        with self._lock:
            return self._study(study_id).enqueue(points, user_attrs, branch)

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Let paused trials wait for a worker again; return their numbers."""
        with self._lock:
            return self._study(study_id).promote(reasons)

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes, or raise `UnknownTrial`."""
        with self._lock:
            self._study(study_id).set_trial_attrs(number, attrs)

    def cancel_trial(self, study_id: int, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; return whether it was unfinished."""
        with self._lock:
            return self._study(study_id).cancel(number, reason)

    def exchange(
        self,
        study_id: int,
        worker: str,
        operations: Sequence[Operation] = (),
        *,
        claim: Claim | None = None,
        lease_s: float = 60.0,
    ) -> Exchange:
        """Apply operations in order, then claim, as one step that no other thread sees half."""
        check_exchange(worker, operations, claim, lease_s)
        for op in operations:
            written(op)  # refuses what no database could hold
        with self._lock:
            study = self._study(study_id)
            statuses = tuple([study.apply(op, lease_s) for op in operations])
            leases = study.claim(claim, worker, lease_s) if claim and claim.n else ()
            return Exchange(statuses, tuple(leases), study.state, len(study.spaces))

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """End the leases `(number, epoch)` now; for workers that are known to be dead."""
        with self._lock:
            self._study(study_id).expire(leases)

    def changes(self, study_id: int, after: int = 0) -> Changes:
        """Return every trial that changed after the cursor."""
        with self._lock:
            return self._study(study_id).changes(after)

    def reports(
        self, study_id: int, numbers: Sequence[int] | None = None
    ) -> dict[int, tuple[Report, ...]]:
        """Return reports by trial number, in order of step; of all trials if none are named."""
        with self._lock:
            trials = self._study(study_id).trials
            asked = range(len(trials)) if numbers is None else numbers
            return {
                n: tuple(r for _, r in sorted(trials[n].reports.items()))
                for n in asked
                if 0 <= n < len(trials) and trials[n].reports
            }

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor, in order, at most `limit` entries."""
        with self._lock:
            return self._study(study_id).log[after : after + limit]

    def close(self) -> None:
        """Keep everything: this storage lives as long as the object."""

    def _study(self, study_id: int) -> MemoryStudy:
        study = self._studies.get(study_id)
        if study is None:
            raise deleted_study(study_id)
        return study

    def _named(self, name: str) -> MemoryStudy:
        for study in self._studies.values():
            if study.spec.name == name:
                return study
        raise unknown_study(name, [s.spec.name for s in self._studies.values()])

"""Restricts a storage to the studies of one project, so that projects can reuse names.

A project is the part of a stored name before the slash: study `digits` of project `vision` is
stored as `vision/digits`. Every storage thus supports projects; without a project it shows the
full names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

from tunekit.checks import check_text
from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
from tunekit.records import Branch, Report, StudyRecord, StudySpec, StudyState, TrialRecord
from tunekit.spaces import Space
from tunekit.storages.base import (
    Changes,
    Claim,
    Event,
    Exchange,
    ExchangeRequest,
    Operation,
    Storage,
)
from tunekit.storages.checks import deleted_study, study_exists, unknown_study


class ProjectStorage:
    """Shows only one project's studies of a storage.

    Args:
        storage: storage of all projects.
        project: 1 to 64 printable characters without a slash.

    Raises:
        InvalidArgument: `project` has another form.
    """

    def __init__(self, storage: Storage, project: str) -> None:
        check_text(project, "project")
        if "/" in project or len(project) > 64:
            raise InvalidArgument(
                f"project: got {project!r}, expected 1 to 64 characters without a slash."
            )
        self._storage = storage
        self._prefix = f"{project}/"
        self._ours: set[int] = set()
        self.project = project
        mark = "&" if "?" in storage.url else "?"
        self.url = f"{storage.url}{mark}project={quote_plus(project)}"

    def create_study(self, spec: StudySpec, *, key: str | None = None) -> StudyRecord:
        """Create a study of the project, or raise `StudyExists`."""
        check_text(spec.name, "study name")
        full = replace(spec, name=self._prefix + spec.name)
        try:
            return self._shown(self._storage.create_study(full, key=key))
        except StudyExists:
            raise study_exists(spec.name) from None

    def get_study(self, name: str) -> StudyRecord:
        """Return a study of the project, or raise `UnknownStudy`."""
        try:
            return self._shown(self._storage.get_study(self._prefix + name))
        except UnknownStudy:
            raise self._unknown(name) from None

    def list_studies(self) -> list[StudyRecord]:
        """Return the studies of the project by name."""
        found = self._storage.list_studies()
        return [self._shown(r) for r in found if r.spec.name.startswith(self._prefix)]

    def delete_study(self, name: str) -> None:
        """Delete a study of the project, or raise `UnknownStudy`."""
        try:
            self._storage.delete_study(self._prefix + name)
        except UnknownStudy:
            raise self._unknown(name) from None

    def set_state(self, study_id: int, state: StudyState) -> None:
        """Ask the workers of the study to continue, pause, stop or cancel."""
        self._storage.set_state(self._checked(study_id), state)

    def set_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into the study's attributes."""
        self._storage.set_attrs(self._checked(study_id), attrs)

    def set_goal(self, study_id: int, spec: StudySpec, *, expected_seq: int) -> None:
        """Replace the objectives and constraints, or raise `TrialConflict`."""
        self._storage.set_goal(self._checked(study_id), spec, expected_seq=expected_seq)

    def set_space(self, study_id: int, space: Space, *, expected_version: int) -> int:
        """Store the next version of the space, or raise `TrialConflict`; return its number."""
        return self._storage.set_space(
            self._checked(study_id), space, expected_version=expected_version
        )

    def spaces(self, study_id: int) -> dict[int, Space]:
        """Return all versions of the space by number."""
        return self._storage.spaces(self._checked(study_id))

    def enqueue(
        self,
        study_id: int,
        points: Sequence[Mapping[str, Any]],
        *,
        user_attrs: Mapping[str, Any],
        branch: Branch | None = None,
        key: str | None = None,
    ) -> list[int]:
        """Append WAITING trials with the given params; return their numbers."""
        return self._storage.enqueue(
            self._checked(study_id), points, user_attrs=user_attrs, branch=branch, key=key
        )

    def add_trials(
        self,
        study_id: int,
        trials: Sequence[TrialRecord],
        reports: Mapping[int, Sequence[Report]],
    ) -> list[int]:
        """Append trials that ran elsewhere; return their numbers here."""
        return self._storage.add_trials(self._checked(study_id), trials, reports)

    def promote(self, study_id: int, reasons: Mapping[int, str]) -> list[int]:
        """Queue paused trials for a worker again; return their numbers."""
        return self._storage.promote(self._checked(study_id), reasons)

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge plain JSON into a trial's user attributes."""
        self._storage.set_trial_attrs(self._checked(study_id), number, attrs)

    def cancel_trial(self, study_id: int, number: int, reason: str) -> bool:
        """End an unfinished trial as CANCELLED; return whether it was unfinished."""
        return self._storage.cancel_trial(self._checked(study_id), number, reason)

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
        return self._storage.exchange(
            self._checked(study_id), worker, operations, claim=claim, lease_s=lease_s, after=after
        )

    def exchange_many(
        self, study_id: int, requests: Sequence[ExchangeRequest]
    ) -> list[Exchange | InvalidArgument]:
        """Answer several workers in one transaction."""
        return self._storage.exchange_many(self._checked(study_id), requests)

    def expire(self, study_id: int, leases: Sequence[tuple[int, int]]) -> None:
        """End the leases `(number, epoch)` now."""
        self._storage.expire(self._checked(study_id), leases)

    def changes(self, study_id: int, after: int = 0, limit: int | None = None) -> Changes:
        """Return the trials that changed after the cursor."""
        return self._storage.changes(self._checked(study_id), after, limit)

    def reports(
        self,
        study_id: int,
        numbers: Sequence[int] | None = None,
        *,
        after_step: Mapping[int, int] | None = None,
        limit: int | None = None,
    ) -> dict[int, tuple[Report, ...]]:
        """Return reports by trial number, in order of step."""
        return self._storage.reports(
            self._checked(study_id), numbers, after_step=after_step, limit=limit
        )

    def events(self, study_id: int, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return the study's log after the cursor."""
        return self._storage.events(self._checked(study_id), after, limit)

    def close(self) -> None:
        """Close the connections of the storage."""
        self._storage.close()

    def _checked(self, study_id: int) -> int:
        """Return the id if it belongs to a study of this project, else raise `UnknownStudy`."""
        if study_id not in self._ours:
            self.list_studies()
        if study_id not in self._ours:
            raise deleted_study(study_id)
        return study_id

    def _shown(self, record: StudyRecord) -> StudyRecord:
        self._ours.add(record.id)
        name = record.spec.name.removeprefix(self._prefix)
        return replace(record, spec=replace(record.spec, name=name))

    def _unknown(self, name: str) -> UnknownStudy:
        return unknown_study(name, [r.spec.name for r in self.list_studies()])

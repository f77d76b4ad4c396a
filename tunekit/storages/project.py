"""Restricts a storage to the studies of one project, so that projects can reuse names.

A project is the part of a stored name before the slash: study `digits` of project `vision` is
stored as `vision/digits`. Every storage thus supports projects; without a project it shows the
full names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast
from urllib.parse import quote_plus

from tunekit.checks import check_text
from tunekit.errors import InvalidArgument, StudyExists, UnknownStudy
from tunekit.records import FIRST_NAME, StudyRecord, StudySpec
from tunekit.storages.base import Exchange, ExchangeRequest, Storage
from tunekit.storages.checks import deleted_study, study_exists, unknown_study

if TYPE_CHECKING:
    from tunekit.storages.exchange import ExchangeGuard
    from tunekit.storages.writes import StorageWrites

P = ParamSpec("P")
R = TypeVar("R")


def _of_project(
    method: Callable[Concatenate[Any, int, P], R],
) -> Callable[Concatenate[ProjectStorage, int, P], R]:
    """Return a method that does the same for a study of the project, and only for those."""

    @wraps(method)
    def call(self: ProjectStorage, study_id: int, /, *args: P.args, **kwargs: P.kwargs) -> R:
        same: Callable[..., R] = getattr(self._storage, method.__name__)
        return same(self._checked(study_id), *args, **kwargs)

    return call


def check_project(name: str) -> None:
    """Check the name of a project.

    Raises:
        InvalidArgument: it is not 1 to 64 printable characters without a slash.
    """
    check_text(name, "project")
    if "/" in name or len(name) > 64:
        raise InvalidArgument(
            f"project: got {name[:80]!r}, expected 1 to 64 characters without a slash."
        )


class ProjectStorage:
    """Shows only one project's studies of a storage.

    Args:
        storage: storage of all projects.
        project: 1 to 64 printable characters without a slash.
        prefix: begins the stored names of its studies; by default the project and a slash. With
            an empty one the project shows all studies of the storage by their full names.

    Raises:
        InvalidArgument: `project` is not such a text.
    """

    def __init__(self, storage: Storage, project: str, *, prefix: str | None = None) -> None:
        check_project(project)
        self._storage = storage
        self._prefix = f"{project}/" if prefix is None else prefix
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

    def record(self, study_id: int) -> StudyRecord:
        """Return the study of the project with an id, or raise `UnknownStudy`."""
        record = self._storage.record(study_id)
        if not record.spec.name.startswith(self._prefix):
            raise deleted_study(study_id)
        return self._shown(record)

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

    def rename_study(self, study_id: int, name: str) -> None:
        """Give a study of the project another name, or raise `StudyExists`."""
        check_text(name, "study name")
        try:
            self._storage.rename_study(self._checked(study_id), self._prefix + name)
        except StudyExists:
            raise study_exists(name) from None

    set_state = _of_project(Storage.set_state)
    set_attrs = _of_project(Storage.set_attrs)
    set_goal = _of_project(Storage.set_goal)
    set_space = _of_project(Storage.set_space)
    spaces = _of_project(Storage.spaces)
    enqueue = _of_project(Storage.enqueue)
    add_trials = _of_project(Storage.add_trials)
    promote = _of_project(Storage.promote)
    set_trial_attrs = _of_project(Storage.set_trial_attrs)
    cancel_trial = _of_project(Storage.cancel_trial)
    exchange = _of_project(Storage.exchange)
    exchange_many = _of_project(Storage.exchange_many)

    def exchange_guarded(
        self, study_id: int, requests: Sequence[ExchangeRequest], guard: ExchangeGuard
    ) -> list[Exchange | InvalidArgument]:
        """Answer several workers in one transaction, in which a guard takes part.

        The storage has to be one in a database.
        """
        storage = cast("StorageWrites", self._storage)
        return storage.exchange_many(self._checked(study_id), requests, guard=guard)

    expire = _of_project(Storage.expire)
    changes = _of_project(Storage.changes)
    reports = _of_project(Storage.reports)
    events = _of_project(Storage.events)

    def check_study(self, study_id: int) -> None:
        """Check that a study belongs to this project, also if it has been deleted since.

        Raises:
            UnknownStudy: it does not.
        """
        self._checked(study_id)

    def close(self) -> None:
        """Close the connections of the storage."""
        self._storage.close()

    def _checked(self, study_id: int) -> int:
        """Return the id if it belongs to a study of this project, else raise `UnknownStudy`."""
        if study_id not in self._ours:
            self.record(study_id)
        return study_id

    def _shown(self, record: StudyRecord) -> StudyRecord:
        self._ours.add(record.id)
        name = record.spec.name.removeprefix(self._prefix)
        first, attrs = record.spec.first_name, record.spec.attrs
        if FIRST_NAME in attrs:
            attrs = {**attrs, FIRST_NAME: first.removeprefix(self._prefix)}
        return replace(record, spec=replace(record.spec, name=name, attrs=attrs))

    def _unknown(self, name: str) -> UnknownStudy:
        known = [r.spec.name for r in self.list_studies()]
        return unknown_study(name, known, f'project "{self.project}"')

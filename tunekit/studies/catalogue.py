"""Lists, deletes and copies studies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.records import StudyRecord, TrialRecord, TrialState
from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage
from tunekit.studies.arguments import one_of


def storage_of(storage: str | Path | Storage | None, *, must_exist: bool = False) -> Storage:
    """Return the storage of a URL or path; for `None` that of `TUNEKIT_URL`, else in memory.

    Where it `must_exist`, nothing is created.

    Raises:
        InvalidArgument: a URL of another form.
        StorageError: it cannot be opened.
    """
    url = (os.environ.get("TUNEKIT_URL") or None) if storage is None else storage
    return open_storage(url, must_exist=must_exist)


def name_of(name: str | None, study_name: str | None) -> str:
    """Return the name of a study that was given under one of its two words.

    Raises:
        InvalidArgument: neither or both were given.
    """
    given = one_of(name, study_name, ("name", "study_name"))
    if not isinstance(given, str):
        raise InvalidArgument(f"the study name is {shown(given)}; expected the name of a study.")
    return given


def study_names(*, storage: str | Path | Storage | None = None) -> list[str]:
    """Return the names of all studies in a storage, sorted.

    Args:
        storage: URL or path; `None` is the environment's `TUNEKIT_URL`.

    Raises:
        StorageError: the storage cannot be opened.
    """
    return [r.spec.name for r in storage_of(storage, must_exist=True).list_studies()]


def delete_study(
    name: str | None = None,
    *,
    storage: str | Path | Storage | None = None,
    study_name: str | None = None,
) -> None:
    """Delete a study with its trials; checkpoints in their own place stay.

    Args:
        name: of the study.
        storage: URL or path; `None` is the environment's `TUNEKIT_URL`.
        study_name: Optuna's word for `name`.

    Raises:
        UnknownStudy: no study of that name; the message has the closest one.
        StorageError: the storage cannot be opened.
    """
    storage_of(storage, must_exist=True).delete_study(name_of(name, study_name))


def copy_study(
    from_study_name: str,
    *,
    from_storage: str | Path | Storage | None = None,
    to_storage: str | Path | Storage | None = None,
    to_study_name: str | None = None,
) -> None:
    """Copy a study with its trials, their reports and all versions of its space.

    Trials keep their numbers, states and times. One that runs or is paused waits in the copy and
    runs there from its beginning: its worker and its checkpoints stay with the original.

    Args:
        from_study_name: the study to copy.
        from_storage: URL or path; `None` is the environment's `TUNEKIT_URL`.
        to_storage: storage of the copy; by default `from_storage`.
        to_study_name: the name of the copy; the same if it is not given.

    Raises:
        UnknownStudy: no study of that name; the message has the closest one.
        StudyExists: the name of the copy is taken.
        StorageError: a storage cannot be opened.
    """
    source = storage_of(from_storage, must_exist=True)
    target = source if to_storage is None else storage_of(to_storage)
    record = source.get_study(from_study_name)
    versions = source.spaces(record.id)
    name = from_study_name if to_study_name is None else to_study_name
    made = target.create_study(replace(record.spec, name=name, space=versions.get(1)))
    try:
        for version in range(made.space_version, len(versions)):
            target.set_space(made.id, versions[version + 1], expected_version=version)
        _copy_trials(source, record, target, made)
    except BaseException:
        target.delete_study(name)
        raise


def _copy_trials(source: Storage, old: StudyRecord, target: Storage, new: StudyRecord) -> None:
    found = sorted(source.changes(old.id).trials, key=lambda t: t.number)
    reports = source.reports(old.id)
    trials = [_ended_or_waiting(t) for t in found]
    kept = {t.number: reports.get(t.number, ()) for t in trials if t.state.is_finished}
    target.add_trials(new.id, trials, kept)


def _ended_or_waiting(t: TrialRecord) -> TrialRecord:
    if t.state.is_finished:
        return t
    waits: dict[str, object] = {"metrics": {}, "end_reason": "", "started": None}
    return replace(t, state=TrialState.WAITING, **waits)  # type: ignore[arg-type]

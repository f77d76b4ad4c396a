"""Reads the whole history of a stored study at once."""

from __future__ import annotations

from tunekit.history import History
from tunekit.records import StudyRecord
from tunekit.storages.base import Storage


def read_history(storage: Storage, record: StudyRecord) -> History:
    """Return all trials of a study, with the fidelity's target of its current space."""
    space = record.spec.space and storage.spaces(record.id)[record.space_version]
    target = space.target if space else None
    history = History(record.spec.objectives, record.spec.constraints, target)
    changes = storage.changes(record.id)
    history.update(changes.trials, changes.cursor)
    return history

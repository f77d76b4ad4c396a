"""Checks that what something is attached to exists, and keeps it there for the transaction."""

from __future__ import annotations

from sqlalchemy import Connection, select

from tunekit.storages.checks import deleted_study, unknown_trial
from tunekit.storages.sql.schema import studies


def check_owner(connection: Connection, study_id: int, number: int | None) -> None:
    """Check that a study, and a trial of it, exists until the transaction ends.

    Raises:
        UnknownStudy: the study was deleted.
        UnknownTrial: it has no trial of this number.
    """
    found = select(studies.c.n_trials).where(studies.c.id == study_id)
    # Conflicts with the deletion of the study, not with the writes of its workers.
    n_trials = connection.execute(found.with_for_update(read=True, key_share=True)).scalar()
    if n_trials is None:
        raise deleted_study(study_id)
    if number is not None and not 0 <= number < n_trials:
        raise unknown_trial(number, n_trials)

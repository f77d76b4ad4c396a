"""A reader of the memory storage pays for what has changed, not for the length of the log."""

from __future__ import annotations

import tunekit as tk
from tunekit.records import TrialState


class Placed(list):
    """A list that can be read at a place and not be walked through."""

    def __iter__(self):
        raise AssertionError("a walk through the whole log")


def test_a_read_of_changes_does_not_walk_through_the_log():
    study = tk.study()
    for k in range(5):
        study.tell(study.ask(), float(k))
    table = study.storage._studies[study.id]
    table._events = Placed(table._events)
    cursor = study.refresh().cursor
    asked = study.ask()
    study.tell(asked, 1.0)
    found = study.storage.changes(study.id, cursor).trials
    assert [(t.number, t.state) for t in found] == [(5, TrialState.COMPLETE)]
    assert len(study.storage.changes(study.id, 0).trials) == 6

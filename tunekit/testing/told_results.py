"""Compares what workers were told to be stored with what a database holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from tunekit.records import TrialState
from tunekit.storages.sql.integrity import problems
from tunekit.storages.sql.storage import SQLStorage
from tunekit.storages.urls import open_database

PAGE = 1000


class StoredStudy:
    """One study, read straight from the database of a service; close it.

    Args:
        url: of the database.
        name: of the study, with its project: `default/digits`.
    """

    def __init__(self, url: str, name: str) -> None:
        self.storage = SQLStorage(open_database(url))
        self._name = name

    def close(self) -> None:
        """Close its connections."""
        self.storage.close()

    @property
    def id(self) -> int:
        """Its number in the database."""
        return self.storage.get_study(self._name).id

    def events(self, kind: str) -> Counter[int | None]:
        """Return how often each trial has an event of a kind."""
        found: Counter[int | None] = Counter()
        after, study_id = 0, self.id
        while page := self.storage.events(study_id, after, PAGE):
            found.update(e.number for e in page if e.kind == kind)
            after = page[-1].seq
        return found

    @property
    def n_told(self) -> int:
        """How many results it has."""
        return len(self.events("told"))

    def epochs(self) -> Mapping[int, int]:
        """Return how often each running trial has been handed out."""
        trials = self.storage.changes(self.id, 0, PAGE).trials
        return {t.number: t.epoch for t in trials if t.state is TrialState.RUNNING}

    def are_over(self, held: Mapping[int, int]) -> bool:
        """Return whether no lease in `held` lasts: its trial has ended, or has a later one."""
        now = self.epochs()
        return all(now.get(number, epoch + 1) > epoch for number, epoch in held.items())

    def retaken(self, held: Mapping[int, int]) -> set[int]:
        """Return the trials that were handed out again since `held`, by their epochs."""
        trials = self.storage.changes(self.id, 0, PAGE).trials
        return {t.number for t in trials if t.epoch > held.get(t.number, t.epoch)}

    def check_finished(self, n: int, journals: Iterable[Path]) -> int:
        """Check that nothing is lost, doubled or stuck; return the acknowledged results.

        Args:
            n: trials that the study must have; the value of each is the square of its `x`.
            journals: files with a line for each result that was acknowledged to a worker.

        Raises:
            AssertionError: it is otherwise.
        """
        assert list(problems(self.storage)) == []
        trials = self.storage.changes(self.id, 0, PAGE).trials
        by_number = {t.number: t for t in trials}
        assert sorted(by_number) == list(range(n))
        stuck = {t.number: t.state for t in trials if t.state is not TrialState.COMPLETE}
        assert not stuck
        assert self.events("told") == dict.fromkeys(range(n), 1)
        for trial in trials:
            assert trial.params is not None
            x = trial.params["x"]
            assert isinstance(x, float) and trial.metrics == {"value": x**2}
        curves = self.storage.reports(self.id, range(n))
        assert all([r.step for r in curves[i]] == [0, 1, 2] for i in range(n))
        acknowledged = [line.split() for path in journals for line in _lines(path)]
        assert max(Counter(number for number, _ in acknowledged).values(), default=0) <= 1
        for number, value in acknowledged:
            assert by_number[int(number)].metrics == {"value": float(value)}
        return len(acknowledged)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []

"""Tests on every executor that it sets up and tears down objectives correctly."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import os
from pathlib import Path

from tunekit.executors.base import Ended, Executor
from tunekit.executors.prepared import WorkerInfo
from tunekit.executors.trial import Trial
from tunekit.records import CONTINUE, Decision, Report, TrialState
from tunekit.testing.tasks import run_tasks


class Prepared:
    """An objective that logs its calls in one file per process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _note(self, what: str) -> None:
        with (self._folder / str(os.getpid())).open("a") as file:
            file.write(f"{what}\n")

    def setup(self, worker: WorkerInfo) -> None:
        """Prepare by storing the study's name."""
        self._note("setup")
        self._study = worker.study

    def __call__(self, trial: Trial) -> float:
        """Use the name stored by `setup`."""
        self._note(f"trial in {self._study}")
        return float(trial.number)

    def teardown(self) -> None:
        """Discard the name."""
        self._note("teardown")


class Unprepared(Prepared):
    """An objective with a failing `setup`."""

    def setup(self, worker: WorkerInfo) -> None:
        """Raise an error."""
        raise OSError("no data here")


def _continue(number: int, report: Report) -> Decision:
    return CONTINUE


class PreparedRules:
    """Rules: `setup` runs once per process before its first trial, `teardown` after its last."""

    def make(self) -> Executor:
        """Return a new executor."""
        raise NotImplementedError

    def _ended(self, objective: Prepared, n: int) -> list[Ended]:
        executor = self.make()
        executor.open(objective, _continue)
        try:
            return run_tasks(executor, n)
        finally:
            executor.close()

    def test_an_objective_is_set_up_once_a_process_and_torn_down_at_its_end(
        self, tmp_path: Path
    ) -> None:
        ended = self._ended(Prepared(tmp_path), 6)
        assert [e.outcome.metrics for e in ended] == [{"loss": float(n)} for n in range(6)]
        logs = [p.read_text().splitlines() for p in tmp_path.iterdir()]
        assert sum(len(log) - 2 for log in logs) == 6
        for log in logs:
            assert log == ["setup", *["trial in conformance"] * (len(log) - 2), "teardown"]

    def test_a_set_up_that_fails_fails_the_trial_and_is_tried_again(self, tmp_path: Path) -> None:
        ended = self._ended(Unprepared(tmp_path), 2)
        assert [e.outcome.state for e in ended] == [TrialState.FAILED] * 2
        assert all("no data here" in e.outcome.reason for e in ended)

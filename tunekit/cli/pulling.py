"""Pulls trials of the studies of a project and runs them, until it is told to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tunekit.api import load_study
from tunekit.cli.quarantine import WorkerQuarantine
from tunekit.driver.interrupts import Interrupts
from tunekit.errors import TunekitError
from tunekit.executors.base import Executor
from tunekit.records import StudyRecord, StudyState, TrialRecord, TrialState
from tunekit.sharing.shared_run import SharedRun
from tunekit.storages.base import Storage
from tunekit.studies.study import Study

ENDED = (StudyState.STOPPED, StudyState.CANCELLED)
NO_LIMIT = 2**31 - 1
"""Failed trials of one study; what ends a worker is its quarantine."""


class PullingWorker:
    """Runs trials of one study, or of all studies of a project in fair turns.

    Args:
        storage: the project's studies.
        executor: where the trials run.
        objective_of: returns what runs the trials of a study.
        study: the only one to pull from, until it ends; `None` for all, also those to come.
        checkpoints: place of the trials' checkpoints.
        n_trials: number of trials that it starts, of all studies together; then it ends.
        quarantine: ends it after equal failures.
        grace_s: seconds that running trials get to finish after the first SIGTERM.
        say: shows a line.
    """

    def __init__(
        self,
        storage: Storage,
        executor: Executor,
        objective_of: Callable[[Study], Callable[..., Any]],
        *,
        study: str | None,
        checkpoints: str | None = None,
        n_trials: int | None,
        quarantine: WorkerQuarantine,
        grace_s: float = math.inf,
        say: Callable[[str], None],
    ) -> None:
        self.n_ended = 0
        self._storage = storage
        self._objective_of = objective_of
        self._study = study
        self._checkpoints = checkpoints
        self._quarantine = quarantine
        self._say = say
        self._interrupts = Interrupts(say, sigterm_drains=True, grace_s=grace_s)
        self._shared = SharedRun(executor, n_trials=n_trials, interrupts=self._interrupts)
        self._pulling: set[int] = set()  # ids, also of studies that the objective does not fit

    def run(self) -> bool:
        """Pull until the work is done; return whether it was told to stop before.

        Raises:
            WorkerQuarantined: too many trials in a row failed in the same way.
            UnknownStudy: there is no study of this name.
            TunekitError: the objective cannot run, or the storage stayed away.
        """
        if self._study is not None:
            self._pull(self._storage.get_study(self._study))
        try:
            self._shared.run(attend=self._look if self._study is None else None)
        except KeyboardInterrupt:
            if self._quarantine.error is not None:
                raise self._quarantine.error from None
            return True
        if self._study in self._shared.errors:
            raise self._shared.errors[self._study]
        return False

    def _look(self) -> bool:
        """Join the studies that are new, or active again."""
        records: Sequence[StudyRecord] = self._storage.list_studies()
        self._pulling &= {r.id for r in records if r.state not in ENDED}
        for record in records:
            if record.id not in self._pulling and record.state not in ENDED:
                try:
                    self._pull(record)
                except TunekitError as error:
                    self._say(f"{record.spec.name} is left out: {error}")
        return True

    def _pull(self, record: StudyRecord) -> None:
        name = record.spec.name
        self._pulling.add(record.id)
        if record.state in ENDED:
            self._say(f"{name} is {record.state}; nothing to pull.")
            return
        study = load_study(name, storage=self._storage, checkpoints=self._checkpoints)
        self._shared.add(
            study,
            self._objective_of(study),
            callbacks=self._note,
            catch=(Exception, SystemExit),
            max_failed_trials=NO_LIMIT,
        )
        self._say(f"pulling trials of {name}")

    def _note(self, study: Study, trial: TrialRecord) -> None:
        self.n_ended += 1
        said = f": {trial.end_reason}" if trial.state is TrialState.FAILED else ""
        self._say(f"{study.name} {trial.number} is {trial.state}{said}")
        self._quarantine.note(trial)
        if self._quarantine.error is not None:
            self._interrupts.raise_to(1)

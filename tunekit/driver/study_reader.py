"""Reads a study incrementally: its trials, its space, and the view of both for samplers."""

from __future__ import annotations

import logging
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace

from tunekit.driver.run_settings import failed
from tunekit.driver.worker_id import is_known_dead
from tunekit.errors import InvalidSpace
from tunekit.executors.results import missing_reason
from tunekit.history import History
from tunekit.records import Outcome, Report, StudyRecord, StudyState, TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.spaces import Params, Space
from tunekit.spaces.discover import Discovery
from tunekit.spaces.versions import fitted
from tunekit.storages.base import Changes, Storage

log = logging.getLogger("tunekit")


class StudyReader:
    """Reads a study incrementally; all users of the study in a process share one.

    Attributes:
        is_held: while set, nothing changes here, so that a sampler may read on another thread.
        history: all trials up to the last `refresh`.
        planned: final number of trials as the current run expects it, `None` if unknown.
        space_version: version of the last read space, 0 if a program discovers it.
    """

    def __init__(self, storage: Storage, record: StudyRecord) -> None:
        self.storage = storage
        self.record = record
        self.is_held = False
        self.planned: int | None = None
        self.history = History(record.spec.objectives, record.spec.constraints)
        self.space_version = min(record.space_version, 1)  # 0 where the space is discovered
        self._space = record.spec.space
        self._versions = {} if self._space is None else {1: self._space}
        self._discovery = Discovery() if self._space is None else None
        self._fitting = self.history
        if self._space is not None:
            self.history.aim(self._space.target)
        self.use_space(record.space_version)

    @property
    def declared_space(self) -> Space | None:
        """Return the declared space, `None` if a program discovers it."""
        return self._space

    @property
    def is_open(self) -> bool:
        """Return whether the space is being discovered by a define-by-run program."""
        return self._discovery is not None

    def refresh_space(self) -> None:
        """Load the current version of the study's space."""
        record = self.storage.record(self.record.id)
        self.follow(record)
        self.use_space(record.space_version)

    def follow(self, record: StudyRecord) -> None:
        """Judge by the stored objectives and constraints, which another client may have replaced.

        All trials are then read again with the next `refresh`.
        """
        goal = record.spec.objectives, record.spec.constraints
        if self.is_held or goal == (self.record.spec.objectives, self.record.spec.constraints):
            return
        self.record = record
        self.history.restart(*goal)
        if self._fitting is not self.history:
            self._fitting.restart(*goal)
        if self._discovery is not None:
            self._discovery = Discovery()

    def state(self) -> StudyState:
        """Return the state that the study's workers are asked to take now; follow its goal."""
        record = self.storage.record(self.record.id)
        self.follow(record)
        return record.state

    @property
    def space(self) -> Space:
        """Return the current space, or its discovered part."""
        if self._discovery is not None:
            return self._discovery.space
        assert self._space is not None
        return self._space

    def refresh(self, changes: Changes | None = None) -> list[TrialRecord]:
        """Apply changes, by default all that the storage has; return the newly finished trials."""
        if self.is_held:
            return []
        if changes is None:
            changes = self.storage.changes(self.record.id, self.history.cursor)
        if any(map(self._lacks_objective, changes.trials)):  # the objectives may be new ones
            self.refresh_space()
            changes = self.storage.changes(self.record.id, self.history.cursor)
        self._placed(changes.trials)
        finished = self.history.update(changes.trials, changes.cursor)
        if self._fitting is not self.history:
            self._fitting.update(self._adapted(changes.trials), changes.cursor)
        if self._discovery is not None:
            for trial in sorted(finished, key=lambda t: t.number):
                self._observe(self._discovery, trial)
        return finished

    def _lacks_objective(self, trial: TrialRecord) -> bool:
        is_complete = trial.state is TrialState.COMPLETE
        return is_complete and any(o.metric not in trial.metrics for o in self.history.objectives)

    def _placed(self, trials: Iterable[TrialRecord]) -> None:
        """Set the space version that each trial's point belongs to."""
        for trial in trials:
            if trial.params is not None and not self.is_open:
                if trial.space_version not in self._versions:
                    self._versions = self.storage.spaces(self.record.id)
                trial.params.belongs_to(self._versions[trial.space_version])

    def _observe(self, discovery: Discovery, trial: TrialRecord) -> None:
        is_whole = trial.state in (TrialState.COMPLETE, TrialState.DIVERGED)
        try:
            discovery.observe(trial.params or {}, trial.domains, is_whole=is_whole)
        except InvalidSpace as error:  # the program changed: the trial counts, its shape does not
            log.warning("trial %d: %s", trial.number, error.message)

    def view(self, fixed: dict[int, Params]) -> StudyView:
        """Return the current view for a sampler."""
        spec = self.record.spec
        planned = spec.max_trials if self.planned is None else self.planned
        return StudyView(
            self.space, spec.objectives, spec.constraints, spec.seed, self._fitting, fixed, planned
        )

    def use_space(self, version: int) -> None:
        """Switch to another version of the space; samplers see the trials that lie in it."""
        if self.is_open or self.is_held or version == self.space_version:
            return
        self._versions = self.storage.spaces(self.record.id)
        self._space = self._versions[version]
        self.space_version = version
        target = self._space.target
        self.history.aim(target)
        self._fitting = History(self.history.objectives, self.history.constraints, target)
        self._fitting.update(self._adapted(self.history), self.history.cursor)

    def _adapted(self, trials: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
        for trial in trials:
            if trial.params is None or trial.space_version == self.space_version:
                yield trial
            elif (params := fitted(trial.params, self.space)) is not None:
                yield replace(trial, params=params)

    def accepted(self, outcome: Outcome) -> Outcome:
        """Return the outcome in the form the study accepts.

        Domains already known to the study are dropped. A complete trial without a metric that the
        study constrains becomes FAILED, because its feasibility is unknown.
        """
        if outcome.state is TrialState.COMPLETE:
            spec = self.record.spec
            reason = missing_reason(outcome.metrics, spec.objectives, spec.constraints)
            if reason:
                outcome = replace(outcome, state=TrialState.FAILED, reason=reason)
        return self._known_domains_dropped(outcome)

    def _known_domains_dropped(self, outcome: Outcome) -> Outcome:
        """Return the outcome without domains already known to the study.

        It becomes FAILED if the trial asked for a parameter as another kind than earlier trials.
        """
        if self._discovery is None or not outcome.domains:
            return outcome
        try:
            return replace(outcome, domains=self._discovery.new_domains(outcome.domains))
        except InvalidSpace as error:
            is_failed = outcome.state is TrialState.FAILED
            end = outcome if is_failed else failed(error)
            return replace(end, params=None, domains={}, user_attrs=outcome.user_attrs)

    def has_orphans(self, ours: Container[int]) -> bool:
        """Return whether a trial running elsewhere appears to have lost its worker."""
        now = time.time()
        return any(
            (t.lease_until or 0.0) < now or is_known_dead(t.worker)
            for t in self.history.unfinished()
            if t.state is TrialState.RUNNING and t.number not in ours
        )

    def curves(self, numbers: Sequence[int] | None = None) -> dict[int, list[Report]]:
        """Return the current reports of the given trials, or of all, by trial number."""
        if numbers is not None and not numbers:
            return {}
        return {n: list(r) for n, r in self.storage.reports(self.record.id, numbers).items()}

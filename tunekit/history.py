"""Maintains a reader's view of a study's trials from changes, with columnar access."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tunekit.errors import StorageError
from tunekit.optuna_names.trial_values import TrialSource
from tunekit.records import MetricConstraint, ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Scalar
from tunekit_surrogates.kept_front import KeptFront

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_QUEUED = frozenset({TrialState.WAITING, TrialState.PREEMPTED})


class History:
    """All trials of a study; `update` applies changes at a cost proportional to their number.

    Args:
        objectives: objectives of the study.
        constraints: constraints on metrics.
        target: path of the fidelity -> the value a trial needs to qualify as best; see
            `tunekit.spaces.Space.target`.

    Attributes:
        cursor: event number up to which the view is complete.
        revision: increases with every change; a cache key for samplers.
        changes: numbers of the changed trials in order of the changes; only grows, so a reader
            that remembers its length finds what is new.
        has_domains: whether a trial has asked for parameters that are not declared.
        source: data about the study attached to records, for `value` and related attributes.
    """

    def __init__(
        self,
        objectives: Sequence[ObjectiveSpec],
        constraints: Sequence[MetricConstraint] = (),
        target: Mapping[str, Scalar] | None = None,
    ) -> None:
        self.revision = 0
        self.changes: list[int] = []
        self.source = TrialSource(())
        self._target = dict(target or {})
        self._trials: dict[int, TrialRecord] = {}
        self.restart(objectives, constraints)

    def restart(
        self, objectives: Sequence[ObjectiveSpec], constraints: Sequence[MetricConstraint]
    ) -> None:
        """Forget all trials, to be read again under these objectives and constraints."""
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.cursor = 0
        self.revision += 1
        self.source = replace(self.source, metrics=tuple([o.metric for o in self.objectives]))
        self.has_domains = False
        self.changes += self._trials
        self._trials = {}
        self._counts: Counter[TrialState] = Counter()
        self._complete: dict[int, TrialRecord] = {}
        self._complete_order: list[int] = []
        self._open: dict[int, TrialRecord] = {}
        self._paused: dict[int, TrialRecord] = {}
        self._promoted: set[int] = set()
        self._waiting: set[int] = set()
        self._of_user: list[int] = []
        self._best: TrialRecord | None = None
        self._front = KeptFront()

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[TrialRecord]:
        return (self._trials[k] for k in sorted(self._trials))

    def get(self, number: int) -> TrialRecord | None:
        """Return one trial, `None` if it does not exist."""
        return self._trials.get(number)

    def update(self, trials: Iterable[TrialRecord], cursor: int) -> list[TrialRecord]:
        """Apply changed trials; return those that finished with this update.

        Raises:
            StorageError: a trial is COMPLETE and has no value of an objective.
        """
        finished = []
        for t in trials:
            before = self._trials.get(t.number)
            if before is not None and before.seq >= t.seq:
                continue
            self._check_result(t)
            t.attach(self.source)
            self._trials[t.number] = t
            self._count(t, before)
            self.revision += 1
            self.changes.append(t.number)
            self._file_pause(t)
            self._file_complete(t)
            self._keep_front(t)
            if not t.state.is_finished:
                self._open[t.number] = t
                continue
            self._open.pop(t.number, None)
            if before is None or not before.state.is_finished:
                finished.append(t)
                self._keep_best(t)
        self.cursor = max(self.cursor, cursor)
        return finished

    def _count(self, t: TrialRecord, before: TrialRecord | None) -> None:
        self._counts[t.state] += 1
        self.has_domains = self.has_domains or bool(t.domains)
        was_of_user = before is not None and before.sampler == "user"
        if before is not None:
            self._counts[before.state] -= 1
        if t.sampler == "user" and not was_of_user:
            insort(self._of_user, t.number)
        elif was_of_user and t.sampler != "user":
            self._of_user.remove(t.number)

    def _file_complete(self, t: TrialRecord) -> None:
        """Keep the complete trials by number: stoppers ask for them at each report."""
        if t.state is TrialState.COMPLETE:
            if t.number not in self._complete:
                insort(self._complete_order, t.number)
            self._complete[t.number] = t
        elif self._complete.pop(t.number, None) is not None:
            self._complete_order.remove(t.number)

    def _check_result(self, t: TrialRecord) -> None:
        if t.state is not TrialState.COMPLETE:
            return
        for o in self.objectives:
            if o.metric not in t.metrics:
                raise StorageError(
                    f'trial {t.number} is stored as complete without the metric "{o.metric}": the '
                    "database was changed by another program; restore it from a backup."
                )

    def _file_pause(self, t: TrialRecord) -> None:
        self._paused.pop(t.number, None)
        self._promoted.discard(t.number)
        self._waiting.discard(t.number)
        if t.state is TrialState.PAUSED:
            self._paused[t.number] = t
        elif t.state in _QUEUED:
            self._waiting.add(t.number)
            if t.is_promoted:
                self._promoted.add(t.number)

    @property
    def n_promoted(self) -> int:
        """Return the number of promoted or pre-empted trials waiting for a worker."""
        return len(self._promoted)

    @property
    def n_waiting(self) -> int:
        """Return the number of trials waiting for a worker, for any reason."""
        return len(self._waiting)

    def paused(self) -> list[TrialRecord]:
        """Return the paused trials by number."""
        return [self._paused[k] for k in sorted(self._paused)]

    @property
    def n_paused(self) -> int:
        """Return the number of paused trials."""
        return len(self._paused)

    @property
    def n_finished(self) -> int:
        """Return the number of ended trials, for any reason."""
        return len(self._trials) - len(self._open)

    def finished(self) -> list[TrialRecord]:
        """Return the ended trials by number."""
        return [t for t in self if t.state.is_finished]

    def complete(self) -> list[TrialRecord]:
        """Return the trials with a finite result, by number."""
        return [self._complete[k] for k in self._complete_order]

    def pending(self) -> list[TrialRecord]:
        """Return the running trials with known params, by number."""
        running = (t for t in self._open.values() if t.state is TrialState.RUNNING)
        return sorted((t for t in running if t.params is not None), key=lambda t: t.number)

    def unfinished(self) -> list[TrialRecord]:
        """Return all trials that have not ended, by number."""
        return sorted(self._open.values(), key=lambda t: t.number)

    def n_of_user(self, *, before: int) -> int:
        """Return how many trials with a number below `before` have the user's own values."""
        return bisect_left(self._of_user, before)

    def counts(self) -> dict[TrialState, int]:
        """Return the number of trials per state, for states that occur."""
        return {state: n for state, n in self._counts.items() if n}

    @property
    def target(self) -> Mapping[str, Scalar]:
        """Return the target fidelity by path that a trial needs to be the best; may be empty."""
        return self._target

    def aim(self, target: Mapping[str, Scalar]) -> None:
        """Require this fidelity of the best trial; an empty target allows all trials."""
        if target == self._target:
            return
        self._target, self._best = dict(target), None
        self.revision += 1
        for t in self.complete():
            self._keep_best(t)
            self._keep_front(t)

    def is_at_target(self, trial: TrialRecord) -> bool:
        """Return whether a trial ran at the target fidelity."""
        params: Mapping[str, Scalar] = trial.params or {}
        return all(path in params and params[path] == v for path, v in self._target.items())

    def violation(self, trial: TrialRecord) -> float:
        """Return the summed violation of the metric constraints; 0 means feasible."""
        return sum((c.violation(trial.metrics) for c in self.constraints), 0.0)

    def loss_row(self, trial: TrialRecord) -> list[float]:
        """Return a trial's objective values, signed so that less is better, NaN if missing."""
        return [o.loss(trial.metrics.get(o.metric, math.nan)) for o in self.objectives]

    def losses(self, trials: Sequence[TrialRecord]) -> NDArray[np.float64]:
        """Return `(n, m)` objective values, signed so that less is better, NaN if missing."""
        import numpy as np

        rows = [self.loss_row(t) for t in trials]
        return np.asarray(rows, dtype=np.float64).reshape(len(trials), len(self.objectives))

    @property
    def best(self) -> TrialRecord | None:
        """Return the best feasible complete trial of a study with one objective."""
        return self._best if len(self.objectives) == 1 else None

    def pareto(self) -> list[TrialRecord]:
        """Return the feasible complete trials that no other dominates, by number."""
        if len(self.objectives) == 1:
            return self._equally_good()
        return [self._trials[k] for k in self._front.numbers()]

    def _equally_good(self) -> list[TrialRecord]:
        trials = [t for t in self.complete() if self._may_be_best(t)]
        losses = [self.objectives[0].loss(t.metrics[self.objectives[0].metric]) for t in trials]
        least = min(losses, default=math.inf)
        return [t for t, loss in zip(trials, losses, strict=True) if loss == least]

    def _may_be_best(self, t: TrialRecord) -> bool:
        is_complete = t.state is TrialState.COMPLETE
        return is_complete and self.is_at_target(t) and self.violation(t) == 0.0

    def _keep_front(self, t: TrialRecord) -> None:
        if len(self.objectives) > 1:
            losses = None
            if self._may_be_best(t):
                losses = tuple([o.loss(t.metrics[o.metric]) for o in self.objectives])
            self._front.put(t.number, losses)

    def _keep_best(self, t: TrialRecord) -> None:
        if not self._may_be_best(t):
            return
        objective = self.objectives[0]
        new = objective.loss(t.metrics[objective.metric])
        old = math.inf
        if self._best is not None:
            old = objective.loss(self._best.metrics[objective.metric])
        # Ties go to the lower number, so that the answer does not depend on the order of arrival.
        if new < old or (new == old and self._best is not None and t.number < self._best.number):
            self._best = t


class HistoryFollower:
    """Names the trials that have changed between one look at a history and the next."""

    def __init__(self) -> None:
        self._history: History | None = None
        self._n_read = 0

    def changed(self, history: History) -> set[int] | None:
        """Return the numbers of the changed trials, `None` if this is another history."""
        is_same, n_read = history is self._history, self._n_read
        self._history, self._n_read = history, len(history.changes)
        return {*history.changes[n_read:]} if is_same else None


def nothing_best(name: str, history: History) -> str:
    """Return the reason why a study has no best trial, in one sentence."""
    counts = {str(s): n for s, n in history.counts().items()}
    if not counts:
        return f"study {name!r} has no trials yet; run study.optimize(...)."
    complete = history.complete()
    if complete and not any(map(history.is_at_target, complete)):
        what = " ".join(f"{path}={v!r}" for path, v in history.target.items())
        return f"study {name!r} has no complete trial at {what}, as the best trial needs."
    if complete:
        limits = ", ".join(str(c) for c in history.constraints)
        return f"study {name!r} has no trial that satisfies {limits}; trials: {counts}."
    failed = [t for t in history.finished() if t.state is TrialState.FAILED]
    last = f"; trial {failed[-1].number} failed: {failed[-1].end_reason}" if failed else ""
    return f"study {name!r} has no complete trial; trials: {counts}{last.rstrip('.')}."

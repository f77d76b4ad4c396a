"""Runs one contender on one problem with simulated workers, without a storage."""

from __future__ import annotations

import heapq
import json
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from tunekit.bench.growing_front import GrowingFront
from tunekit.bench.outcomes import exact_losses, feasible_losses, measured
from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument, SpaceExhausted
from tunekit.history import History
from tunekit.records import Proposal, TrialRecord, TrialState
from tunekit.samplers.base import Sampler, StudyView, suggested
from tunekit.samplers.random_streams import stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Params

_JITTER_SEED = 0x5EC0_4D5
"""Separates the random stream of simulated durations from the samplers' streams."""


class Proposer(Protocol):
    """Proposes trials, one at a time, and receives their results."""

    def ask(self, view: StudyView, number: int) -> Proposal:
        """Propose a point for trial `number`.

        Raises:
            SpaceExhausted: every point of the space has been tried.
        """
        ...

    def tell(self, record: TrialRecord, loss: float | None) -> None:
        """Receive a finished trial.

        `loss` is `None` if it failed or broke a constraint; with several objectives it is the
        negative hypervolume reached so far.
        """
        ...


class SamplerProposer:
    """Asks a tunekit sampler, which reads finished trials from the view."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def ask(self, view: StudyView, number: int) -> Proposal:
        """Return the sampler's proposal."""
        return suggested(self._sampler, view, [number])[0]

    def tell(self, record: TrialRecord, loss: float | None) -> None:
        """Do nothing, since the next view contains the result."""


@dataclass(slots=True)
class Episode:
    """Results of one run, ordered by trial end; all lists have one entry per trial.

    Attributes:
        numbers: trial numbers, counted in the order of asking.
        losses: lower is better; `None` for a trial without a feasible result. With several
            objectives, the negative hypervolume that the trials so far dominate.
        exact: losses without noise.
        states: final state of each trial.
        cpu_ms: CPU time of each trial's suggestion.
        ended_s: simulated end time of each trial, in seconds.
        pending: number of other trials running when each trial was proposed.
        evidence_bytes: size of each proposal's evidence as JSON.
        arms: sampler name given by each proposal.
        reason: reason of the last proposal.
        error: end reason of the first trial that failed or diverged.
        params: params of each trial, if requested.
    """

    numbers: list[int] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    exact: list[float | None] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    evidence_bytes: list[int] = field(default_factory=list)
    arms: list[str] = field(default_factory=list)
    reason: str = ""
    error: str = ""
    params: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the episode as plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Running:
    record: TrialRecord
    cpu_ms: float
    n_pending: int


def play(
    problem: Problem,
    proposer: Proposer,
    *,
    n_trials: int,
    workers: int = 1,
    seed: int = 0,
    keep_params: bool = False,
) -> Episode:
    """Run `n_trials` trials and return the episode.

    `workers` trials run in parallel on a simulated clock. The first to end is told before the
    next is asked for. A trial takes `problem.seconds`, or about one second by default.

    Raises:
        InvalidArgument: no trials, no workers, or several objectives without a reference point.
        Exception: any error of the proposer.
    """
    if n_trials < 1 or workers < 1:
        raise InvalidArgument(
            f"n_trials={n_trials}, workers={workers}: expected 1 or more of each."
        )
    if (n := len(problem.objectives)) > 1 and len(problem.reference) != n:
        raise InvalidArgument(
            f"{problem.name} has {n} objectives and the reference point {problem.reference}; "
            f"give reference= with {n} losses, since regret compares hypervolumes."
        )
    return _Play(problem, proposer, n_trials=n_trials, workers=workers, seed=seed).run(
        keep_params=keep_params
    )


class _Play:
    def __init__(
        self, problem: Problem, proposer: Proposer, *, n_trials: int, workers: int, seed: int
    ) -> None:
        self._problem = problem
        self._proposer = proposer
        self._n_trials = n_trials
        self._workers = workers
        self._history = History(problem.objectives, problem.constraints, problem.space.target)
        self._view = StudyView(
            problem.space,
            problem.objectives,
            problem.constraints,
            seed,
            self._history,
            {},
            n_trials,
        )
        self._seq = 0
        self._clock = 0.0
        self._n_asked = 0
        self._running: list[tuple[float, int, _Running]] = []  # heap ordered by end time
        self._episode = Episode()
        # A noisy problem has two fronts, that of the measured and that of the exact losses.
        several = len(problem.objectives) > 1
        self._fronts = [GrowingFront(problem.reference) for _ in range(2)] if several else []

    def run(self, *, keep_params: bool) -> Episode:
        exhausted = False
        while self._running or (self._n_asked < self._n_trials and not exhausted):
            free = len(self._running) < self._workers and self._n_asked < self._n_trials
            if free and not exhausted:
                exhausted = not self._start()
            else:
                self._end(keep_params=keep_params)
        return self._episode

    def _start(self) -> bool:
        """Ask for and start one trial; return False if the space is exhausted."""
        number = self._n_asked
        begin = time.process_time()
        try:
            with one_thread():  # also limits libraries that the proposer loads lazily
                proposal = self._proposer.ask(self._view, number)
        except SpaceExhausted:
            return False
        cpu_ms = 1000 * (time.process_time() - begin)
        record = TrialRecord(
            number,
            TrialState.RUNNING,
            epoch=1,
            params=Params(proposal.params, self._problem.space),
            sampler=proposal.sampler,
            reason=proposal.reason,
            evidence=json.loads(json.dumps(dict(proposal.evidence))),
            seen=self._seq,
            batch=(number,),
            created=self._clock,
            started=self._clock,
        )
        ends = self._clock + self._seconds(record)
        heapq.heappush(self._running, (ends, number, _Running(record, cpu_ms, len(self._running))))
        self._note(record)
        self._n_asked += 1
        self._episode.reason = proposal.reason
        return True

    def _end(self, *, keep_params: bool) -> None:
        self._clock, number, running = heapq.heappop(self._running)
        record = replace(measured(self._problem, running.record), finished=self._clock)
        self._note(record)
        loss, exact = self._losses(record)
        self._proposer.tell(record, loss)
        out = self._episode
        out.numbers.append(number)
        out.losses.append(loss)
        out.exact.append(exact)
        out.states.append(str(record.state))
        if record.state is not TrialState.COMPLETE:
            out.error = out.error or record.end_reason or ""
        out.cpu_ms.append(round(running.cpu_ms, 4))
        out.ended_s.append(self._clock)
        out.pending.append(running.n_pending)
        out.evidence_bytes.append(len(json.dumps(record.evidence)) if record.evidence else 0)
        out.arms.append(record.sampler)
        if keep_params:
            out.params.append(dict(record.params or {}))

    def _losses(self, record: TrialRecord) -> tuple[float | None, float | None]:
        """Return the loss of an ended trial, measured and exact."""
        measured = feasible_losses(self._problem, record)
        exact = exact_losses(self._problem, record, measured)
        if not self._fronts:
            return _first(measured), _first(exact)
        reached = [
            None if losses is None else -front.add(losses)
            for front, losses in zip(self._fronts, (measured, exact), strict=True)
        ]
        return reached[0], reached[1]

    def _note(self, record: TrialRecord) -> None:
        self._seq += 1
        self._history.update([replace(record, seq=self._seq)], self._seq)

    def _seconds(self, record: TrialRecord) -> float:
        assert record.params is not None
        if self._problem.seconds is not None:
            return max(0.0, float(self._problem.seconds(record.params)))
        if self._workers == 1:
            return 1.0
        return 0.5 + float(stream(self._view.seed ^ _JITTER_SEED, record.number).random())


def _first(losses: tuple[float, ...] | None) -> float | None:
    return None if losses is None else losses[0]

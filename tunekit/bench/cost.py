"""Measures the CPU time of one suggestion for a given space and number of past trials."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tunekit.bench.contenders import Contender
from tunekit.bench.episode import Proposer, SamplerProposer
from tunekit.bench.outcomes import feasible_loss, measured
from tunekit.bench.peers.base import PeerProposer, Setting, make_peer
from tunekit.bench.problem import Problem
from tunekit.bench.standings import Row, costs
from tunekit.history import History
from tunekit.records import TrialRecord, TrialState
from tunekit.registry import make
from tunekit.samplers.base import StudyView, sample
from tunekit.samplers.random_streams import stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Categorical, Float, Params, Space

HISTORY_SEED = 1 << 41  # seed of the random trials told before the measurement

N_FLAT = 10
N_BRANCHES = 3
N_LEVELS = 3


@dataclass(frozen=True, slots=True)
class CostTask:
    """Measures one contender on one space after `n` random trials.

    Attributes:
        n: random trials told before the measurement.
        repeats: suggestions to measure; each result is told before the next suggestion.
    """

    contender: Contender
    problem: str
    n: int
    repeats: int

    def run(self) -> Row:
        """Return the milliseconds of the first suggestion (with cold caches) and of the rest."""
        problem = PROBLEMS[self.problem]
        history = History(problem.objectives)
        view = StudyView(problem.space, problem.objectives, (), 0, history, {})
        proposer = self._proposer(problem)
        for number in range(self.n):
            point = sample(problem.space, stream(HISTORY_SEED, number))
            self._tell(problem, proposer, history, self._record(number, point), is_asked=False)
        ms = []
        for number in range(self.n, self.n + self.repeats + 1):
            begin = time.process_time()
            with one_thread():
                proposal = proposer.ask(view, number)
            ms.append(1000 * (time.process_time() - begin))
            record = replace(self._record(number, proposal.params), evidence=proposal.evidence)
            self._tell(problem, proposer, history, record, is_asked=True)
        row = {"space": self.problem, "contender": self.contender.label, "n": self.n}
        rest = costs([np.asarray(ms[1:])])
        ratio = rest["cpu_ms_max"] / rest["cpu_ms_median"] if rest["cpu_ms_median"] else 1.0
        return {**row, **rest, "max_by_median": ratio, "first_ms": ms[0]}

    def _proposer(self, problem: Problem) -> Proposer:
        contender = self.contender
        if contender.kind == "sampler":
            return SamplerProposer(make("sampler", contender.name, dict(contender.options)))
        return make_peer(contender, problem.space, Setting(0, self.n + self.repeats + 1))

    def _record(self, number: int, point: Params) -> TrialRecord:
        return TrialRecord(
            number, TrialState.RUNNING, seq=number + 1, params=point, sampler="random"
        )

    def _tell(
        self,
        problem: Problem,
        proposer: Proposer,
        history: History,
        record: TrialRecord,
        *,
        is_asked: bool,
    ) -> None:
        ended = measured(problem, record)
        history.update([ended], ended.seq)
        loss = feasible_loss(problem, ended)
        if is_asked or not isinstance(proposer, PeerProposer):
            proposer.tell(ended, loss)
        else:
            assert loss is not None
            proposer.observe(ended, loss)


def _flat() -> Problem:
    space = Space({f"x{i}": Float(0, 1) for i in range(N_FLAT)})
    return Problem("flat-10d", space, _distance)


def _tree() -> Problem:
    """Return a tree of 200 parameters: two switch trees of 91 nodes each and 18 numbers."""
    switches = {f"s{i}": _switch(N_LEVELS) for i in range(2)}
    return Problem(
        "tree-200", Space({**switches, **{f"x{i}": Float(0, 1) for i in range(18)}}), _distance
    )


def _switch(levels: int) -> Categorical:
    below = {"s": _switch(levels - 1)} if levels > 1 else {}
    branch = Space({"a": Float(0, 1), "b": Float(0, 1), **below})
    return Categorical({f"k{i}": branch for i in range(N_BRANCHES)})


def _distance(params: Params) -> float:
    squares = (
        (v - 0.3) ** 2 if isinstance(v, float) else 0.1 * (v != "k1") for v in params.values()
    )
    return float(sum(squares))


PROBLEMS: Mapping[str, Problem] = {p.name: p for p in (_flat(), _tree())}
"""Spaces used for cost measurements, by name."""

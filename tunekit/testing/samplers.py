# ruff: noqa: D102 - the name of a test is its sentence
"""Tests a sampler for conformance: pure, keyed by trial number, valid in every space.

Subclass `SamplerConformance` and override its fixture `make_sampler`.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeAlias

import pytest

from tunekit.errors import SpaceExhausted
from tunekit.history import History
from tunekit.records import (
    MetricConstraint,
    ObjectiveSpec,
    Outcome,
    Proposal,
    TrialRecord,
    TrialState,
)
from tunekit.samplers.base import Sampler, StudyView, sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Repeat, Space, When

MakeSampler: TypeAlias = Callable[[], Sampler]

ONE = (ObjectiveSpec("loss"),)
TWO = (ObjectiveSpec("loss"), ObjectiveSpec("speed", "maximize"))
BOUND = (MetricConstraint("memory", "<=", 0.8),)

TREE = Space(
    model=Categorical(
        {
            "svm": Space(
                C=Float(1e-3, 1e3, log=True),
                kernel=Categorical(
                    {"linear": None, "rbf": Space(gamma=Float(1e-4, 10, log=True))}
                ),
            ),
            ("forest", "boost"): Space(trees=Int(10, 500, log=True), depth=Int(2, 32)),
        }
    ),
    scaler=["none", "standard", "robust"],
)

SPACES: Mapping[str, Space] = {
    "nested": TREE,
    "flat": Space(x=Float(-5, 5), y=Float(0, 1, step=0.1), n=Int(0, 30, step=3)),
    "repeat": Space(
        layers=Repeat(0, 3, Space(units=Int(8, 256, log=True), norm=bool)), lr=Float(0, 1)
    ),
    "when": Space(
        optimizer=["sgd", "adam"],
        workers=Int(1, 4),
        when=[
            When("optimizer", "sgd", Space(momentum=Float(0, 0.99))),
            When("workers", [2, 4], Space(prefetch=Int(1, 8))),
        ],
    ),
    "constrained": Space(a=Int(1, 16), b=Int(1, 16), c=bool, constraints=["a * b <= 64"]),
    "tight": Space(
        e=Repeat(24, 24, Space(bits=Categorical([2, 3, 4, 8]))),
        constraints=["sum(e[*].bits) <= 68"],
    ),
    "special": Space(
        cache=Int(1, 4096, log=True, special=(-1, 0)), rate=Float(0.1, 1, special=(0,))
    ),
    "fidelity": Space(x=Float(0, 1), epochs=Int(1, 27, log=True, fidelity=True), kind=["a", "b"]),
    "ordered": Space(size=Categorical(["s", "m", "l"], ordered=True), flag=[True, 2, "2", None]),
    "constants": Space(kind="plain", x=Float(0, 1), version=3),
    "one point": Space(x=Float(2, 2), n=Int(7, 7), only=["here"]),
    "only constants": Space(a=1, b="two"),
    "empty": Space(),
}


def loss_of(params: Params) -> float:
    """Return a smooth, deterministic loss of any point of any space."""
    return sum(
        (float(v) / (1 + abs(v)) - 0.3) ** 2 if isinstance(v, int | float) else 0.1 * len(str(v))
        for v in params.values()
    )


def measured(params: Params) -> dict[str, float]:
    """Return all metrics used by the studies of this suite."""
    loss = loss_of(params)
    return {"loss": loss, "speed": math.sin(3 * loss), "memory": abs(math.cos(5 * loss))}


def view_of(
    space: Space,
    trials: Iterable[TrialRecord] = (),
    *,
    objectives: tuple[ObjectiveSpec, ...] = ONE,
    constraints: tuple[MetricConstraint, ...] = (),
    fixed: Mapping[int, Params] | None = None,
    seed: int = 7,
) -> StudyView:
    """Return a sampler's view of a study with these trials."""
    history = History(objectives, constraints, space.target)
    history.update(trials, cursor=0)
    return StudyView(space, objectives, constraints, seed, history, dict(fixed or {}))


def ended(number: int, proposal: Proposal, outcome: Outcome | None = None) -> TrialRecord:
    """Return a finished trial, by default a complete one."""
    outcome = outcome or Outcome(TrialState.COMPLETE, metrics=measured(proposal.params))
    return TrialRecord(
        number,
        outcome.state,
        seq=number + 1,
        params=proposal.params,
        sampler=proposal.sampler,
        evidence=json.loads(json.dumps(dict(proposal.evidence))),
        metrics=outcome.metrics,
        stop_evidence=outcome.evidence,
    )


def random_trials(space: Space, n: int, state: TrialState | None = None) -> list[TrialRecord]:
    """Return trials 0 to n - 1 at random points, complete or all in `state`."""
    points = [sample(space, stream(99, k)) for k in range(n)]
    trials = [ended(k, Proposal(p, "random")) for k, p in enumerate(points)]
    if state is not None:
        trials = [replace(t, state=state, metrics={}) for t in trials]
    return trials


def check_cheap(trials: Sequence[TrialRecord], path: str, target: int) -> None:
    """Assert that a model ran some trials below the target, whose evidence says at what cost."""
    cheap = [
        t for t in trials if t.evidence.get("fidelity") and t.params and t.params[path] != target
    ]
    assert cheap
    for t in cheap:
        assert t.params is not None
        at = t.evidence["fidelity"]
        assert at["at"] == t.params[path]
        assert at["at"] < target
        assert abs(at["relative_cost"] - at["at"] / target) <= 1e-4


def run(
    sampler: Sampler, space: Space, n: int, fresh: MakeSampler | None = None, **study: Any
) -> list[TrialRecord]:
    """Run a sequential study and return its trials; `fresh` makes a new sampler for each."""
    trials: list[TrialRecord] = []
    for number in range(n):
        view = view_of(space, trials, **study)
        used = fresh() if fresh is not None else sampler
        proposals = proposed(used, view, [number])
        if not proposals:
            break
        trials.append(ended(number, proposals[0]))
    return trials


def proposed(sampler: Sampler, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
    """Return the proposals, or an empty list if the sampler reports an exhausted space."""
    try:
        return sampler.suggest(view, numbers)
    except SpaceExhausted:
        return []


def check(view: StudyView, numbers: Sequence[int], proposals: Sequence[Proposal]) -> None:
    """Assert that proposals are valid, keep fixed values, and can be stored."""
    assert len(proposals) in (0, len(numbers))
    for number, proposal in zip(numbers, proposals, strict=False):
        point = view.space.validate(proposal.params)
        assert list(point.items()) == list(proposal.params.items())
        assert [type(v) for v in point.values()] == [type(v) for v in proposal.params.values()]
        for path, value in view.fixed.get(number, {}).items():
            assert proposal.params[path] == value
        assert proposal.reason and "\n" not in proposal.reason
        assert json.loads(json.dumps(dict(proposal.evidence))) == dict(proposal.evidence)


class SamplerConformance:
    """Rules for every sampler; see `tunekit.samplers.base.Sampler`."""

    learns: ClassVar[bool] = True
    """Whether proposals depend on the history; if `False`, stricter rules apply."""

    several_objectives: ClassVar[bool] = True

    chooses_fidelity: ClassVar[bool] = False
    """Whether the sampler may propose trials below the target fidelity."""

    n_trials: ClassVar[int] = 16
    """Length of the longer studies; must exceed the sampler's start-up phase."""

    @pytest.fixture
    def make_sampler(self) -> MakeSampler:
        raise NotImplementedError("override the fixture make_sampler")

    @pytest.fixture
    def sampler(self, make_sampler: MakeSampler) -> Sampler:
        return make_sampler()

    @pytest.mark.parametrize("name", SPACES)
    def test_every_proposal_is_a_valid_point_of_every_space(
        self, sampler: Sampler, name: str
    ) -> None:
        space = SPACES[name]
        trials = run(sampler, space, self.n_trials)
        view = view_of(space, trials)
        check(view, range(50, 53), proposed(sampler, view, range(50, 53)))

    def test_a_fidelity_is_left_at_its_target_unless_it_is_fixed(self, sampler: Sampler) -> None:
        space = SPACES["fidelity"]
        epochs = [t.params["epochs"] for t in run(sampler, space, self.n_trials) if t.params]
        assert self.chooses_fidelity or set(epochs) == {27}
        trials = random_trials(space, self.n_trials)
        trials = [replace(t, params=Params({**(t.params or {}), "epochs": 3})) for t in trials[1:]]
        view = view_of(space, trials, fixed={40: Params({"epochs": 9})})
        proposals = proposed(sampler, view, [40, 41])
        check(view, [40, 41], proposals)
        assert self.chooses_fidelity or [p.params["epochs"] for p in proposals] in ([], [9, 27])

    @pytest.mark.parametrize("name", ["nested", "repeat", "constrained", "special"])
    def test_a_fresh_instance_answers_the_same(
        self, sampler: Sampler, make_sampler: MakeSampler, name: str
    ) -> None:
        cached = run(sampler, SPACES[name], self.n_trials)
        fresh = run(sampler, SPACES[name], self.n_trials, fresh=make_sampler)
        # Evidence is not compared: a saved optimiser may contain uninitialised memory. Later
        # trials show that both lead to the same points.
        assert [(t.params, t.sampler) for t in fresh] == [(t.params, t.sampler) for t in cached]

    def test_what_was_asked_before_does_not_matter(
        self, sampler: Sampler, make_sampler: MakeSampler
    ) -> None:
        trials = random_trials(TREE, self.n_trials)
        proposed(sampler, view_of(SPACES["flat"], seed=3), [5, 2])
        proposed(sampler, view_of(TREE, trials[:4]), [9])
        proposed(sampler, view_of(TREE, trials), [40, 3])
        view = view_of(TREE, trials)
        assert sampler.suggest(view, [30]) == make_sampler().suggest(view, [30])

    def test_the_seed_and_the_number_key_the_proposal(self, make_sampler: MakeSampler) -> None:
        trials = random_trials(TREE, self.n_trials)
        points = [
            make_sampler().suggest(view_of(TREE, trials, seed=seed), [number])[0].params
            for seed in (0, 1)
            for number in (30, 31)
        ]
        assert len({tuple(p.items()) for p in points}) == 4

    def test_several_numbers_at_once_are_one_proposal_each(self, sampler: Sampler) -> None:
        view = view_of(TREE, random_trials(TREE, self.n_trials))
        together = sampler.suggest(view, [20, 21, 25])
        check(view, [20, 21, 25], together)
        assert together[0] == sampler.suggest(view, [20])[0]
        assert sampler.suggest(view, []) == []
        if not self.learns:
            alone = [sampler.suggest(view, [k])[0] for k in (25, 20, 21)]
            assert [together[2], together[0], together[1]] == alone
            assert sampler.suggest(view_of(TREE), [25])[0] == together[2]

    @pytest.mark.parametrize("n_pending", [0, 1, 50])
    def test_any_number_of_trials_may_be_pending(self, sampler: Sampler, n_pending: int) -> None:
        done = random_trials(TREE, self.n_trials)
        points = random_trials(TREE, self.n_trials + n_pending)[self.n_trials :]
        pending = [replace(t, state=TrialState.RUNNING, metrics={}) for t in points]
        view = view_of(TREE, [*done, *pending])
        numbers = [100, 101]
        check(view, numbers, sampler.suggest(view, numbers))

    def test_the_first_trial_may_have_fifty_pending_ones(self, sampler: Sampler) -> None:
        view = view_of(TREE, random_trials(TREE, 50, TrialState.RUNNING))
        check(view, [50], sampler.suggest(view, [50]))

    @pytest.mark.parametrize("n", [0, 16])
    def test_fixed_values_are_kept_with_the_switches_that_they_need(
        self, sampler: Sampler, n: int
    ) -> None:
        fixed = {
            0: Params({"scaler": "robust"}),
            41: Params({"model": "svm", "model.svm.kernel": "rbf"}),
            42: Params({"model.svm.kernel.rbf.gamma": 0.5}),
            43: Params({"model.forest|boost.depth": 5}),
        }
        view = view_of(TREE, random_trials(TREE, n)[1:], fixed=fixed)
        numbers = [0, 41, 42, 43, 44]
        check(view, numbers, sampler.suggest(view, numbers))

    def test_failed_diverged_and_stopped_trials_do_no_harm(self, sampler: Sampler) -> None:
        nan = Outcome(TrialState.DIVERGED, metrics={"loss": math.nan})
        outcomes = [
            nan,
            Outcome(TrialState.DIVERGED, metrics={"loss": -math.inf}),
            Outcome(TrialState.FAILED, reason="it raised"),
            Outcome(TrialState.STOPPED, metrics={"loss": 2.0}, evidence={"step": 3}),
            Outcome(TrialState.STOPPED),
            Outcome(TrialState.STOPPED, metrics={"loss": math.nan}),
            Outcome(TrialState.LOST),
            Outcome(TrialState.CANCELLED),
        ]
        points = random_trials(TREE, 2 * self.n_trials)
        for only_bad in (True, False):
            trials = [
                t
                if not only_bad and k % 3 == 0
                else ended(k, Proposal(t.params or Params(), "x"), outcomes[k % len(outcomes)])
                for k, t in enumerate(points)
            ]
            unknown = TrialRecord(90, TrialState.RUNNING, seq=91)
            lost = TrialRecord(91, TrialState.LOST, seq=92)
            view = view_of(TREE, [*trials, unknown, lost])
            check(view, [95, 96], sampler.suggest(view, [95, 96]))

    def test_constraints_on_metrics_are_understood(self, sampler: Sampler) -> None:
        trials = random_trials(TREE, self.n_trials)
        trials[2] = replace(trials[2], metrics={"loss": 0.5})  # its memory metric is missing
        view = view_of(TREE, trials, constraints=BOUND)
        check(view, [30, 31], sampler.suggest(view, [30, 31]))

    @pytest.mark.parametrize("constraints", [(), BOUND], ids=["free", "bounded"])
    def test_several_objectives_are_understood(
        self, sampler: Sampler, constraints: tuple[MetricConstraint, ...]
    ) -> None:
        if not self.several_objectives:
            pytest.skip("the sampler handles one objective")
        trials = random_trials(TREE, self.n_trials)
        stopped = Outcome(TrialState.STOPPED, metrics={"loss": 2.0, "speed": 1.0})
        trials[3] = ended(3, Proposal(trials[3].params or Params(), "x"), stopped)
        view = view_of(TREE, trials, objectives=TWO, constraints=constraints)
        check(view, [30, 31], sampler.suggest(view, [30, 31]))

    def test_equal_results_everywhere_do_no_harm(self, sampler: Sampler) -> None:
        trials = [replace(t, metrics={"loss": 1.0}) for t in random_trials(TREE, self.n_trials)]
        view = view_of(TREE, trials)
        check(view, [30], sampler.suggest(view, [30]))

    def test_a_trial_outside_of_an_edited_space_does_no_harm(self, sampler: Sampler) -> None:
        trials = run(sampler, SPACES["flat"], self.n_trials)
        narrow = Space(x=Float(-1, 1), n=Int(0, 6), z=bool)
        view = view_of(narrow, trials)
        check(view, [60], sampler.suggest(view, [60]))

    def test_the_history_is_not_changed(self, sampler: Sampler) -> None:
        trials = run(sampler, TREE, self.n_trials)
        view = view_of(TREE, trials, fixed={60: Params({"scaler": "none"})})
        before = copy.deepcopy((list(view.history), view.history.revision, view.fixed))
        sampler.suggest(view, [60, 61])
        assert (list(view.history), view.history.revision, view.fixed) == before

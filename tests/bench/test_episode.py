"""One run: what is told, in which order, and what a sampler sees of the trials that run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tunekit.bench.episode import SamplerProposer, play
from tunekit.bench.problem import Problem
from tunekit.errors import InvalidArgument, InvalidResult
from tunekit.records import MetricConstraint, ObjectiveSpec, Proposal, TrialState
from tunekit.registry import make
from tunekit.samplers.base import StudyView
from tunekit.samplers.random import RandomSampler
from tunekit.spaces import Space
from tunekit.testing.problems import FLAT, TREE, branchy, sphere, two


class Watcher:
    """Proposes random points and remembers what it was shown."""

    name = "watcher"

    def __init__(self) -> None:
        self.random = RandomSampler()
        self.seen: list[tuple[int, int, int]] = []

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        history = view.history
        self.seen += [(n, history.n_finished, len(history.pending())) for n in numbers]
        return self.random.suggest(view, numbers)


def played(problem, sampler=None, **options):
    return play(problem, SamplerProposer(sampler or RandomSampler()), **options)


def test_one_worker_never_sees_a_pending_trial():
    watcher = Watcher()
    episode = played(two()[0], watcher, n_trials=5)
    assert watcher.seen == [(n, n, 0) for n in range(5)]
    assert episode.numbers == [0, 1, 2, 3, 4]
    assert episode.ended_s == [1, 2, 3, 4, 5]


def test_with_eight_workers_a_proposal_sees_seven_pending_trials():
    watcher = Watcher()
    episode = played(two()[0], watcher, n_trials=30, workers=8)
    assert [pending for _, _, pending in watcher.seen] == [0, 1, 2, 3, 4, 5, 6] + [7] * 23
    assert [done for _, done, _ in watcher.seen[7:]] == list(range(23))
    assert sorted(episode.numbers) == list(range(30))
    assert episode.numbers != sorted(episode.numbers), "trials end out of order"
    assert episode.ended_s == sorted(episode.ended_s)


def test_trials_end_in_the_order_of_their_own_seconds():
    problem = replace(two()[1], seconds=lambda p: 10.0 if float(p["x"]) > 0 else 1.0)
    episode = played(problem, n_trials=12, workers=3, keep_params=True)
    first = [p["x"] > 0 for p in episode.params]
    assert first.index(True) > first.index(False)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    runs = [played(two()[0], n_trials=6, workers=2, seed=s).losses for s in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_what_raises_has_failed_and_what_is_nan_has_diverged():
    def brittle(params):
        if params["model"] == "a":
            raise ValueError("too large")
        return math.nan if params["depth"] > 5 else branchy(params)

    watcher = Watcher()
    episode = played(Problem("t/brittle", TREE, brittle), watcher, n_trials=40)
    assert set(episode.states) == {"complete", "failed", "diverged"}
    for state, loss in zip(episode.states, episode.losses, strict=True):
        assert (loss is not None) == (state == TrialState.COMPLETE)


def test_a_result_without_the_objective_is_a_fault_of_the_problem():
    with pytest.raises(InvalidResult, match="lacks"):
        played(Problem("t/wrong", FLAT, lambda p: {"other": 1.0}), n_trials=2)


def test_a_trial_that_breaks_a_metric_constraint_has_no_loss():
    problem = Problem(
        "t/bounded",
        FLAT,
        lambda p: {"gain": -sphere(p), "size": abs(float(p["x"]))},
        objectives=(ObjectiveSpec("gain", "maximize"),),
        constraints=(MetricConstraint("size", "<=", 2.0),),
    )
    episode = played(problem, n_trials=30, keep_params=True)
    for params, loss in zip(episode.params, episode.losses, strict=True):
        assert loss == (sphere(params) if abs(params["x"]) <= 2 else None)


def test_regret_is_measured_without_the_noise_that_samplers_are_told():
    problem = Problem("t/noisy", FLAT, lambda p: sphere(p) + 7, noise=7.0, exact=sphere)
    episode = played(problem, n_trials=5)
    assert episode.losses == pytest.approx([v + 7 for v in episode.exact])


def test_an_exhausted_sampler_ends_the_run_early():
    problem = Problem("t/three", Space(k=["a", "b", "c"]), lambda p: float(len(str(p))))
    episode = played(problem, make("sampler", "grid"), n_trials=9, workers=2)
    assert sorted(episode.numbers) == [0, 1, 2]


def test_arguments_that_make_no_run_are_refused():
    with pytest.raises(InvalidArgument, match="expected 1 or more"):
        played(two()[0], n_trials=0)
    several = replace(two()[0], objectives=(ObjectiveSpec("a"), ObjectiveSpec("b")))
    with pytest.raises(InvalidArgument, match="2 objectives"):
        played(several, n_trials=1)

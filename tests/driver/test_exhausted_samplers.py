"""A sampler at its end takes no number that it has no point for."""

import time

import pytest

import tunekit as tk
from tunekit.errors import SpaceExhausted
from tunekit.executors.simulated import Replay, SimulatedExecutor
from tunekit.records import Proposal, TrialState
from tunekit.samplers.racing.sampler import RacingSampler
from tunekit.spaces import Params

SIX = tk.Space(a=tk.Int(1, 3), b=tk.Categorical(["u", "v"]))
UNIT = tk.Space(x=tk.Float(0, 1))


def value(trial):
    return trial.params["a"]


def x_of(trial):
    return trial.params["x"]


def points(study):
    return {tuple(t.params.items()) for t in study.history.complete()}


def test_a_grid_leaves_no_trial_without_a_point_however_often_it_is_started():
    study = tk.study(space=SIX, sampler="grid")
    for _ in range(3):
        assert study.optimize(value, n_trials=100) == "exhausted"
        assert study.refresh().counts() == {TrialState.COMPLETE: 6}
    assert study.optimize(value, total_trials=100) == "exhausted"
    with pytest.raises(SpaceExhausted, match="6 points"):
        study.ask()
    assert len(study.trials) == 6


@pytest.mark.parametrize("slots", [4, 5, 7])
def test_slots_beyond_the_end_of_a_grid_cost_none_of_its_points(slots):
    study = tk.study(space=SIX, sampler="grid")
    curve = Replay(lambda params: [(1.0, {"value": params["a"]})])
    assert study.optimize(curve, executor=SimulatedExecutor(slots)) == "exhausted"
    assert study.refresh().counts() == {TrialState.COMPLETE: 6}
    assert len(points(study)) == 6


def test_two_workers_share_the_end_of_a_grid(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    study = tk.study("s", space=SIX, sampler="grid", storage=url)
    other = tk.load_study("s", storage=url)
    trials = [(s, s.ask()) for s in (study, other, other, study, other, study)]
    for s in (study, other):
        with pytest.raises(SpaceExhausted):
            s.ask()
    for s, trial in trials:
        s.tell(trial, value(trial))
    study.refresh()
    assert len(points(study)) == len(study.trials) == 6


def test_points_that_a_user_enqueues_run_beside_a_grid():
    study = tk.study(space=SIX, sampler="grid")
    study.enqueue_trial({"a": 2})
    assert study.optimize(value, n_trials=100) == "exhausted"
    study.enqueue_trial({"a": 3, "b": "u"})
    assert study.optimize(value, n_trials=100) == "exhausted"
    assert study.refresh().counts() == {TrialState.COMPLETE: 8}
    assert len(points(study)) == 6


def test_a_race_over_a_grid_leaves_no_trial_without_a_point():
    study = tk.study(space=tk.Space(x=tk.Int(0, 2)), sampler=RacingSampler(sampler="grid"))
    assert study.optimize(lambda t: t.params["x"], 40) == "exhausted"
    assert set(study.refresh().counts()) == {TrialState.COMPLETE}


def test_what_is_proposed_before_a_claim_replays():
    study = tk.study(space=SIX, sampler="grid", seed=3)
    study.enqueue_trial({"a": 2})
    study.optimize(value, workers=1)
    curve = Replay(lambda params: [(1.0, {"value": params["a"]})])
    study.optimize(curve, executor=SimulatedExecutor(3))
    assert study.replay() == []


class Five:
    """Five points and then no more; it says nothing of its end beforehand."""

    name = "five"

    def suggest(self, view, numbers):
        if max(numbers) >= 5:
            raise SpaceExhausted("five points are all there are.")
        return [self._proposal(view, n) for n in numbers]

    def _proposal(self, view, number):
        params = {"x": number / 10, **view.fixed.get(number, {})}
        return Proposal(Params(params, view.space), self.name, "the next of five")


class FiveResults(Five):
    """It counts the trials, not their numbers."""

    def suggest(self, view, numbers):
        known = len(view.history.complete()) + len(view.history.pending())
        if known + len(numbers) > 5:
            raise SpaceExhausted("five points are all there are.")
        return [self._proposal(view, n) for n in numbers]


@pytest.mark.parametrize("sampler", [Five, FiveResults])
@pytest.mark.parametrize("workers", [1, 3])
def test_any_sampler_may_end_the_study_without_a_trial_of_no_point(sampler, workers):
    study = tk.study(space=UNIT, sampler=sampler())
    for _ in range(3):
        assert study.optimize(x_of, n_trials=20, workers=workers) == "exhausted"
        assert study.refresh().counts() == {TrialState.COMPLETE: 5}


@pytest.mark.parametrize("sampler", [Five, FiveResults])
def test_any_sampler_may_end_asking_and_given_points_are_still_run(sampler):
    study = tk.study(space=UNIT, sampler=sampler())
    for _ in range(5):
        study.tell(study.ask(), 1.0)
    for _ in range(2):
        with pytest.raises(SpaceExhausted, match="five points"):
            study.ask()
    assert study.refresh().counts() == {TrialState.COMPLETE: 5}
    trial = study.ask(fixed={"x": 0.25})
    assert dict(trial.params) == {"x": 0.25}
    study.tell(trial, 1.0)
    study.enqueue_trial({"x": 0.75})
    study.enqueue_trial({})
    assert study.optimize(x_of, n_trials=20) == "exhausted"
    assert study.refresh().counts() == {TrialState.COMPLETE: 8}
    assert [t.params["x"] for t in study.trials[-3:]] == [0.25, 0.75, 0.5]
    assert [t.sampler for t in study.trials[-3:]] == ["user", "user", "default"]


def test_a_sampler_that_fails_leaves_no_trial_without_a_point():
    class Broken(Five):
        def suggest(self, view, numbers):
            if max(numbers) >= 2:
                raise ZeroDivisionError("a bug")
            return super().suggest(view, numbers)

    study = tk.study(space=UNIT, sampler=Broken())
    with pytest.raises(ZeroDivisionError):
        study.optimize(x_of, n_trials=20)
    with pytest.raises(ZeroDivisionError):
        study.ask()
    assert study.refresh().counts() == {TrialState.COMPLETE: 2}


@pytest.mark.parametrize("sampler", [Five, FiveResults])
@pytest.mark.parametrize("workers", [1, 3])
def test_points_enqueued_at_the_end_run_also_where_the_sampler_is_slow(sampler, workers):
    class Slow(sampler):
        def suggest(self, view, numbers):
            time.sleep(0.02)
            return super().suggest(view, numbers)

    def enqueue_twice(study, trial):
        if trial.number in (3, 4):
            study.enqueue_trial({"x": 0.75})

    study = tk.study(space=UNIT, sampler=Slow())
    study.enqueue_trial({"x": 0.25})
    assert (
        study.optimize(x_of, n_trials=20, workers=workers, callbacks=[enqueue_twice])
        == "exhausted"
    )
    assert set(study.refresh().counts()) == {TrialState.COMPLETE}
    assert [t.params["x"] for t in study.trials if t.sampler == "user"] == [0.25, 0.75, 0.75]

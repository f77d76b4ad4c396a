"""Shares that change while the studies run: who comes, who leaves, weights, quotas and bounds."""

from collections import Counter

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.executors.simulated import Replay, SimulatedExecutor
from tunekit.records import TrialState
from tunekit.sharing.shared_run import SharedRun


def study(name):
    return tk.study(name, space={"x": tk.Float(0, 1)}, sampler="random", seed=3)


def hours():
    return Replay(lambda params: [(900 * (0.5 + params["x"]), {"value": params["x"]})] * 4)


def running(shared):
    return {m.study.name: len(m.slice.running) for m in shared._members}


def test_a_weight_changed_in_mid_run_moves_the_slots():
    shared = SharedRun(SimulatedExecutor(8), min_run_s=0)
    seen = []

    def look(s, trial):
        seen.append(running(shared))
        if len(seen) == 20:
            shared.change("b", weight=3.0)

    shared.add(study("a"), hours(), n_trials=80, callbacks=look)
    shared.add(study("b"), hours(), n_trials=80)
    assert shared.run() == {"a": "done", "b": "done"}
    before, after = (Counter(), Counter())
    for now in seen[8:20]:
        before.update(now)
    for now in seen[28:40]:
        after.update(now)
    assert before["a"] / before["b"] == pytest.approx(1, abs=0.3), "half each at first"
    assert after["a"] / after["b"] < 0.5
    with pytest.raises(InvalidArgument, match="'c' does not take part"):
        shared.change("c", weight=1.0)


def test_a_study_holds_no_more_than_its_bound_and_others_take_the_rest():
    shared = SharedRun(SimulatedExecutor(6))
    seen = []
    shared.add(study("a"), hours(), n_trials=12, most=2)
    shared.add(study("b"), hours(), n_trials=12, callbacks=lambda *_: seen.append(running(shared)))
    shared.run()
    assert max(now.get("a", 0) for now in seen) == 2


def test_a_study_that_is_taken_out_leaves_its_trials_to_others_and_may_come_back():
    shared = SharedRun(SimulatedExecutor(4))
    a, b = study("a"), study("b")

    def look(s, trial):
        if trial.number == 1:
            shared.leave("a", "cancelled")

    shared.add(a, hours(), n_trials=40)
    shared.add(b, hours(), n_trials=8, callbacks=look)
    calls = []

    def attend():
        calls.append(1)
        return False

    assert shared.run(attend=attend) == {"a": "left", "b": "done"}
    assert calls
    counts = a.refresh().counts()
    assert TrialState.RUNNING not in counts and counts[TrialState.WAITING] >= 1
    again = SharedRun(SimulatedExecutor(4))
    again.add(a, hours(), total_trials=8)
    again.run()
    assert a.refresh().counts() == {TrialState.COMPLETE: 8}


def test_the_run_goes_on_without_a_study_until_the_attendant_says_so():
    shared = SharedRun(SimulatedExecutor(2))
    steps = iter([True, True, False])
    made = study("late")

    def attend():
        goes_on = next(steps)
        shared._attended_at = -1e9  # the next turn asks again
        if not goes_on:
            shared.add(made, hours(), n_trials=3)
        return goes_on

    assert shared.run(attend=lambda: attend()) == {"late": "done"}
    assert made.refresh().counts() == {TrialState.COMPLETE: 3}

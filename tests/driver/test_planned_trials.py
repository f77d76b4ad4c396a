"""What a run plans reaches the sampler, and is kept with what the sampler made of it."""

from __future__ import annotations

import time

import pytest

import tunekit as tk
from tunekit.driver.run_settings import Goal
from tunekit.driver.start_limit import StartLimit
from tunekit.driver.trial_budget import TrialBudget
from tunekit.history import History
from tunekit.records import ObjectiveSpec
from tunekit.samplers.random import RandomSampler
from tunekit.testing.samplers import random_trials

SPACE = tk.Space(x=tk.Float(0.0, 1.0))


class Listener:
    """Proposes at random and notes what it is told of the plan."""

    name = "listener"
    may_end = False

    def __init__(self):
        self.planned = []
        self._inner = RandomSampler()

    def suggest(self, view, numbers):
        self.planned.append(view.planned)
        return self._inner.suggest(view, numbers)


def loss(trial):
    return trial.params["x"]


def test_a_run_tells_the_sampler_how_many_trials_the_study_will_have():
    listener = Listener()
    study = tk.study(space=SPACE, sampler=listener)
    study.optimize(loss, n_trials=4)
    study.optimize(loss, n_trials=2)
    study.optimize(loss, total_trials=9)
    assert listener.planned == 4 * [4] + 2 * [6] + 3 * [9]


def test_enqueued_trials_are_part_of_the_plan():
    listener = Listener()
    study = tk.study(space=SPACE, sampler=listener)
    study.enqueue_trial({"x": 0.5})
    study.optimize(loss, n_trials=3)
    assert set(listener.planned) == {3}


def test_a_trial_asked_for_by_hand_has_the_plan_of_the_study_alone():
    listener = Listener()
    study = tk.study(space=SPACE, sampler=listener)
    study.optimize(loss, n_trials=2)
    study.ask()
    assert listener.planned[-1] is None
    again = tk.study(space=SPACE, sampler=listener, attrs={"max_trials": 30})
    again.ask()
    assert listener.planned[-1] == 30


def test_under_a_time_limit_the_plan_follows_from_the_pace(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    history = History((ObjectiveSpec("loss"),))
    budget = TrialBudget(Goal(timeout_s=100.0), history)
    assert budget.planned() is None, "nothing is known of the pace"
    for _ in range(4):
        budget.start()
    history.update(random_trials(SPACE, 4), cursor=1)
    now[0] += 20.0
    assert budget.planned() == 4 + 16


@pytest.mark.parametrize(
    ("goal", "most", "planned"),
    [(Goal(10, 12), None, 12), (Goal(10, None), None, 14), (Goal(10, None), 3, 7), (Goal(), 3, 7)],
)
def test_the_narrowest_limit_holds(goal, most, planned):
    history = History((ObjectiveSpec("loss"),))
    history.update(random_trials(SPACE, 4), cursor=1)
    limit = None if most is None else StartLimit(most)
    assert TrialBudget(goal, history, "", limit).planned() == planned

"""When failures end a run, and trials that lost their worker run again in it."""

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, TooManyFailures
from tunekit.executors.base import Ended
from tunekit.executors.inline import InlineExecutor
from tunekit.records import Outcome, TrialState


@pytest.fixture
def study():
    return tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1)


def fail_each_second(trial):
    if trial.number % 2:
        raise ValueError("odd")
    return 1.0


def test_one_failure_more_than_allowed_ends_the_run_and_says_which(study):
    with pytest.raises(TooManyFailures, match=r"max_failed_trials=2 may; the last, trial 5"):
        study.optimize(fail_each_second, 100, max_failed_trials=2)
    assert [str(t.state) for t in study.trials] == ["complete", "failed"] * 3


def test_as_many_failures_as_allowed_end_no_run(study):
    assert study.optimize(fail_each_second, 10, max_failed_trials=5) == "done"


def test_a_budget_below_nothing_is_refused(study):
    with pytest.raises(InvalidArgument, match="max_failed_trials=-1"):
        study.optimize(fail_each_second, 1, max_failed_trials=-1)


class Forgetful(InlineExecutor):
    """Loses the worker of trial 1 twice."""

    def poll(self, timeout_s):
        lost = Outcome(TrialState.WAITING, reason="lost its worker 7 on node a")
        return [
            Ended(e.number, e.epoch, lost) if e.number == 1 and e.epoch <= 2 else e
            for e in super().poll(timeout_s)
        ]


def test_a_trial_that_lost_its_worker_runs_again_and_counts_once(study):
    assert study.optimize(lambda trial: 1.0, 4, executor=Forgetful()) == "done"
    assert [str(t.state) for t in study.trials] == ["complete"] * 4
    assert [t.epoch for t in study.trials] == [1, 3, 1, 1]
    events = study.storage.events(study.id)
    assert [e.number for e in events if e.kind == "told"] == [0, 1, 2, 3]

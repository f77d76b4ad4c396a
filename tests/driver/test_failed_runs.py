"""When failures end a run, and trials that lost their worker run again in it."""

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, InvalidResult, TooManyFailures
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
    with pytest.raises(TooManyFailures, match=r"more than max_failed_trials=2; the last, trial 5"):
        study.optimize(fail_each_second, 100, max_failed_trials=2)
    assert [str(t.state) for t in study.trials] == ["complete", "failed"] * 3


def test_as_many_failures_as_allowed_end_no_run(study):
    assert study.optimize(fail_each_second, 10, max_failed_trials=5) == "done"


def test_a_budget_below_nothing_is_refused(study):
    with pytest.raises(InvalidArgument, match="max_failed_trials=-1"):
        study.optimize(fail_each_second, 1, max_failed_trials=-1)


def states(study):
    return [str(t.state) for t in study.trials]


def misnamed(trial):
    return {"error": trial.params["x"], "size": 1.0}


def broken_at(trial):
    raise ValueError(f"no data for {trial.params['x']} in {{'fold': {trial.number}}}")


def tuples(trial):
    trial.suggest_categorical("layers", [(64, 64), (128,)])


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (misnamed, r"lacks \['value'\]"),
        (broken_at, "ValueError: no data for"),
        (tuples, r"the choice \(64, 64\) is a tuple"),
    ],
)
def test_a_run_ends_once_its_first_five_trials_failed_in_the_same_way(objective, said):
    space = None if objective is tuples else {"x": tk.Float(0, 1)}
    study = tk.study(space=space, sampler="random", seed=1)
    with pytest.raises(TooManyFailures, match=f"the first 5 trials .*same way.*{said}"):
        study.optimize(objective, 100)
    assert states(study) == ["failed"] * 5


def test_a_misspelt_objective_ends_the_run_and_gets_the_closest_name():
    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="random", objectives="eror")
    with pytest.raises(TooManyFailures, match=r"lacks \['eror'\] \(did you mean \"error\"\?\)"):
        study.optimize(misnamed, 100)
    assert states(study) == ["failed"] * 5


def test_failures_in_processes_end_the_run_as_well(study):
    with pytest.raises(TooManyFailures, match="have all failed in the same way"):
        study.optimize(misnamed, 100, workers=2)
    assert 5 <= len(study.trials) <= 7


def test_a_number_of_allowed_failures_overrides_that(study):
    assert study.optimize(misnamed, 8, max_failed_trials=8) == "done"
    assert states(study) == ["failed"] * 8


def fail_in_two_ways(trial):
    if trial.number % 2:
        raise ValueError("odd")
    raise KeyError("even")


def test_trials_that_fail_in_different_ways_do_not_end_a_run(study):
    assert study.optimize(fail_in_two_ways, 8) == "done"


def test_a_study_with_a_complete_trial_goes_on_through_failures(study):
    study.optimize(lambda trial: 1.0, 1)
    assert study.optimize(misnamed, 8) == "done"
    assert states(study) == ["complete"] + ["failed"] * 8


def complete_first(trial):
    return 1.0 if trial.number == 0 else misnamed(trial)


def test_a_complete_trial_before_the_failures_keeps_a_run_going(study):
    assert study.optimize(complete_first, 8) == "done"


def test_a_complete_trial_without_the_metric_of_a_constraint_has_failed():
    study = tk.study(
        space={"x": tk.Float(0, 1)}, sampler="random", constraints=["latency_ms <= 8"]
    )
    said = r"lacks the metric of the constraint latency_ms <= 8 \(did you mean \"latency_s\"\?\)"
    with pytest.raises(TooManyFailures, match=said):
        study.optimize(lambda trial: {"value": 1.0, "latency_s": 2.0}, 100)
    assert states(study) == ["failed"] * 5
    with pytest.raises(InvalidResult, match="lacks the metric of the constraint"):
        study.tell(study.ask(), 1.0)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, r"it is None, as of a function without return; return a number"),
        ((1.0, 2.0), r"return one for each, or declare the objectives that you measure: tk.study"),
    ],
)
def test_a_result_of_another_form_says_what_to_write(result, said):
    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="random")
    with pytest.raises(TooManyFailures, match=said):
        study.optimize(lambda trial: result, 100)


def test_a_trial_that_is_stopped_may_lack_the_metric_of_a_constraint():
    study = tk.study(
        space={"x": tk.Float(0, 1)}, sampler="random", constraints=["latency_ms <= 8"]
    )
    assert str(study.tell(study.ask(), 1.0, state="stopped").state) == "stopped"


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

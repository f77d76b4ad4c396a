"""A study takes new objectives until a trial is complete; a single metric names an unnamed one."""

from __future__ import annotations

import pytest

import tunekit as tk
from tunekit.errors import InvalidResult, StudyExists, TooManyFailures

SPACE = {"x": tk.Float(0, 1)}


@pytest.fixture(params=["memory", "sqlite"])
def storage(request, tmp_path):
    if request.param == "memory":
        return tk.study(space=SPACE, sampler="random").storage
    return f"sqlite:///{tmp_path}/a.db"


def opened(storage, **given):
    return tk.study("s", space=SPACE, sampler="random", seed=1, storage=storage, **given)


def objective(trial):
    return {"error": trial.params["x"], "size": 1.0}


def one_metric(trial):
    return {"error": trial.params["x"]}


def test_a_misspelt_objective_is_corrected_by_opening_the_study_again(storage):
    with pytest.raises(TooManyFailures):
        opened(storage, objectives="eror").optimize(objective, 100)
    study = opened(storage, objectives={"error": "maximize"})
    assert [(o.metric, o.direction) for o in study.objectives] == [("error", "maximize")]
    assert study.optimize(objective, 3) == "done"
    again = tk.load_study("s", storage=study.storage)
    assert again.best_value == max(t.metrics["error"] for t in again.refresh().complete())
    with pytest.raises(StudyExists, match="exists with the objectives"):
        opened(storage, objectives="eror")


def test_a_misspelt_constraint_is_corrected_by_opening_the_study_again(storage):
    with pytest.raises(TooManyFailures):
        opened(storage, objectives="error", constraints=["sise <= 2"]).optimize(objective, 100)
    study = opened(storage, constraints=["size <= 2"])
    assert study.optimize(objective, 3) == "done"
    assert study.best_trial.metrics["size"] == 1.0
    with pytest.raises(StudyExists, match="exists with the constraints"):
        opened(storage, constraints=["sise <= 2"])


def test_a_single_metric_is_the_objective_that_nobody_named(storage):
    study = opened(storage)
    assert study.optimize(one_metric, 3) == "done"
    best = study.best_trial
    assert study.best_value == best.metrics["error"] == best.params["x"]
    named = opened(storage, objectives="error")
    assert named.objectives[0].metric == "error"
    assert named.best_trial.number == best.number
    with pytest.raises(StudyExists):
        opened(storage, objectives="size")


def test_a_single_metric_that_is_not_finite_diverges():
    study = opened(None)
    study.optimize(lambda trial: {"error": float("nan")}, 1)
    assert str(study.trials[0].state) == "diverged"


def test_a_named_objective_takes_no_other_metric_in_its_place():
    study = opened(None, objectives="loss")
    with pytest.raises(TooManyFailures, match=r"lacks \['loss'\]"):
        study.optimize(one_metric, 100)


def test_a_report_of_a_single_metric_may_be_of_something_else():
    options = {"bound": 0.5, "min_reports": 1}
    study = opened(None, stopper="threshold", stopper_options=options, audit=0.0)

    def reporting(trial):
        trial.report({"gradient_norm": 0.9}, 1)
        return 0.1

    study.optimize(reporting, 1)
    assert str(study.trials[0].state) == "complete"
    assert study.best_value == 0.1


@pytest.mark.parametrize("how", ["run", "ask", "read"])
def test_a_client_that_knew_the_old_objectives_follows_the_new_ones(storage, how):
    old = opened(storage, objectives="eror")
    asked = old.ask()
    new = opened(old.storage, objectives={"error": "maximize"}, constraints=["size <= 2"])
    if how == "ask":
        with pytest.raises(InvalidResult, match=r"lacks \['error'\]"):
            old.tell(asked, {"eror": 1.0})
    elif how == "run":
        with pytest.raises(TooManyFailures, match=r"lacks \['error'\]"):
            old.optimize(lambda trial: {"eror": trial.params["x"]}, 20)
        assert old.optimize(objective, 3) == "done"
    new.optimize(objective, 3)
    for study in (old, new, tk.load_study("s", storage=old.storage)):
        assert study.best_value == max(t.metrics["error"] for t in study.refresh().complete())
        assert [(o.metric, o.direction) for o in study.objectives] == [("error", "maximize")]
        assert all(t.metrics["size"] == 1.0 for t in study.get_trials(states=["complete"]))


def test_a_trial_that_ends_while_the_objectives_are_replaced_is_not_passed_over(storage):
    study = opened(storage, objectives="eror")
    trial, stored = study.ask(), study.storage.set_goal

    def set_goal(study_id, spec, *, expected_seq):
        study.storage.set_goal = stored
        study.tell(trial, {"eror": 1.0})
        stored(study_id, spec, expected_seq=expected_seq)

    study.storage.set_goal = set_goal
    with pytest.raises(StudyExists, match="exists with the objectives"):
        opened(study.storage, objectives="error")
    assert tk.load_study("s", storage=study.storage).best_value == 1.0

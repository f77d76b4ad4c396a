"""Enqueued points: measured as given, or refused with a sentence; no draw in the user's name."""

import re

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidParams, ObjectiveFailed
from tunekit.records import TrialState


def program(trial):
    lr = trial.suggest_float("lr", 0, 1)
    trial.suggest_categorical("kind", ["a", "b"])
    trial.suggest_int("n", 0, 10, step=2)
    return lr


def opened(**settings):
    return tk.study(sampler="random", seed=1, **settings)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ({"lr": 5.0}, r"expected a value in \[0.0, 1.0\]"),
        ({"lr": "x"}, "expected a finite number"),
        ({"lr": True}, "expected a finite number"),
        ({"kind": "zzz"}, "expected one of"),
        ({"n": 3}, "in steps of 2"),
        ({"n": 2.5}, "expected a whole number"),
        ({"lrr": 0.5}, r'never asked for "lrr".*did you mean "lr"'),
    ],
)
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_what_the_program_does_not_ask_fails_the_trial_and_is_not_drawn_anew(
    point, words, executor, tmp_path
):
    study = opened(storage=tmp_path / "s.db")
    study.enqueue_trial(point)
    study.optimize(program, n_trials=2, executor=executor)
    failed, other = study.trials
    assert failed.state is TrialState.FAILED and other.state is TrialState.COMPLETE
    assert failed.reason.startswith(f"enqueued by the user: {next(iter(point))};")
    assert re.search(words, failed.end_reason)
    assert other.sampler == "random"
    assert study.best_trial.number == other.number


def test_a_point_that_the_program_asks_for_is_measured_as_it_was_given():
    study = opened()
    study.enqueue_trial({"lr": 1, "n": np.int64(4)})
    study.enqueue_trial({"lr": 0.25, "kind": "b", "n": 8.0})
    study.optimize(program, n_trials=3)
    first, second, _ = study.trials
    assert {**first.params, "kind": "a"} == {"lr": 1.0, "n": 4, "kind": "a"}
    assert second.params == {"lr": 0.25, "kind": "b", "n": 8}
    assert [t.sampler for t in study.trials] == ["user", "user", "random"]
    assert [type(first.params[k]) for k in ("lr", "n")] == [float, int]


@pytest.mark.parametrize("point", [{"lr": 5.0}, {"lr": "1"}, {"kind": "c"}, {"n": 3}, {"x": [1]}])
def test_what_the_known_space_of_a_program_excludes_is_refused_at_the_door(point):
    study = opened()
    study.optimize(program, n_trials=1)
    with pytest.raises(InvalidParams):
        study.enqueue_trial(point)
    assert len(study.trials) == 1


def test_a_swallowed_refusal_does_not_make_a_result_of_the_user():
    def careless(trial):
        try:
            return trial.suggest_float("lr", 0, 1)
        except InvalidParams:
            return 0.5

    study = opened()
    study.enqueue_trial({"lr": 5.0})
    study.optimize(careless, n_trials=1)
    assert study.trials[0].state is TrialState.FAILED
    assert 'never asked for "lr"' in study.trials[0].end_reason
    study.enqueue_trial({"lrr": 0.1})
    with pytest.raises(ObjectiveFailed, match="never asked"):
        study.optimize(careless, n_trials=1, catch=())


def test_a_told_trial_is_held_to_its_enqueued_point_as_well():
    study = opened()
    study.enqueue_trial({"lrr": 0.1})
    trial = study.ask()
    told = study.tell(trial, program(trial))
    assert told.state is TrialState.FAILED and 'never asked for "lrr"' in told.end_reason
    study.enqueue_trial({"lr": 0.1})
    trial = study.ask()
    assert study.tell(trial, program(trial)).params["lr"] == 0.1


def test_a_value_that_waits_in_a_conditional_place_reaches_the_program():
    def tree(trial):
        if trial.suggest_categorical("model", ["rf", "svm"]) == "svm":
            return trial.suggest_float("C", 0, 1)
        return 0.0

    study = opened()
    study.optimize(tree, n_trials=10)
    study.enqueue_trial({"model": "svm", "C": 0.125})
    study.enqueue_trial({"C": 0.25})  # only an svm has one
    study.enqueue_trial({"model": "rf", "C": 0.5})
    study.optimize(tree, n_trials=3)
    first, second, third = study.trials[-3:]
    assert first.params == {"model": "svm", "C": 0.125} and first.sampler == "user"
    assert second.params == {"model": "svm", "C": 0.25}
    assert third.state is TrialState.FAILED and 'never asked for "C"' in third.end_reason


def test_a_point_that_waits_while_the_space_is_edited_fails_where_it_does_not_fit_any_more():
    study = tk.study(space={"x": tk.Float(0, 10), "y": tk.Float(0, 1)}, sampler="random", seed=1)
    for point in ({"x": 5}, {"x": 0.5}, {"y": 0.5}):
        study.enqueue_trial(point)
    study.edit_space({"x": tk.Float(0, 1), "z": tk.Int(1, 3)})
    study.optimize(lambda trial: trial.params["x"], n_trials=2)
    narrowed, kept, removed, drawn = study.trials
    assert narrowed.state is removed.state is TrialState.FAILED
    assert "before the space was edited" in narrowed.end_reason and "got 5" in narrowed.end_reason
    assert 'no parameter "y"' in removed.end_reason
    assert kept.params["x"] == 0.5 and kept.sampler == "user"
    assert drawn.sampler == "random"


def test_asking_for_a_point_that_does_not_fit_any_more_says_so():
    study = tk.study(space={"x": tk.Float(0, 10)}, sampler="random", seed=1)
    study.enqueue_trial({"x": 5})
    study.edit_space({"x": tk.Float(0, 1)})
    with pytest.raises(InvalidParams, match="before the space was edited"):
        study.ask()
    assert study.ask().params["x"] <= 1

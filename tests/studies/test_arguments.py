"""What a study and a run of it refuse, before anything is stored or started."""

import math
from fractions import Fraction

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, StudyExists, UnknownTrial
from tunekit.executors.base import Limits
from tunekit.executors.inline import InlineExecutor
from tunekit.executors.process.executor import ProcessExecutor
from tunekit.records import MetricConstraint, TrialState


@pytest.fixture
def study():
    return tk.study(space={"x": tk.Float(0, 1)}, sampler="random", seed=1)


def objective(trial):
    return trial.params["x"]


NO_NUMBERS = ["60", math.inf, math.nan, True, 0, -1, 10**400]


@pytest.mark.parametrize("value", [*NO_NUMBERS, None])
def test_a_lease_is_a_finite_number_of_seconds_above_zero(study, value):
    with pytest.raises(InvalidArgument, match="lease_s="):
        study.optimize(objective, n_trials=1, lease_s=value)
    assert study.trials == []


@pytest.mark.parametrize("name", ["trial_timeout_s", "memory_mib"])
@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("executor", ["inline", "process", None])
def test_a_limit_of_a_trial_is_a_finite_number_above_zero(study, name, value, executor):
    with pytest.raises(InvalidArgument, match=f"{name}=.*above 0"):
        study.optimize(objective, n_trials=1, executor=executor, **{name: value})
    assert study.trials == []


@pytest.mark.parametrize("resources", [5, ["gpu"], "gpu", {"cpu": "1"}, {"cpu": math.nan}])
def test_resources_are_amounts_by_name(study, resources):
    with pytest.raises(InvalidArgument, match="resource"):
        study.optimize(objective, n_trials=1, resources=resources)
    assert study.trials == []


@pytest.mark.parametrize("catch", [None, 5, "ValueError", ("ValueError",), (ValueError, 3), [int]])
def test_catch_takes_only_classes_of_exceptions(study, catch):
    with pytest.raises(InvalidArgument, match="catch="):
        study.optimize(objective, n_trials=1, catch=catch)
    assert study.trials == []


@pytest.mark.parametrize("catch", [ValueError, [ValueError], {ValueError, KeyError}])
def test_catch_takes_one_class_or_several(study, catch):
    def bad(trial):
        raise ValueError("bad")

    study.optimize(bad, n_trials=1, catch=catch)
    assert study.trials[0].state is TrialState.FAILED


@pytest.mark.parametrize("callbacks", [3, [3], [print, None], "f"])
def test_callbacks_are_functions(study, callbacks):
    with pytest.raises(InvalidArgument, match="callbacks="):
        study.optimize(objective, n_trials=1, callbacks=callbacks)
    assert study.trials == []


def test_one_callback_needs_no_list(study):
    seen = []
    study.optimize(objective, n_trials=2, callbacks=lambda s, t: seen.append((s, t.number)))
    assert seen == [(study, 0), (study, 1)]


def test_numbers_of_other_types_are_limits_too(study):
    limits = {
        "lease_s": np.float32(30),
        "trial_timeout_s": Fraction(99),
        "memory_mib": np.int64(9999),
    }
    study.optimize(objective, n_trials=1, **limits)
    assert study.trials[0].state is TrialState.COMPLETE


@pytest.mark.parametrize("executor", [5, object(), InlineExecutor, ["process"]])
def test_what_is_no_executor_is_refused(study, executor):
    with pytest.raises(InvalidArgument, match="instance of the Executor contract"):
        study.optimize(objective, n_trials=1, executor=executor)
    assert study.trials == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", 2),
        ("resources", {"cpu": 1}),
        ("trial_timeout_s", 5),
        ("memory_mib", 500),
        ("devices", [0]),
        ("devices", []),
    ],
)
@pytest.mark.parametrize("kind", [InlineExecutor, ProcessExecutor])
def test_an_executor_that_is_made_already_takes_no_limits(study, name, value, kind):
    with pytest.raises(InvalidArgument, match=rf"{name} given .* {kind.__name__} itself"):
        study.optimize(objective, n_trials=1, executor=kind(), **{name: value})
    assert study.trials == []


def test_an_executor_that_is_made_already_runs_with_its_own_limits(study):
    executor = ProcessExecutor(2, limits=Limits(timeout_s=60))
    study.optimize(objective, n_trials=3, executor=executor, workers=1, resources={})
    assert len(study.trials) == 3


@pytest.mark.parametrize(
    "given",
    [
        {"devices": [0]},
        {"devices": []},
        {"memory_mib": 100},
        {"resources": {"cpu": 1}},
        {"trial_timeout_s": 5},
        {"workers": 2},
    ],
)
def test_the_inline_executor_refuses_limits_and_points_to_processes(study, given):
    with pytest.raises(InvalidArgument, match='executor="process"'):
        study.optimize(objective, n_trials=1, executor="inline", **given)
    assert study.trials == []


@pytest.mark.parametrize("executor", [None, "process", "inline"])
def test_devices_are_a_list(study, executor):
    with pytest.raises(InvalidArgument, match="devices=5"):
        study.optimize(objective, n_trials=1, executor=executor, devices=5)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"constraints": [5]}, "constraints="),
        ({"constraints": 5}, "constraints="),
        ({"attrs": 5}, "attrs="),
        ({"attrs": {5: 1}}, "attrs="),
        ({"attrs": {"f": print}}, "attrs: .*plain JSON"),
        ({"sampler_options": 5}, "sampler_options="),
        ({"sampler": "tpe", "sampler_options": {"x": object()}}, "sampler_options: .*plain JSON"),
        ({"objectives": 5}, "objectives="),
        ({"objectives": [5]}, "objectives="),
        ({"objectives": [["a"]]}, "objectives="),
        ({"objectives": {5: "minimize"}}, "name of a metric"),
        ({"directions": 5}, "directions="),
        ({"max_retries": 1.5}, "max_retries="),
        ({"max_retries": True}, "max_retries="),
    ],
)
def test_a_bad_argument_of_a_study_creates_none(tmp_path, kwargs, words):
    url = f"sqlite:///{tmp_path}/t.db"
    with pytest.raises(InvalidArgument, match=words):
        tk.study("s", storage=url, space={"x": tk.Float(0, 1)}, **kwargs)
    with pytest.raises(tk.TunekitError):
        tk.load_study("s", storage=url)


def test_no_constraints_and_numpy_attributes_are_fine():
    study = tk.study(space={"x": tk.Float(0, 1)}, constraints=None, attrs={"n": np.int64(3)})
    assert study.record().spec.constraints == ()
    assert study.user_attrs == {"n": 3}


def test_an_existing_study_keeps_its_retries_attributes_and_stored_sampler(tmp_path):
    given = {"storage": f"sqlite:///{tmp_path}/t.db", "space": {"x": tk.Float(0, 1)}}
    tk.study("s", sampler="random", max_retries=5, attrs={"a": 1}, **given)
    again = tk.study("s", sampler="sobol", attrs={"a": 2}, **given)
    spec = again.record().spec
    assert (spec.max_retries, spec.attrs, spec.sampler) == (5, {"a": 1}, "random")
    assert type(again.sampler).__name__ == "SobolSampler"
    tk.study("s", max_retries=5, **given)
    with pytest.raises(StudyExists, match="max_retries 5, not 2"):
        tk.study("s", max_retries=2, **given)


def test_a_new_study_runs_a_vanished_trial_again_twice():
    assert tk.study().record().spec.max_retries == 2


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_a_trial_is_told_by_any_whole_number(study, kind):
    study.ask()
    told = study.tell(kind(0), 0.5)
    assert (told.number, told.state) == (0, TrialState.COMPLETE)
    assert study.tell(0, 0.5) == told


@pytest.mark.parametrize("trial", ["0", 0.0, None, False, [0]])
def test_what_is_no_trial_cannot_be_told(study, trial):
    study.ask()
    with pytest.raises(InvalidArgument, match="trial="):
        study.tell(trial, 0.5)
    assert study.trials[0].state is TrialState.RUNNING


def test_a_number_that_no_trial_has_is_unknown(study):
    with pytest.raises(UnknownTrial, match="7"):
        study.tell(np.int64(7), 0.5)


@pytest.mark.parametrize(
    "text",
    ["a >= 1 <= 2", "a <= 2 >= 1", "1 < a <= 2", "a == 1 <= 2", "a <= 1 <= 2", ">= 1", "a >="],
)
def test_a_constraint_is_one_bound(text):
    with pytest.raises(InvalidArgument, match="expected a form"):
        MetricConstraint.parse(text)


def test_a_constraint_may_name_a_metric_with_an_equals_sign():
    assert MetricConstraint.parse("f1@k=5 >= 0.5") == MetricConstraint("f1@k=5", ">=", 0.5)

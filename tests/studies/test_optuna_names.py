"""What a script written for Optuna asks of studies, trials and records."""

import copy
import os
import pickle
from datetime import datetime, timedelta

import numpy as np
import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, StudyExists, TrialConflict
from tunekit.records import TrialRecord, TrialState

SPACE = tk.Space(x=tk.Float(-1, 1), y=tk.Int(0, 3))


def bowl(trial):
    x = trial.suggest_float("x", -1, 1)
    for step in range(3):
        trial.report(x**2 + 1 / (step + 1), step)
    if trial.number == 2:
        raise tk.TrialPruned
    if trial.number == 3:
        raise ValueError("bad luck")
    return x**2


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/t.db"


@pytest.fixture
def study(url):
    made = tk.study(sampler="random", storage=url, seed=1)
    made.optimize(bowl, n_trials=5)
    return made


def test_a_record_has_the_values_that_optuna_names(study):
    best = study.best_trial
    assert best.value == best.values[0] == best.metrics["value"] == study.best_value
    assert best.intermediate_values[2] == pytest.approx(best.params["x"] ** 2 + 1 / 3)
    assert best.last_step == 2
    assert isinstance(best.datetime_start, datetime)
    assert best.datetime_complete - best.datetime_start == best.duration
    assert timedelta(0) <= best.duration < timedelta(minutes=1)
    assert study.trials[3].value is None
    assert study.trials[3].values is None
    assert study.trials[2].value == study.trials[2].intermediate_values[2]
    assert study.history.best.value == study.best_value


def test_a_duration_is_the_difference_of_its_two_times():
    from tunekit.records import TrialRecord

    for i in range(200):
        times = {"started": 1.7956487e9 + i / 7, "finished": 1.8e9 + i / 9}
        t = TrialRecord(0, TrialState.COMPLETE, **times)
        assert t.datetime_complete - t.datetime_start == t.duration


def test_a_record_of_a_callback_and_of_tell_has_its_value_too(url):
    seen = []
    study = tk.study(space=SPACE, sampler="random", storage=url)
    study.optimize(lambda t: t.params["x"], 2, callbacks=[lambda s, t: seen.append(t.value)])
    assert seen == [t.params["x"] for t in study.trials]
    assert study.tell(study.ask(), values=[0.25]).value == 0.25


def test_a_trial_of_several_objectives_has_values_and_no_single_one(url):
    study = tk.study(directions=["minimize", "maximize"], sampler="random", storage=url)
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), 2.0), n_trials=1)
    assert study.trials[0].values == [study.trials[0].params["x"], 2.0]
    with pytest.raises(InvalidArgument, match="use values"):
        _ = study.trials[0].value
    with pytest.raises(InvalidArgument, match="use directions"):
        _ = study.direction
    assert study.directions == ["minimize", "maximize"]
    assert study.metric_names == ["value_0", "value_1"]


def test_a_record_in_another_process_keeps_its_value_and_names_what_it_lost(study):
    for again in (pickle.loads(pickle.dumps(study.trials[0])), copy.copy(study.trials[0])):
        assert again == study.trials[0]
        assert again.value == study.trials[0].value
    sent = pickle.loads(pickle.dumps(study.trials[0]))
    with pytest.raises(InvalidArgument, match=r"use study\.reports"):
        _ = sent.intermediate_values


def test_the_wire_form_of_a_record_leaves_out_where_it_was_read(study):
    from tunekit.records import TrialRecord
    from tunekit.storages.codec import from_dict, to_dict

    sent = to_dict(study.trials[0])
    assert "source" not in sent
    assert from_dict(TrialRecord, sent) == study.trials[0]


def test_curves_of_running_trials_are_read_anew(url):
    study = tk.study(space=SPACE, sampler="random", storage=url)
    trial = study.ask()
    trial.report(3.0, 0)
    assert study.trials[0].intermediate_values == {0: 3.0}
    trial.report(2.0, 1)
    assert study.trials[0].intermediate_values == {0: 3.0, 1: 2.0}
    study.tell(trial, 2.0)
    assert study.trials[0].last_step == 1


def test_trials_are_picked_by_states_of_either_library(study):
    optuna = pytest.importorskip("optuna")
    numbers = {
        "complete": [0, 1, 4],
        "PRUNED": [2],
        TrialState.FAILED: [3],
        optuna.trial.TrialState.PRUNED: [2],
        optuna.trial.TrialState.FAIL: [3],
        tk.TrialState.PRUNED: [2],
    }
    for state, expected in numbers.items():
        assert [t.number for t in study.get_trials(deepcopy=False, states=[state])] == expected
    assert len(study.get_trials()) == 5
    with pytest.raises(InvalidArgument, match='did you mean "pruned"'):
        study.get_trials(states=["prunned"])


def test_pruned_is_stopped_also_where_it_is_told(url):
    optuna = pytest.importorskip("optuna")
    study = tk.study(space=SPACE, sampler="random", storage=url)
    for state in ("pruned", "PRUNED", tk.TrialState.PRUNED, optuna.trial.TrialState.PRUNED):
        assert study.tell(study.ask(), state=state).state is TrialState.STOPPED
    assert study.tell(study.ask(), state=optuna.trial.TrialState.FAIL).state is TrialState.FAILED
    with pytest.raises(InvalidArgument, match="in which no trial ends"):
        study.tell(study.ask(), state="running")


def test_a_finished_trial_is_left_alone_where_that_is_asked(url):
    study = tk.study(space=SPACE, sampler="random", storage=url)
    trial = study.ask()
    study.tell(trial, values=1.0)
    assert study.tell(trial, 2.0, skip_if_finished=True).value == 1.0
    with pytest.raises(TrialConflict):
        study.tell(trial, 2.0)
    with pytest.raises(InvalidArgument, match="mean the same"):
        study.tell(study.ask(), 1.0, values=2.0)


def test_a_fixed_trial_is_new_and_those_that_wait_go_on_waiting(url):
    study = tk.study(space=SPACE, sampler="random", storage=url, seed=1)
    study.enqueue_trial({"x": 0.5})
    trial = study.ask(fixed={"y": 2})
    assert (trial.number, trial.params["y"], trial.params["x"] == 0.5) == (1, 2, False)
    assert study.trials[0].state is TrialState.WAITING
    assert study.ask().params["x"] == 0.5
    with pytest.raises(tk.TunekitError, match=r"\[0, 3\]"):
        study.ask(fixed={"y": 9})


def test_distributions_of_optuna_are_asked_at_once(url):
    d = pytest.importorskip("optuna").distributions
    study = tk.study(storage=url, seed=1)
    trial = study.ask(
        {"x": d.FloatDistribution(0, 1), "k": d.CategoricalDistribution(["a", "b"])},
    )
    study.tell(trial, 1.0)
    assert set(study.trials[0].params) == {"x", "k"}
    assert study.space.by_path["k"].domain.choices == ("a", "b")
    with pytest.raises(InvalidArgument, match="FloatDistribution"):
        study.ask({"x": (0, 1)})


def test_a_point_that_exists_is_not_enqueued_again(url):
    study = tk.study(space=SPACE, sampler="random", storage=url)
    assert study.enqueue_trial({"x": 0.5, "y": 1}) == 0
    assert study.enqueue_trial({"x": 0.5, "y": 1}, skip_if_exists=True) == 0
    assert study.enqueue_trial({"x": 0.5, "y": 2}, skip_if_exists=True) == 1
    study.optimize(lambda t: t.params["x"], n_trials=2)
    assert study.enqueue_trial({"y": 2}, skip_if_exists=True) == 1
    assert study.enqueue_trial({"x": 0.5, "y": 1}) == 2


def test_a_trial_knows_its_study_where_the_study_is(url):
    seen = []
    study = tk.study(space=SPACE, sampler="random", storage=url)
    study.optimize(lambda t: seen.append(t.study is study) or 1.0, n_trials=1)
    assert seen == [True]
    assert study.ask().study is study


def test_a_trial_in_its_own_process_says_how_to_reach_the_study(url):
    def objective(trial):
        return len(trial.study.trials)

    study = tk.study("s", space=SPACE, sampler="random", storage=url)
    study.optimize(objective, n_trials=2, n_jobs=2, gc_after_trial=True)
    assert {str(t.state) for t in study.trials} == {"failed"}
    assert "tk.load_study('s', storage=...)" in study.trials[0].end_reason


def test_n_jobs_are_workers(monkeypatch):
    from tunekit.studies import arguments

    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert [arguments.jobs(n) for n in (None, 1, 4, -1)] == [None, 1, 4, 3]
    for bad in (0, -2, 1.5, True):
        with pytest.raises(InvalidArgument, match="n_jobs"):
            arguments.jobs(bad)
    with pytest.raises(InvalidArgument, match="mean the same"):
        tk.study(space=SPACE).optimize(bowl, 1, workers=2, n_jobs=2)


def test_garbage_is_collected_after_each_trial_where_that_is_asked(monkeypatch):
    import gc

    collected = []
    monkeypatch.setattr(gc, "collect", lambda: collected.append(1))
    study = tk.study(space=SPACE, sampler="random")
    study.optimize(lambda t: 1.0, n_trials=3, gc_after_trial=True)
    assert len(collected) == 3


def test_a_study_opens_under_the_words_of_optuna(tmp_path):
    url = f"sqlite:///{tmp_path}/t.db"
    made = tk.study(study_name="s", storage=url, pruner="median", load_if_exists=False)
    assert (made.study_name, made.stopper.name) == ("s", "median")
    assert tk.study(study_name="s", storage=url, load_if_exists=True).id == made.id
    assert tk.load_study(study_name="s", storage=url).id == made.id
    with pytest.raises(StudyExists, match="load_if_exists=False"):
        tk.study("s", storage=url, load_if_exists=False)
    with pytest.raises(InvalidArgument, match="mean the same"):
        tk.study("s", study_name="s", storage=url)


def test_the_table_has_the_columns_of_optuna_where_it_is_asked(study):
    pytest.importorskip("pandas")
    frame = study.trials_dataframe(attrs=("number", "value", "params", "duration", "state"))
    assert list(frame.columns) == ["number", "value", "params_x", "duration", "state"]
    assert list(frame["state"]) == ["COMPLETE", "COMPLETE", "PRUNED", "FAIL", "COMPLETE"]
    two = study.trials_dataframe(attrs=("number", "params"), multi_index=True)
    assert list(two.columns) == [("number", ""), ("params", "x")]
    with pytest.raises(InvalidArgument, match='did you mean "params"'):
        study.trials_dataframe(attrs=("parms",))


def test_the_table_is_that_of_optuna(tmp_path):
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("pandas")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        trial.set_user_attr("a", trial.number)
        return trial.suggest_float("x", 0, 1), trial.suggest_int("k", 1, 3)

    ours = tk.study(directions=["minimize", "maximize"], sampler="random")
    theirs = optuna.create_study(directions=["minimize", "maximize"])
    attrs = ("number", "value", "params", "user_attrs", "state")
    for study in (ours, theirs):
        study.optimize(objective, n_trials=2)
    a, b = ours.trials_dataframe(attrs=attrs), theirs.trials_dataframe(attrs=attrs)
    assert list(a.columns) == list(b.columns)
    assert list(a.dtypes) == list(b.dtypes)


def test_importance_is_asked_of_the_study():
    pytest.importorskip("optuna")
    study = tk.study(space=SPACE, sampler="random", seed=1)
    study.optimize(lambda t: t.params["x"] ** 2, n_trials=20)
    assert next(iter(study.importance())) == "x"


@pytest.mark.parametrize(
    ("owner", "name", "instead"),
    [
        ("module", "create_study", r"tk\.study"),
        ("module", "visualization", r"to_optuna"),
        ("study", "set_system_attr", "set_user_attr"),
        ("trial", "set_constraint", "constraints="),
        ("trial", "suggest_loguniform", "log=True"),
        ("record", "set_user_attr", "set_trial_attrs"),
    ],
)
def test_what_cannot_be_names_what_to_use_in_its_place(owner, name, instead):
    study = tk.study(space=SPACE, sampler="random")
    trial = study.ask()
    owners = {"module": tk, "study": study, "trial": trial, "record": study.trials[0]}
    with pytest.raises(AttributeError, match=instead):
        getattr(owners[owner], name)
    assert not hasattr(owners[owner], "nothing_of_the_kind")


def test_states_and_directions_equal_the_members_of_optuna():
    optuna = pytest.importorskip("optuna")
    theirs, way = optuna.trial.TrialState, optuna.study.StudyDirection
    assert TrialState.STOPPED == theirs.PRUNED
    assert theirs.PRUNED == TrialState.STOPPED
    assert TrialState.LOST in (theirs.FAIL, theirs.WAITING)
    assert TrialState.COMPLETE != theirs.PRUNED
    assert theirs.RUNNING != TrialState.WAITING
    assert [s.is_finished for s in (TrialState.LOST, TrialState.PAUSED)] == [True, False]
    assert [s.is_finished() for s in (TrialState.LOST, TrialState.PAUSED)] == [True, False]
    assert TrialState.COMPLETE not in {theirs.COMPLETE.value: 1}
    assert {TrialState.STOPPED: 1}["stopped"] == 1
    study = tk.study(space=SPACE, directions=["minimize", "maximize"])
    assert study.directions == [way.MINIMIZE, way.MAXIMIZE]
    assert study.directions == ["minimize", "maximize"]
    assert tk.study(space=SPACE, direction="maximize").direction != way.MINIMIZE


def test_an_objective_is_called_again_with_the_best_trial():
    def objective(trial):
        x, k = trial.suggest_float("x", 0, 1), trial.suggest_int("k", 1, 3, log=True)
        trial.report(x, 0)
        return x + k + (trial.suggest_categorical("c", ["a", "b"]) == "b") + trial.should_prune()

    study = tk.study(sampler="random", seed=1)
    study.optimize(objective, n_trials=5)
    assert objective(study.best_trial) == study.best_value
    with pytest.raises(tk.TunekitError, match="z"):
        study.best_trial.suggest_float("z", 0, 1)
    with pytest.raises(InvalidArgument, match="no params yet"):
        TrialRecord(0, TrialState.RUNNING).suggest_int("k", 1, 3)


def test_objectives_are_named_before_a_trial_is_complete(url):
    study = tk.study("s", directions=["minimize", "maximize"], storage=url, sampler="random")
    study.set_metric_names(["error", "speed"])
    study.optimize(lambda t: (t.suggest_float("x", 0, 1), 2.0), n_trials=3)
    assert study.metric_names == ["error", "speed"]
    assert study.trials[0].metrics["speed"] == 2.0
    assert study.directions == ["minimize", "maximize"]
    for names, said in (
        (["a"], "2 different"),
        (["a", "a"], "2 different"),
        (["a", "b"], "error"),
    ):
        with pytest.raises(InvalidArgument, match=said):
            study.set_metric_names(names)


def test_what_helpers_of_optuna_note_on_a_trial_is_kept(url):
    optuna = pytest.importorskip("optuna")

    def objective(trial):
        trial.storage.set_trial_system_attr(trial._trial_id, "scores", np.array([1.0, 2.0]))
        trial.set_user_attr("mine", 1)
        assert trial.system_attrs == {"scores": [1.0, 2.0]}
        return 1.0

    study = tk.study(space=SPACE, storage=url, sampler="random")
    study.optimize(objective, n_trials=1)
    assert study.trials[0].system_attrs == {"scores": [1.0, 2.0]}
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    theirs = study.to_optuna().trials[0]
    assert theirs.system_attrs["scores"] == [1.0, 2.0]
    assert theirs.user_attrs == {"mine": 1}
    with pytest.raises(AttributeError, match=r"study\.storage"):
        getattr(study.ask().storage, "get_all_trials")  # noqa: B009

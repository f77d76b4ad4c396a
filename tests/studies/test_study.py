"""The study as its user holds it: every entry with good and with bad input."""

import json
import math

import pytest

import tunekit as tk
from tunekit.errors import (
    InvalidArgument,
    InvalidParams,
    InvalidResult,
    NoCompleteTrial,
    ObjectiveFailed,
    StudyExists,
    TrialConflict,
    UnknownParameter,
    UnknownStudy,
    UnknownTrial,
)
from tunekit.records import TrialState

SPACE = tk.Space(
    model=tk.Categorical(
        {"svm": tk.Space(C=tk.Float(1e-3, 1e3, log=True)), "forest": tk.Space(n=tk.Int(1, 9))}
    ),
    x=tk.Float(-1, 1),
)


def bowl(trial):
    return trial.params["x"] ** 2 + (0.1 if trial.params["model"] == "svm" else 0.0)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/t.db"


def test_a_study_finds_the_bottom_of_a_bowl_and_can_be_opened_again(url):
    study = tk.study("bowl", space=SPACE, storage=url, seed=1)
    assert study.optimize(bowl, n_trials=30) == "done"
    assert len(study.trials) == 30
    assert study.best_value < 0.1
    again = tk.load_study("bowl", storage=url)
    assert again.best_params == study.best_params
    assert [t.params for t in again.trials] == [t.params for t in study.trials]


def test_total_trials_counts_what_the_study_has(url):
    study = tk.study("s", space=SPACE, storage=url, sampler="random", seed=1)
    study.optimize(bowl, n_trials=4)
    study.optimize(bowl, total_trials=10)
    assert len(study.trials) == 10
    assert study.optimize(bowl, total_trials=10) == "done"
    assert len(study.trials) == 10


def test_the_same_seed_gives_the_same_trials_in_process_and_in_processes():
    def run(workers):
        study = tk.study(space=SPACE, sampler="random", seed=7)
        study.optimize(bowl, n_trials=8, workers=workers)
        return [(t.number, t.params, dict(t.metrics)) for t in study.trials]

    assert run(1) == run(2)


def test_a_timeout_of_zero_starts_nothing():
    study = tk.study(space=SPACE)
    assert study.optimize(bowl, n_trials=3, timeout="0s") == "timeout"
    assert study.trials == []


def test_ends_have_their_reasons(url):
    def objective(trial):
        match trial.number:
            case 0:
                return math.nan
            case 1:
                raise ValueError("bad luck")
            case 2:
                raise tk.TrialStopped("hopeless")
            case 3:
                return "text"
        return 1.0

    study = tk.study("s", space=SPACE, storage=url, sampler="random", seed=0)
    study.optimize(objective, n_trials=5)
    states = [t.state for t in study.trials]
    assert states == ["diverged", "failed", "stopped", "failed", "complete"]
    failed = study.trials[1]
    assert "bad luck" in failed.end_reason
    assert "ValueError" in failed.error
    assert "text" in study.trials[3].end_reason
    assert study.best_trial.number == 4


def test_an_exception_outside_catch_ends_the_run_after_the_trial_is_stored(url):
    def objective(trial):
        raise ZeroDivisionError("oops")

    study = tk.study("s", space=SPACE, storage=url)
    with pytest.raises(ObjectiveFailed, match="oops") as caught:
        study.optimize(objective, n_trials=5, catch=(ValueError,))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [t.state for t in study.trials] == [TrialState.FAILED]


def test_ask_and_tell_by_hand_and_the_same_tell_twice():
    study = tk.study(space=SPACE, objectives={"error": "minimize"})
    trial = study.ask()
    first = study.tell(trial, {"error": 0.3, "ms": 8})
    assert first.metrics == {"error": 0.3, "ms": 8.0}
    assert study.tell(trial, {"error": 0.3, "ms": 8}).state is TrialState.COMPLETE
    with pytest.raises(TrialConflict, match="final"):
        study.tell(trial, {"error": 0.2})
    assert study.best_value == 0.3
    number = study.ask().number
    assert study.tell(number, state="failed", reason="no power").end_reason == "no power"


def test_a_bad_tell_leaves_the_trial_running():
    study = tk.study(space=SPACE, objectives={"error": "minimize"})
    trial = study.ask()
    for bad in (None, "x", {"eror": 1.0}, [1.0, 2.0], {"error": None}):
        with pytest.raises(InvalidResult):
            study.tell(trial, bad)
    with pytest.raises(InvalidArgument, match="complete"):
        study.tell(trial, 1.0, state="completed")
    with pytest.raises(UnknownTrial):
        study.tell(99, 1.0)
    assert study.trials[0].state is TrialState.RUNNING
    assert study.tell(trial, 1.0).state is TrialState.COMPLETE


def test_reports_are_kept_and_an_asked_trial_can_be_cancelled():
    study = tk.study(space=SPACE)
    trial = study.ask()
    for step in range(3):
        trial.report(1.0 / (step + 1), step)
    assert [r.metrics["value"] for r in study.reports()[0]] == [1.0, 0.5, 1 / 3]
    assert study.cancel_trial(0)
    with pytest.raises(tk.TrialStopped):
        trial.report(0.1, 3)
    assert study.trials[0].state is TrialState.CANCELLED
    assert not study.cancel_trial(0)


def test_an_enqueued_point_runs_first_and_what_it_leaves_open_is_proposed():
    study = tk.study(space=SPACE, seed=3)
    assert study.enqueue_trial({"x": 0.25, "C": 2.0, "model": "svm"}) == 0
    assert study.enqueue_trial({"x": 0.5}, user_attrs={"why": "half"}) == 1
    study.optimize(bowl, n_trials=3)
    first, second, third = study.trials
    assert first.params == {"model": "svm", "model.svm.C": 2.0, "x": 0.25}
    assert (first.sampler, second.sampler) == ("user", "user")
    assert second.params["x"] == 0.5
    assert second.user_attrs == {"why": "half"}
    assert third.sampler != "user"


@pytest.mark.parametrize(
    ("point", "error", "words"),
    [
        ({"y": 1}, UnknownParameter, "unknown parameter"),
        ({"modle": "svm"}, UnknownParameter, 'did you mean "model"'),
        ({"x": 3}, InvalidParams, r"\[-1.0, 1.0\]"),
        ({"model": "svn"}, InvalidParams, 'did you mean "svm"'),
        ({"model": "svm", "n": 3}, InvalidParams, "inactive"),
        ({"x": math.nan}, InvalidParams, "finite"),
        ("x=1", InvalidParams, "mapping"),
    ],
)
def test_a_bad_enqueue_is_an_error_and_leaves_nothing(point, error, words):
    study = tk.study(space=SPACE)
    with pytest.raises(error, match=words):
        study.enqueue_trial(point)
    assert study.trials == []


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"sampler": "rnadom"}, 'did you mean "random"'),
        ({"sampler": 3}, "short name or a Sampler"),
        ({"stopper": "medain"}, 'did you mean "median"'),
        ({"stopper": 3}, "short name or a Stopper"),
        ({"stopper": ["asha", "medain"]}, 'did you mean "median"'),
        ({"stopper": "asha", "stopper_options": {"etta": 3}}, "etta"),
        ({"stopper": "asha", "stopper_options": {"eta": 1}}, "above 1"),
        ({"stopper_options": {"eta": 3}}, "name a stopper"),
        ({"audit": 1.5}, "from 0 to 1"),
        ({"audit": True}, "from 0 to 1"),
        ({"objectives": {"e": "min"}}, '"minimize" or "maximize"'),
        ({"objectives": []}, "one or more"),
        ({"objectives": "e", "direction": "minimize"}, "give only one"),
        ({"constraints": ["ms < 8"]}, "latency_ms <= 8"),
        ({"seed": 1.5}, "whole number"),
        ({"name": "  "}, "printable"),
        ({"storage": "mysql://x"}, "postgresql"),
        ({"max_retries": -1}, "from 0"),
    ],
)
def test_a_bad_argument_of_study_is_an_error_at_the_door(kwargs, words):
    with pytest.raises(InvalidArgument, match=words):
        tk.study(**{"space": SPACE, **kwargs})


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"n_trials": -1}, "from 0"),
        ({"workers": 0}, "from 1"),
        ({"timeout": "soon"}, "90s"),
        ({"timeout": -3}, "90s"),
        ({"executor": "procces"}, 'did you mean "process"'),
        ({"executor": "inline", "workers": 2}, "one trial at a time"),
    ],
)
def test_a_bad_argument_of_optimize_starts_nothing(kwargs, words):
    study = tk.study(space=SPACE)
    with pytest.raises(InvalidArgument, match=words):
        study.optimize(bowl, **{"n_trials": 1, **kwargs})
    with pytest.raises(InvalidArgument, match="function"):
        study.optimize(None, n_trials=1)
    assert study.trials == []


def test_opening_a_study_with_other_settings_is_refused(url):
    study = tk.study("s", space=SPACE, objectives="error", storage=url, seed=1)
    study.tell(study.ask(), 1.0)  # until then it takes another goal
    assert tk.study("s", storage=url).objectives[0].metric == "error"
    for kwargs in (
        {"space": tk.Space(x=tk.Float(0, 1))},
        {"objectives": {"error": "maximize"}},
        {"seed": 2},
        {"constraints": ["ms <= 1"]},
    ):
        with pytest.raises(StudyExists, match='"s" exists'):
            tk.study("s", storage=url, **kwargs)
    with pytest.raises(UnknownStudy, match=r'"ss".*"s"'):
        tk.load_study("ss", storage=url)


def test_no_best_without_a_feasible_complete_trial():
    study = tk.study(space=SPACE, objectives="error", constraints=["ms <= 1"])
    with pytest.raises(NoCompleteTrial, match="no trials yet"):
        _ = study.best_trial
    study.tell(study.ask(), {"error": 0.1, "ms": 2})
    with pytest.raises(NoCompleteTrial, match="ms <= 1"):
        _ = study.best_value
    study.tell(study.ask(), {"error": 0.9, "ms": 1})
    assert study.best_value == 0.9


def test_two_objectives_have_a_front_and_reports(url):
    def objective(trial):
        trial.report({"error": 1.0}, step=0)
        x = trial.params["x"]
        return {"error": x**2, "size": (x - 0.5) ** 2}

    study = tk.study("s", space=SPACE, objectives=["error", "size"], storage=url, seed=1)
    study.optimize(objective, n_trials=25)
    front = study.best_trials
    assert front
    errors = sorted((t.metrics["error"], t.metrics["size"]) for t in front)
    assert [s for _, s in errors] == sorted((s for _, s in errors), reverse=True)
    with pytest.raises(InvalidArgument, match="best_trials"):
        _ = study.best_trial


def test_a_paused_study_gives_out_nothing_and_a_callback_can_stop_a_run():
    study = tk.study(space=SPACE)
    study.pause()
    with pytest.raises(InvalidArgument, match="resume"):
        study.ask()
    study.resume()
    seen = []

    def stop_at_three(study, trial):
        seen.append(trial.number)
        if len(seen) == 3:
            study.stop()

    assert study.optimize(bowl, n_trials=50, callbacks=[stop_at_three]) == "stopped"
    assert 3 <= len(study.trials) <= 4
    assert study.optimize(bowl, n_trials=2) == "done"


def test_a_grid_ends_by_itself():
    space = tk.Space(a=tk.Int(1, 3), b=tk.Categorical(["u", "v"]))
    study = tk.study(space=space, sampler="grid")
    assert study.optimize(lambda t: t.params["a"], n_trials=100) == "exhausted"
    assert len({tuple(t.params.items()) for t in study.history.complete()}) == 6


def test_a_space_can_be_widened_in_a_running_study(url):
    study = tk.study("s", space=SPACE, storage=url, sampler="random", seed=1)
    study.optimize(bowl, n_trials=10)
    wider = tk.Space(
        model=tk.Categorical(
            {
                "svm": tk.Space(C=tk.Float(1e-3, 1e3, log=True)),
                "forest": tk.Space(n=tk.Int(1, 9)),
                "tree": None,
            }
        ),
        x=tk.Float(-1, 1),
        extra=tk.Int(0, 5),
    )
    preview = study.edit_space(wider, dry_run=True)
    assert (preview.version, preview.n_valid, preview.n_outside) == (1, 10, 0)
    edit = study.edit_space(wider)
    assert edit.version == 2
    assert any("tree" in c for c in edit.changes)
    study.optimize(bowl, n_trials=15)
    assert all("extra" in t.params for t in study.trials[10:])
    assert any(t.params["model"] == "tree" for t in study.trials)
    again = tk.load_study("s", storage=url)
    assert again.space == wider
    again.optimize(bowl, n_trials=1)
    narrow = tk.Space(model=tk.Categorical(["tree"]), x=tk.Float(-1, 1), extra=tk.Int(0, 5))
    assert again.edit_space(narrow).n_outside > 0
    again.optimize(bowl, n_trials=3)
    assert all(t.params["model"] == "tree" for t in again.trials[-3:])


def test_another_process_learns_of_a_new_space_with_its_next_exchange(url):
    one = tk.study("s", space=tk.Space(x=tk.Float(0, 1)), storage=url, sampler="random", seed=1)
    two = tk.load_study("s", storage=url)
    one.edit_space(tk.Space(x=tk.Float(5, 6)))
    two.optimize(lambda t: t.params["x"], n_trials=1)
    assert two.trials[0].params["x"] >= 5


def test_define_by_run_discovers_its_branches(url):
    def objective(trial):
        model = trial.suggest_categorical("model", ["svm", "forest"])
        if model == "svm":
            c = trial.suggest_float("C", 1e-3, 1e3, log=True)
            return abs(math.log10(c))
        return 1.0 + trial.suggest_int("n", 1, 9) / 10

    study = tk.study("s", storage=url, seed=5)
    study.optimize(objective, n_trials=30)
    by_path = study.space.by_path
    assert set(by_path) == {"model", "C", "n"}
    assert by_path["C"].conditions[0].values == {"svm"}
    assert by_path["n"].conditions[0].values == {"forest"}
    assert study.best_value < 0.5
    for trial in study.trials:
        assert set(trial.params) == {"model", "C" if trial.params["model"] == "svm" else "n"}
    again = tk.load_study("s", storage=url)
    assert again.space == study.space
    again.optimize(objective, n_trials=4, workers=2)
    assert len(again.trials) == 34


@pytest.mark.parametrize("ending", ["json", "csv", "parquet"])
def test_exports_hold_every_trial(tmp_path, ending):
    study = tk.study("s", space=SPACE, objectives="error", sampler="random", seed=2)
    study.optimize(lambda t: math.inf if t.number == 1 else bowl(t), n_trials=6)
    path = study.export(tmp_path / f"out.{ending}")
    if ending == "json":
        data = json.loads(path.read_text())
        assert data["version"] == 1
        assert [t["number"] for t in data["trials"]] == list(range(6))
    elif ending == "csv":
        assert len(path.read_text().splitlines()) == 7
    else:
        pq = pytest.importorskip("pyarrow.parquet")
        assert pq.read_table(path).num_rows == 6
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_dataframe_has_a_row_a_trial():
    pytest.importorskip("pandas")
    study = tk.study(space=SPACE, sampler="random", seed=2)
    study.optimize(bowl, n_trials=3)
    frame = study.trials_dataframe()
    assert list(frame["number"]) == [0, 1, 2]
    assert {"state", "value", "params.x", "params.model.svm.C"} <= set(frame.columns)


def test_bad_exports_are_errors(tmp_path):
    study = tk.study(space=SPACE)
    with pytest.raises(InvalidArgument, match="parquet"):
        study.export(tmp_path / "x.xls")
    with pytest.raises(tk.TunekitError, match="cannot write"):
        study.export(tmp_path / "missing" / "x.json")


def test_user_attributes_are_plain_json():
    study = tk.study(space=SPACE)
    study.set_user_attr("team", {"a": [1, 2]})
    assert study.user_attrs["team"] == {"a": [1, 2]}
    with pytest.raises(InvalidArgument, match="plain JSON"):
        study.set_user_attr("f", print)

"""Studies that go to Optuna and come back, and trials that come from it."""

import io
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument, InvalidParams, StudyExists
from tunekit.records import TrialState

optuna = pytest.importorskip("optuna")

SPACE = tk.Space(
    model=tk.Categorical(
        {"svm": tk.Space(C=tk.Float(1e-3, 1e3, log=True)), "forest": tk.Space(depth=tk.Int(2, 32))}
    ),
    rate=tk.Float(0.0, 1.0, special=(-1.0,)),
)


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    p = trial.params
    trial.set_user_attr("who", {"n": [trial.number]})
    for step in range(4):
        trial.report({"error": p["rate"] + 1 / (step + 1), "ms": 3.0}, step)
    if trial.number == 2:
        raise tk.TrialStopped("hopeless")
    if trial.number == 3:
        raise ValueError("bad luck")
    if trial.number == 4:
        return {"error": float("nan"), "ms": 1.0}
    return {"error": p["rate"], "ms": 2.0}


@pytest.fixture(params=["memory", "sqlite"])
def url(request, tmp_path):
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/t.db"


@pytest.fixture
def study(url):
    made = tk.study(
        "digits", space=SPACE, objectives="error", constraints=["ms <= 8"], storage=url,
        sampler="random", seed=1, attrs={"team": "a"},
    )  # fmt: skip
    made.enqueue_trial({"rate": -1.0, "model": "svm"})
    made.optimize(objective, n_trials=12)
    made.enqueue_trial({"rate": 0.5})
    return made


def test_a_study_in_optuna_has_the_params_values_curves_and_attributes(study):
    theirs = study.to_optuna()
    assert theirs.study_name == "digits"
    assert theirs.best_value == study.best_value
    assert theirs.best_trial.number == study.best_trial.number
    assert theirs.user_attrs == {"team": "a"}
    assert theirs.metric_names == ["error"]
    names = [t.state.name for t in theirs.trials]
    assert names == ["COMPLETE"] * 2 + ["PRUNED", "FAIL", "FAIL"] + ["COMPLETE"] * 7 + ["WAITING"]
    for ours, frozen in zip(study.trials, theirs.trials[:-1], strict=False):
        assert frozen.intermediate_values == ours.intermediate_values
        assert frozen.datetime_start == ours.datetime_start
        assert frozen.datetime_complete == ours.datetime_complete
        assert frozen.user_attrs == ours.user_attrs
        shown = {k.removesuffix("#special"): v for k, v in frozen.params.items()}
        assert shown == ours.params
        assert set(ours.distributions) == set(ours.params)
    assert theirs.trials[5].constraints == {"ms <= 8": -6.0}
    assert theirs.trials[-1].system_attrs["fixed_params"] == {"rate": 0.5}


def test_the_plots_of_optuna_show_it(study):
    pytest.importorskip("plotly")
    theirs = study.to_optuna()
    plots = optuna.visualization
    for plot in (
        plots.plot_optimization_history,
        plots.plot_intermediate_values,
        plots.plot_parallel_coordinate,
        plots.plot_slice,
        plots.plot_edf,
        plots.plot_timeline,
        plots.plot_rank,
    ):
        assert plot(theirs).data, plot.__name__


def test_the_plots_of_several_objectives_show_it():
    pytest.importorskip("plotly")
    study = tk.study(space=SPACE, directions=["minimize", "maximize"], sampler="random", seed=1)
    study.optimize(lambda t: (t.params["rate"], t.number), n_trials=6)
    theirs = study.to_optuna()
    assert {t.number for t in theirs.best_trials} == {t.number for t in study.best_trials}
    assert optuna.visualization.plot_pareto_front(theirs).data


def test_a_study_comes_back_from_optuna_as_it_was(study, tmp_path):
    for storage in ("memory://", f"sqlite:///{tmp_path}/back.db"):
        back = tk.from_optuna(study.to_optuna(), storage=storage)
        assert back.space == SPACE
        assert back.record().spec == study.record().spec
        for was, now in zip(study.trials, back.trials, strict=True):
            dropped = {"seen": 0, "batch": (), "seq": now.seq}
            assert repr(replace(was, **dropped)) == repr(now)  # NaN is not equal to itself
        assert back.reports() == study.reports()
        back.optimize(objective, n_trials=1)
        assert back.trials[12].params["rate"] == 0.5


def test_a_study_goes_through_a_file_of_optuna(study, tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    study.to_optuna(url)
    back = tk.from_optuna(optuna.load_study(study_name="digits", storage=url))
    assert [t.params for t in back.trials] == [t.params for t in study.trials]
    assert [t.state for t in back.trials] == [t.state for t in study.trials]
    assert back.reports() == study.reports()


def their_objective(trial):
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    x = trial.suggest_float("x", 1e-3, 1e3, log=True) if kind == "a" else 5.0
    trial.set_user_attr("n", trial.number)
    for step in range(3):
        trial.report(x + step, step)
    if trial.number == 1:
        raise optuna.TrialPruned
    if trial.number == 2:
        raise ValueError("bad luck")
    return x


def old_study(**options):
    made = optuna.create_study(
        study_name="old", sampler=optuna.samplers.RandomSampler(seed=0), **options
    )
    made.optimize(their_objective, n_trials=20, catch=(ValueError,))
    return made


def test_an_old_study_of_optuna_goes_on_here(url):
    old = old_study(direction="maximize")
    study = tk.from_optuna(old, "new", storage=url)
    assert (study.name, study.direction) == ("new", "maximize")
    assert [str(t.state) for t in study.trials[:4]] == [
        "complete",
        "stopped",
        "failed",
        "complete",
    ]
    for theirs, ours in zip(old.trials, study.trials, strict=True):
        assert ours.params == theirs.params
        assert ours.value == theirs.value
        assert ours.intermediate_values == theirs.intermediate_values
        assert ours.user_attrs == theirs.user_attrs
        assert ours.datetime_complete == theirs.datetime_complete
        assert ours.distributions == theirs.distributions
    assert study.best_value == old.best_value
    assert study.space.by_path["x"].conditions[0].values == {"a"}
    study.optimize(their_objective, n_trials=3)
    assert len(study.trials) == 23
    assert study.replay() == []


def test_an_old_study_goes_back_to_optuna_as_it_was():
    old = old_study()
    again = tk.from_optuna(old).to_optuna()
    for was, now in zip(old.trials, again.trials, strict=True):
        assert (was.number, was.state, was.values) == (now.number, now.state, now.values)
        assert (was.params, was.distributions) == (now.params, now.distributions)
        assert was.intermediate_values == now.intermediate_values
        assert was.user_attrs == now.user_attrs
        assert (was.datetime_start, was.datetime_complete) == (
            now.datetime_start,
            now.datetime_complete,
        )


def test_a_trial_that_runs_in_optuna_is_lost_here_and_one_that_waits_waits():
    old = optuna.create_study()
    old.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    old.enqueue_trial({"x": 0.25})
    study = tk.from_optuna(old)
    assert [t.state for t in study.trials] == [TrialState.LOST, TrialState.WAITING]
    study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=1)
    assert study.trials[1].params == {"x": 0.25}


def test_many_trials_are_read_and_written_with_one_transaction_and_no_copy_a_trial(url):
    made = optuna.create_study()
    d = {"x": optuna.distributions.FloatDistribution(0, 1)}
    made.add_trials(
        optuna.trial.create_trial(params={"x": i / 2000}, distributions=d, value=float(i))
        for i in range(2000)
    )
    study = tk.from_optuna(made, storage=url)
    assert len(study.trials) == 2000
    assert sum(bool(t.domains) for t in study.trials) == 1
    assert study.best_value == 0.0


def test_what_cannot_come_in_is_refused_and_leaves_nothing(url):
    with pytest.raises(InvalidArgument, match=r"optuna\.load_study"):
        tk.from_optuna("sqlite:///old.db")
    study = tk.from_optuna(old_study(), storage=url)
    with pytest.raises(StudyExists):
        tk.from_optuna(old_study(), storage=study.storage)
    with pytest.raises(InvalidArgument, match="nope"):
        tk.from_optuna(old_study(), "other", storage=study.storage, sampler="nope")
    assert tk.study_names(storage=study.storage) == ["old"]


def test_trials_are_added_from_optuna_and_from_another_study(url):
    d = {"x": optuna.distributions.FloatDistribution(0, 1)}
    trial = optuna.trial.create_trial(
        params={"x": 0.5}, distributions=d, value=0.25, intermediate_values={0: 1.0}
    )
    study = tk.study(space=tk.Space(x=tk.Float(0, 1)), storage=url, sampler="random")
    assert study.add_trial(trial) == 0
    assert study.best_trial.params == {"x": 0.5}
    assert study.trials[0].intermediate_values == {0: 1.0}
    other = tk.study(space=tk.Space(x=tk.Float(0, 1)), sampler="random")
    other.add_trials(study.trials * 2)
    assert [t.value for t in other.trials] == [0.25, 0.25]
    assert other.trials[1].intermediate_values == {0: 1.0}
    other.optimize(lambda t: 1.0, n_trials=1)
    assert other.trials[2].number == 2


def test_an_added_trial_has_to_fit_the_study(url):
    d = {"x": optuna.distributions.FloatDistribution(0, 9)}
    study = tk.study(space=tk.Space(x=tk.Float(0, 1)), storage=url)
    outside = optuna.trial.create_trial(params={"x": 5.0}, distributions=d, value=1.0)
    several = optuna.trial.create_trial(params={"x": 0.5}, distributions=d, values=[1.0, 2.0])
    with pytest.raises(InvalidParams):
        study.add_trial(outside)
    with pytest.raises(InvalidArgument, match="2 values"):
        study.add_trial(several)
    with pytest.raises(InvalidArgument, match="create_trial"):
        study.add_trial({"x": 0.5})
    running = tk.study(space=tk.Space(x=tk.Float(0, 1)))
    running.ask()
    with pytest.raises(InvalidArgument, match="running elsewhere"):
        study.add_trial(running.trials[0])
    assert study.trials == []


def test_a_script_may_print_a_trial_of_either():
    study = tk.from_optuna(old_study())
    out = io.StringIO()
    with redirect_stdout(out):
        print(study.best_trial)
    assert "TrialRecord(number=" in out.getvalue()
    assert "source=" not in out.getvalue()


def test_a_trial_that_asked_for_nothing_comes_back():
    study = tk.study(sampler="random")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    study.tell(study.ask(), 1.0)
    again = tk.from_optuna(study.to_optuna())
    assert [dict(t.params) for t in again.trials] == [dict(study.trials[0].params), {}]
    assert [t.value for t in again.trials] == [t.value for t in study.trials]

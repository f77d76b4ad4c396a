"""tunekit's samplers inside a real Tuner, and Tune's trainables as objectives."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

import tunekit as tk
from tunekit.checkpoints.base import Checkpoints
from tunekit.errors import InvalidArgument
from tunekit.history import History
from tunekit.records import CONTINUE, Decision

ray = pytest.importorskip("ray")
pytest.importorskip("ray.tune")
bridge = pytest.importorskip("tunekit_integrations.ray_tune")

from ray import tune  # noqa: E402

pytestmark = [
    pytest.mark.xdist_group("ray"),
    # Ray keeps sockets and files open until its cluster ends, and warns of its own options.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning"),
]

SPACE = tk.Space(
    model=tk.Categorical(
        {"svm": tk.Space(C=tk.Float(1e-3, 1e3, log=True)), "forest": tk.Space(depth=tk.Int(2, 32))}
    )
)


def error(config):
    model = config["model"]
    return 0.2 if "svm" in model else 0.1 + abs(model["forest"]["depth"] - 12) / 100


def searcher(sampler="bayesian", **options):
    return bridge.as_ray_searcher(SPACE, sampler, metric="error", seed=1, **options)


def played(search, n, start=0):
    """Let a searcher propose and hear of `n` trials, one after the other."""
    configs = []
    for k in range(start, start + n):
        config = search.suggest(f"t{k}")
        search.on_trial_complete(f"t{k}", {"error": error(config)})
        configs.append(config)
    return configs


@pytest.mark.slow
def test_a_tuner_of_ray_finds_the_best_with_our_sampler(tmp_path):
    ray.init("local", num_cpus=2, include_dashboard=False, logging_level="ERROR")
    try:
        tuner = tune.Tuner(
            lambda config: tune.report({"error": error(config)}),
            tune_config=tune.TuneConfig(
                search_alg=searcher(), num_samples=8, max_concurrent_trials=2
            ),
            run_config=tune.RunConfig(verbose=0, storage_path=str(tmp_path)),
        )
        results = tuner.fit()
    finally:
        ray.shutdown()
    assert len(results) == 8 and not results.errors
    assert results.get_best_result("error", "min").metrics["error"] < 0.2


def test_a_searcher_learns_from_what_it_is_told():
    configs = played(searcher(), 12)
    assert min(map(error, configs)) <= 0.11


def test_a_restored_searcher_goes_on_as_the_one_that_was_saved(tmp_path):
    whole = searcher()
    played(whole, 8)
    whole.save(str(tmp_path / "state.json"))
    other = searcher()
    other.restore(str(tmp_path / "state.json"))
    assert played(other, 3, start=8) == played(whole, 3, start=8)


def test_a_suggestion_reads_what_has_changed_however_many_trials_have_ended(monkeypatch):
    read = []
    real = History.update
    monkeypatch.setattr(
        History, "update", lambda h, trials, *a: real(h, [read.append(t) or t for t in trials], *a)
    )
    search = searcher("random")
    played(search, 30)
    assert len(read) == 2 * 30  # each trial as it starts and as it ends


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "other.json").write_text(json.dumps({"format": "else"}))
    with pytest.raises(InvalidArgument, match=bridge.FORMAT):
        searcher().restore(str(tmp_path / "other.json"))


def test_failed_and_nan_trials_do_not_count_as_results():
    search = searcher("random")
    for k, (result, failed) in enumerate([(None, True), ({"error": float("nan")}, False)]):
        search.suggest(f"t{k}")
        search.on_trial_complete(f"t{k}", result, error=failed)
    assert [str(t.state) for t in search._records.values()] == ["failed", "diverged"]


def test_an_exhausted_grid_ends_the_search():
    small = tk.Space(x=tk.Categorical(["a", "b"]))
    search = bridge.as_ray_searcher(small, "grid", metric="error")
    found = [search.suggest(f"t{k}") for k in range(3)]
    assert sorted(f["x"] for f in found[:2]) == ["a", "b"]
    assert found[2] == tune.search.Searcher.FINISHED


def test_a_space_of_the_tuner_beside_ours_is_refused():
    with pytest.raises(InvalidArgument, match="with_parameters"):
        searcher().set_search_properties("error", "min", {"lr": tune.uniform(0, 1)})


def name_of(made):
    return made.__name__


def torch_tensor(value):
    return pytest.importorskip("torch").tensor(float(value), requires_grad=True)


def function(config):
    for step in range(4):
        tune.report({"error": config["x"] + 1 / (step + 1), "size": 3})


class Stepwise(tune.Trainable):
    def setup(self, config):
        self.x = config["x"]

    def step(self):
        return {"error": self.x + 1 / (self.iteration + 1), "size": 3}


@pytest.mark.parametrize("trainable", [function, Stepwise])
def test_a_trainable_runs_as_an_objective(trainable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = tk.study(space=tk.Space(x=tk.Float(0.0, 1.0)), objectives="error", seed=1)
    study.optimize(bridge.as_objective(trainable, max_iterations=4), n_trials=2)
    assert [str(t.state) for t in study.trials] == ["complete", "complete"]
    for trial in study.trials:
        x = trial.params["x"]
        assert trial.metrics == {"error": pytest.approx(x + 0.25), "size": 3}
        reports = study.reports()[trial.number]
        assert [r.step for r in reports] == [1, 2, 3, 4]
        assert reports[0].metrics["error"] == pytest.approx(x + 1)


def test_a_stopper_ends_a_trainable_early(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = tk.study(
        space=tk.Space(x=tk.Float(0.0, 1.0)),
        objectives="error",
        seed=1,
        sampler="grid",
        stopper="median",
        stopper_options={"min_reports": 1, "min_trials": 1},
    )
    study.enqueue_trial({"x": 0.0})
    study.enqueue_trial({"x": 1.0})
    study.optimize(bridge.as_objective(Stepwise, max_iterations=9), n_trials=2)
    assert [str(t.state) for t in study.trials] == ["complete", "stopped"]
    assert len(study.reports()[1]) < 9


def test_a_class_without_a_bound_on_its_steps_is_refused():
    with pytest.raises(InvalidArgument, match="max_iterations"):
        bridge.as_objective(Stepwise)
    with pytest.raises(InvalidArgument, match="Trainable"):
        bridge.as_objective(3)


NUMBERS = [np.float16, np.float32, np.float64, np.longdouble, np.int8, np.uint64, np.bool_]


@pytest.mark.parametrize(
    "made", [*NUMBERS, np.array, np.atleast_1d, torch_tensor, bool, Decimal, Fraction]
)
def test_a_number_of_any_library_is_a_metric(made, tmp_path, monkeypatch):
    class Numbers(tune.Trainable):
        def step(self):
            return {"error": made(1), "other": made(1), "name": "none", "done": True}

    monkeypatch.chdir(tmp_path)
    study = tk.study(space=tk.Space(x=tk.Float(0.0, 1.0)), objectives="error", seed=1)
    study.optimize(bridge.as_objective(Numbers, max_iterations=4), n_trials=1)
    assert study.trials[0].metrics == {"error": 1.0, "other": 1.0}
    search = searcher("random")
    search.suggest("t0")
    search.on_trial_complete("t0", {"error": made(1)})
    assert search._records["t0"].metrics == {"error": 1.0}


def test_a_metric_that_is_no_number_is_named_with_its_value(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = tk.study(space=tk.Space(x=tk.Float(0.0, 1.0)), objectives="error", seed=1)
    study.optimize(bridge.as_objective(lambda config: {"error": "low"}), n_trials=1)
    assert "the metric 'error' is 'low'; report a number" in study.trials[0].end_reason


def counting(config):
    """Count on from the last checkpoint to 6, with one after each step."""
    state = tune.get_checkpoint()
    n = 0
    if state is not None:
        with state.as_directory() as folder:
            n = int(Path(folder, "n").read_text())
    while n < 6:
        n += 1
        with TemporaryDirectory() as folder:
            Path(folder, "n").write_text(str(n))
            tune.report({"error": 10.0 - n}, checkpoint=tune.Checkpoint.from_directory(folder))


class Counting(tune.Trainable):
    def setup(self, config):
        self.n = 0

    def step(self):
        self.n += 1
        return {"error": 10.0 - self.n, "done": self.n == 6}

    def save_checkpoint(self, folder):
        Path(folder, "n").write_text(str(self.n))

    def load_checkpoint(self, folder):
        self.n = int(Path(folder, "n").read_text())


class CountingAsDict(Counting):
    def save_checkpoint(self, folder):
        return {"n": self.n}

    def load_checkpoint(self, state):
        self.n = state["n"]


class PauseOnce:
    """Pauses a trial at its third report and lets it go on at once."""

    name = "once"

    def decide(self, number, view):
        is_third = len(view.reports[number]) == 3
        return Decision("pause", "pauses") if is_third else CONTINUE

    def promote(self, view):
        return {t.number: "goes on" for t in view.history.unfinished() if t.state == "paused"}


@pytest.mark.parametrize("trainable", [counting, Counting, CountingAsDict])
def test_a_paused_trainable_goes_on_from_its_own_checkpoint(trainable, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = tk.study(
        space=tk.Space(x=tk.Float(0.0, 1.0)),
        objectives="error",
        stopper=PauseOnce(),
        audit=0,
        checkpoints=tmp_path / "kept",
    )
    study.optimize(bridge.as_objective(trainable, max_iterations=6), n_trials=1)
    (trial,) = study.trials
    assert str(trial.state) == "complete" and trial.metrics["error"] == 4.0 and trial.epoch == 2
    assert [(r.step, r.metrics["error"]) for r in study.reports()[0]] == [
        (k, 10.0 - k) for k in range(1, 7)
    ]
    folder = study.checkpoint_path(study.best_trial)
    if trainable is not CountingAsDict:
        assert (folder / "n").read_text() == "6"
    assert folder == study.checkpoint_path(0) == study.checkpoint_path(0, step=6)


def test_a_class_saves_as_often_as_it_is_asked_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"space": tk.Space(x=tk.Float(0.0, 1.0)), "objectives": "error"}
    study = tk.study(**options, checkpoints=Checkpoints(tmp_path / "kept", keep_best=9))
    objective = bridge.as_objective(Counting, max_iterations=6, checkpoint_frequency=4)
    study.optimize(objective, n_trials=1)
    assert [c.step for c in study.trials[0].checkpoints] == [4]
    bare = tk.study(**options)
    bare.optimize(objective, n_trials=1)
    assert str(bare.trials[0].state) == "complete"
    with pytest.raises(InvalidArgument, match="checkpoint_frequency=-1"):
        bridge.as_objective(Counting, max_iterations=6, checkpoint_frequency=-1)

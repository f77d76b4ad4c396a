"""Recorded trials as problems."""

import json
import math

import numpy as np
import pytest

import tunekit as tk
from tunekit.bench.recorded import NotRecorded, RecordedFailure
from tunekit.bench.suites import suite
from tunekit.errors import InvalidArgument, UnknownStudy
from tunekit.samplers.base import sample
from tunekit.spaces import Params


@pytest.fixture
def recorded_study(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    space = tk.Space(
        lr=tk.Float(1e-4, 1.0, log=True),
        kind=tk.Categorical({"a": None, "b": tk.Space(depth=tk.Int(1, 9))}),
    )

    def objective(trial):
        p = trial.params
        if p["kind"] == "b" and p["depth"] == 5:
            raise RuntimeError("depth five is broken")
        return math.inf if p["lr"] > 0.9 else p["lr"] + p.get("kind.b.depth", 0)

    study = tk.study("first", space=space, storage=url, objectives="error", seed=1)
    for point in (
        {"lr": 0.001, "kind": "a"},
        {"lr": 0.1, "kind": "a"},
        {"lr": 0.1, "kind": "b", "depth": 2},
        {"lr": 0.1, "kind": "b", "depth": 5},
        {"lr": 1.0, "kind": "b", "depth": 9},
    ):
        study.enqueue_trial(point)
    study.optimize(objective, n_trials=5, catch=RuntimeError)
    return url


def test_a_study_answers_with_its_own_trials_and_their_ends(recorded_study):
    (problem,) = suite("replay", storage=recorded_study, study="first")
    at = problem.space.validate
    assert problem.evaluate(at({"lr": 0.1, "kind": "b", "depth": 2})) == {"error": 2.1}
    assert problem.evaluate(at({"lr": 0.0009, "kind": "a"})) == {"error": 0.001}
    assert problem.evaluate(at({"lr": 1.0, "kind": "b", "depth": 9}))["error"] == math.inf
    with pytest.raises(RecordedFailure, match="depth five is broken"):
        problem.evaluate(at({"lr": 0.2, "kind": "b", "depth": 5}))
    assert problem.best_known == 0.001
    assert problem.objectives[0].metric == "error"
    second = tk.load_study("first", storage=recorded_study).trials[1]
    assert problem.seconds(at({"lr": 0.1, "kind": "a"})) == second.duration_s


def test_a_branch_is_never_nearer_in_another_branch_of_equal_numbers(recorded_study):
    (problem,) = suite("replay", storage=recorded_study, study="first")
    found = problem.evaluate.nearest(Params({"lr": 0.001, "kind": "b", "kind.b.depth": 1}))
    assert found.params["kind"] == "b"


def test_a_missing_study_is_refused(recorded_study):
    with pytest.raises(UnknownStudy):
        suite("replay", storage=recorded_study, study="second")
    with pytest.raises(InvalidArgument, match="give study="):
        suite("replay", storage=recorded_study)


@pytest.fixture
def grid(tmp_path):
    """Return a CSV of a grid over lr and batch, one cell twice, one without a result."""
    lines = ["lr,batch,opt,loss,time"]
    for i, lr in enumerate((0.001, 0.01, 0.1)):
        for batch in (8, 64):
            loss = "" if (lr, batch) == (0.1, 8) else str(1.0 + i + batch / 64)
            lines.append(f"{lr},{batch},adam,{loss},{batch / 8}")
    lines.append("0.01,8,adam,4.125,3.0")
    file = tmp_path / "grid.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_an_exact_table_is_discrete_and_fails_where_nothing_was_recorded(grid):
    lines = grid.read_text().splitlines()
    grid.write_text("\n".join(lines[:2] + lines[3:]) + "\n")  # without 0.001 x 64
    (problem,) = suite("replay", table=grid, params="lr,batch,opt", metric="loss", lookup="exact")
    at = problem.space.validate
    assert [p.domain.choices for p in problem.space] == [(0.001, 0.01, 0.1), (8, 64), ("adam",)]
    assert problem.evaluate(at({"lr": 0.001, "batch": 8, "opt": "adam"})) == {"loss": 1.125}
    assert problem.evaluate(at({"lr": 0.01, "batch": 8, "opt": "adam"})) == {"loss": 3.125}
    assert math.isnan(problem.evaluate(at({"lr": 0.1, "batch": 8, "opt": "adam"}))["loss"])
    with pytest.raises(NotRecorded):
        problem.evaluate(at({"lr": 0.001, "batch": 64, "opt": "adam"}))
    assert problem.best_known == 1.125


def test_a_nearest_table_spans_ranges_on_their_own_scales(grid):
    (problem,) = suite("replay", table=grid, params=["lr", "batch"], metric="loss", seconds="time")
    lr, batch = (p.domain for p in problem.space)
    assert isinstance(lr, tk.Float) and lr.log
    assert isinstance(batch, tk.Int) and (batch.lo, batch.hi) == (8, 64)
    assert problem.evaluate(Params(lr=0.0012, batch=10)) == {"loss": 1.125}
    assert problem.seconds(Params(lr=0.0012, batch=60)) == 8.0


def test_the_maximum_is_the_best_where_more_is_better(grid):
    (problem,) = suite(
        "replay", table=grid, params="lr,batch", metric="loss", direction="maximize"
    )
    assert problem.best_known == 4.0


def test_a_parquet_table_is_read_too(grid, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    csv = pytest.importorskip("pyarrow.csv")
    pq.write_table(csv.read_csv(grid), tmp_path / "grid.parquet")
    options = {"params": "lr,batch,opt", "metric": "loss"}
    (one,) = suite("replay", table=grid, **options)
    (two,) = suite("replay", table=tmp_path / "grid.parquet", **options)
    assert one.space == two.space
    assert one.best_known == two.best_known


def test_what_a_table_lacks_is_said(grid, tmp_path):
    for options, said in (
        ({"params": "lrr", "metric": "loss"}, 'no column "lrr".*did you mean "lr"'),
        ({"params": "lr", "metric": "opt"}, "contains 'adam'; expected numbers"),
        ({"params": "loss", "metric": "time"}, "has blanks"),
        ({"params": "lr"}, "give params= and metric="),
        ({"params": "lr", "metric": "loss", "lookup": "near"}, 'expected "nearest" or "exact"'),
    ):
        with pytest.raises(InvalidArgument, match=said):
            suite("replay", table=grid, **options)
    with pytest.raises(InvalidArgument, match="no file"):
        suite("replay", table=tmp_path / "none.csv", params="lr", metric="loss")
    with pytest.raises(InvalidArgument, match="expected exactly one of"):
        suite("replay", table=grid, curves=tmp_path)


def test_a_recorded_configuration_of_taskset_gives_its_own_final_loss(shared_data):
    import gzip

    folder = shared_data("taskset")
    problem = suite("replay", seed=2, curves=folder, n_tasks=1)[0]
    (file,) = folder.glob(f"{problem.name.removeprefix('replay/')}.json.gz")
    runs = json.load(gzip.open(file))
    rng = np.random.default_rng(0)
    for i in rng.choice(len(runs), 20, replace=False):
        point = problem.space.validate(runs[i]["hp"])
        found, wanted = problem.evaluate(point)["loss"], runs[i]["valid"]["loss"][-1]
        assert found == wanted or (math.isnan(found) and math.isnan(wanted))
    values = [problem.evaluate(sample(problem.space, rng))["loss"] for _ in range(50)]
    assert min(values) >= problem.best_known
    assert {p.path: p.domain.log for p in problem.space} == {
        **dict.fromkeys(("learning_rate", "epsilon", "l1", "l2"), True),
        **dict.fromkeys(("linear_decay", "exponential_decay"), True),
        **dict.fromkeys(("beta1", "beta2"), False),
    }


def test_curves_of_another_form_are_refused(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('[{"hp": {"lr": 1}}]')
    with pytest.raises(InvalidArgument, match=r"is malformed.*valid"):
        suite("replay", curves=file)
    file.write_text("{")
    with pytest.raises(InvalidArgument, match="cannot be read"):
        suite("replay", curves=tmp_path)
    with pytest.raises(InvalidArgument, match="no curves"):
        suite("replay", curves=tmp_path / "nowhere")


def test_small_curves_are_a_problem(tmp_path):
    runs = [
        {"hp": {"lr": lr, "wd": wd}, "valid": {"loss": [2.0, lr + wd]}}
        for lr, wd in ((0.1, 0.2), (0.3, 0.9), (0.9, 0.5))
    ]
    runs.append({"hp": {"lr": 0.95, "wd": 0.95}, "valid": {"loss": [2.0, float("nan")]}})
    (tmp_path / "small.json").write_text(json.dumps(runs))
    (problem,) = suite("replay", curves=tmp_path)
    assert problem.name == "replay/small"
    assert problem.best_known == pytest.approx(0.3)
    assert problem.evaluate(Params(lr=0.3, wd=0.85)) == {"loss": pytest.approx(1.2)}
    assert math.isnan(problem.evaluate(Params(lr=0.95, wd=0.95))["loss"])

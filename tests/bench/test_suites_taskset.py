"""Recorded deep-learning runs as flat problems."""

import gzip
import json
import math

import numpy as np
import pytest

from tunekit.bench.episode import play
from tunekit.bench.runner import SamplerProposer
from tunekit.bench.suites import suite
from tunekit.errors import InvalidArgument
from tunekit.registry import make
from tunekit.samplers.base import sample

NAMES = ("learning_rate", "beta1", "beta2", "epsilon", "l1", "l2")


def run_of(learning_rate, *losses):
    hp = dict(zip(NAMES, (learning_rate, 0.9, 0.999, 1e-8, 1e-5, 1e-5), strict=True))
    decays = {"linear_decay": 1e-6, "exponential_decay": 1e-5}
    return {"hp": {**hp, **decays}, "valid": {"loss": list(losses)}}


@pytest.fixture
def small(tmp_path):
    """Return a folder with one task of four runs: good, poor, exploded, NaN."""
    runs = [
        run_of(1e-3, 0.7, 0.4),
        run_of(1e-6, 0.7, 0.69),
        run_of(1.0, 0.8, 1e34),
        run_of(9.0, 0.7, math.nan),
    ]
    with gzip.open(tmp_path / "task.json.gz", "wt") as file:
        json.dump(runs, file)
    return tmp_path


def test_the_objective_returns_what_was_recorded_and_the_score_caps_what_diverged(small):
    (problem,) = suite("taskset", data=small)
    assert problem.name == "taskset/task-0" and problem.best_known == 0.4
    default = problem.space.default()
    at = {lr: problem.space.validate({**default, "learning_rate": lr}) for lr in (2e-3, 1.0, 9.0)}
    assert problem.evaluate(at[2e-3]) == problem.exact(at[2e-3]) == 0.4
    assert (problem.evaluate(at[1.0]), problem.exact(at[1.0])) == (1e34, 0.7)
    assert math.isnan(problem.evaluate(at[9.0])) and math.isnan(problem.exact(at[9.0]))
    episode = play(problem, SamplerProposer(make("sampler", "random")), n_trials=30)
    assert {"complete", "diverged"} == set(episode.states)
    assert max(v for v in episode.exact if v is not None) == 0.7


def test_a_forest_predicts_between_the_recorded_losses(small):
    pytest.importorskip("sklearn")
    (problem,) = suite("taskset", data=small, lookup="forest")
    rng = np.random.default_rng(0)
    values = [problem.evaluate(sample(problem.space, rng)) for _ in range(20)]
    assert 0.4 <= min(values) < max(values) <= 0.7


def test_without_its_data_the_suite_says_which_folder_it_needs(tmp_path):
    with pytest.raises(InvalidArgument, match=r"no data folder given.*taskset:data=DIR"):
        suite("taskset")
    with pytest.raises(InvalidArgument, match="no curves in"):
        suite("taskset", data=tmp_path / "nowhere")
    with pytest.raises(InvalidArgument, match='expected "nearest" or "forest"'):
        suite("taskset", data=tmp_path, lookup="near")
    (tmp_path / "a.json").write_text('[{"hp": {"lr": 1}, "valid": {"loss": [1]}}]')
    with pytest.raises(InvalidArgument, match=r"is malformed.*eight numbers"):
        suite("taskset", data=tmp_path)


def test_six_recorded_tasks_of_a_thousand_runs_have_another_default_with_each_seed(shared_data):
    folder = shared_data("taskset")
    first, second = (suite("taskset", seed=seed, data=folder) for seed in (0, 1))
    assert len(first) == 6 and all(p.tags["recorded"] == "1000" for p in first)
    defaults = {tuple(p.space.default().values()) for p in (*first, *second)}
    assert len(defaults) == 12
    runs = json.load(gzip.open(min(folder.glob("*.gz"))))
    best = runs[int(np.nanargmin([run["valid"]["loss"][-1] for run in runs]))]
    betas = {f"one_minus_{b}": 1 - best["hp"][b] for b in ("beta1", "beta2")}
    others = {k: v for k, v in best["hp"].items() if not k.startswith("beta")}
    point = first[0].space.validate({**others, **betas})
    assert first[0].evaluate(point) == first[0].best_known == best["valid"]["loss"][-1]

"""The main job: every branch of the demo's space fits, and the demo runs, dies and goes on."""

from __future__ import annotations

import warnings

import pytest

import tunekit as tk

pytest.importorskip("sklearn")

from sklearn.datasets import load_digits

from tunekit.cli.demo import nested_lines
from tunekit.cli.demo_pipeline import SPACE, make_pipeline
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream

BRANCHES = [
    {"scaler": "none", "model": "neighbours"},
    {"scaler": "standard", "reduce": "pca", "model": "logistic"},
    {"scaler": "quantile", "reduce": "best", "model": "forest"},
    {"model": "boosting", "model.boosting.n_estimators": 10},
    {"model": "network", "layers": 3},
    {"model": "svm", "kernel": "linear"},
    {"model": "svm", "kernel": "rbf"},
    {"model": "svm", "kernel": "poly"},
]


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda b: " ".join(map(str, b.values())))
def test_every_branch_fits_and_predicts(branch):
    x, y = load_digits(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = make_pipeline(SPACE.complete(branch).nested()).fit(x[:300], y[:300])
    assert pipeline.score(x[300:500], y[300:500]) > 0.3


def test_every_sampled_point_is_a_pipeline():
    for number in range(100):
        make_pipeline(sample(SPACE, stream(0, number)).nested())


def test_a_point_is_printed_as_a_tree():
    svm = {"model": "svm", "kernel": "rbf", "model.svm.C": 2.0, "model.svm.kernel.rbf.gamma": 0.5}
    assert nested_lines(SPACE.complete(svm)) == [
        "scaler = standard",
        "reduce = none",
        "model",
        "  svm",
        "    C = 2",
        "    kernel",
        "      rbf",
        "        gamma = 0.5",
    ]


@pytest.mark.slow
def test_the_demo_runs_and_goes_on_where_it_was(shell, answer):
    url = "sqlite:///tunekit-demo.db"
    first = shell("demo", "-n", "2")
    assert first.returncode == 0, first.stderr
    assert "trial   0  standard > none > forest" in first.stderr
    assert f"tunekit studies show demo --storage {url}" in first.stdout
    second = shell("demo", "-n", "11")
    assert second.returncode == 0, second.stderr
    assert "goes on after 2 finished trials" in second.stderr
    assert "best configuration" in second.stdout
    assert "with the defaults" in second.stdout
    assert "what mattered:" in second.stdout
    study = tk.load_study("demo", storage=url)
    assert (len(study.trials), study.trials[0].params) == (11, SPACE.default())
    shown = answer("demo", "-n", "11")["demo"]
    assert shown["best"]["metrics"] == study.best_trial.metrics
    assert sum(shown["importance"].values()) == pytest.approx(1.0)
    assert shell("demo", "-n", "1", "--fresh", "-q").returncode == 0
    assert len(tk.load_study("demo", storage=url).trials) == 1

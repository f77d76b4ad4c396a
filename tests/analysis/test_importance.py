"""Importance finds what was planted, also on a branch."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from optuna.importance import PedAnovaImportanceEvaluator

from tunekit.analysis.importance import importance
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.history import History
from tunekit.records import MetricConstraint, ObjectiveSpec, TrialRecord, TrialState
from tunekit.samplers.base import sample
from tunekit.samplers.optuna_bridge.codec import SPECIAL, Codec, told_trials
from tunekit.samplers.optuna_bridge.storage import told_study
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Space

LOSS = (ObjectiveSpec("loss"),)

FLAT = Space(
    lr=Float(1e-5, 1, log=True, special=(0,)),
    width=Int(8, 512, log=True),
    act=["relu", "gelu", "tanh"],
    seed=1,
)

TREE = Space(
    model=Categorical(
        {
            "svm": Space(C=Float(1e-3, 1e3, log=True), shrink=bool),
            "forest": Space(depth=Int(2, 32), jobs=Int(1, 8)),
        }
    ),
    verbose=Int(0, 3),
)


def history_of(space, loss, n=200, objectives=LOSS, constraints=()):
    trials = []
    for k in range(n):
        params = sample(space, stream(1, k))
        got = loss(params)
        metrics = dict(zip([o.metric for o in objectives], got, strict=True))
        metrics["memory"] = float(k % 2)
        trials.append(
            TrialRecord(k, TrialState.COMPLETE, seq=k + 1, params=params, metrics=metrics)
        )
    history = History(objectives, constraints)
    history.update(trials, n)
    return history


def test_a_planted_parameter_wins_and_shares_sum_to_one():
    history = history_of(FLAT, lambda p: [abs(p["width"] - 64) + 0.01 * p["lr"]])
    shares = importance(history, FLAT)
    assert next(iter(shares)) == "width"
    assert shares["width"] > 0.6
    assert set(shares) == {"lr", "width", "act"}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_a_special_value_counts_for_its_parameter():
    history = history_of(FLAT, lambda p: [float(p["lr"] != 0)])
    assert next(iter(importance(history, FLAT, quantile=0.1))) == "lr"


def test_a_parameter_on_a_branch_is_judged_where_it_is_active():
    def loss(p):
        return [abs(p["depth"] - 8) if p["model"] == "forest" else 15 + 0.1 * p["shrink"]]

    shares = importance(history_of(TREE, loss, n=400), TREE)
    assert set(list(shares)[:2]) == {"model", "model.forest.depth"}
    assert shares["model.forest.depth"] > 3 * shares["model.forest.jobs"]
    assert shares["model.forest.depth"] > 3 * shares["model.svm.C"]


def test_maximised_and_several_objectives_are_understood():
    up = (ObjectiveSpec("accuracy", "maximize"),)
    history = history_of(FLAT, lambda p: [-abs(p["width"] - 64)], objectives=up)
    assert next(iter(importance(history, FLAT))) == "width"
    two = (*LOSS, *up)
    history = history_of(FLAT, lambda p: [p["width"], -p["width"]], objectives=two)
    assert next(iter(importance(history, FLAT))) == "width"


def test_infeasible_trials_are_left_out():
    bound = (MetricConstraint("memory", "<=", 0.5),)
    history = history_of(FLAT, lambda p: [float(p["width"])], n=19, constraints=bound)
    assert importance(history, FLAT)
    history = history_of(FLAT, lambda p: [float(p["width"])], n=18, constraints=bound)
    with pytest.raises(NoCompleteTrial, match="there are 9"):
        importance(history, FLAT)


def test_failed_trials_are_no_ground_for_shares():
    history = history_of(FLAT, lambda p: [1.0], n=30)
    failed = [replace(t, state=TrialState.FAILED, metrics={}, seq=99) for t in history]
    history.update(failed, 99)
    with pytest.raises(NoCompleteTrial, match="needs 10 complete"):
        importance(history, FLAT)


def test_equal_results_give_equal_shares():
    shares = importance(history_of(FLAT, lambda p: [1.0], n=20), FLAT)
    assert list(shares.values()) == pytest.approx(3 * [1 / 3])


def test_a_space_of_constants_has_no_shares():
    space = Space(a=1)
    assert importance(history_of(space, lambda p: [1.0], n=20), space) == {}


@pytest.mark.parametrize("quantile", [0.0, 1.0, -1.0, float("nan")])
def test_a_quantile_lies_between_0_and_1(quantile):
    with pytest.raises(InvalidArgument, match="quantile"):
        importance(history_of(FLAT, lambda p: [1.0], n=20), FLAT, quantile=quantile)


def test_without_optuna_there_are_shares_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert set(importance(history_of(FLAT, lambda p: [p["width"]], n=20), FLAT)) == {
        "lr",
        "width",
        "act",
    }


RANGES = Space(
    tenth=Float(0.0, 1.0, step=0.1),
    few=Int(1, 7, step=2),
    wide=Int(0, 1000),
    rate=Float(1e-4, 1.0, log=True),
    size=Categorical(["s", "m", "l", "xl"], ordered=True),
    one=Int(3, 3),
)


@pytest.mark.parametrize("space", [FLAT, TREE, RANGES], ids=["flat", "tree", "ranges"])
@pytest.mark.parametrize("quantile", [0.1, 0.25, 0.6])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_shares_are_those_of_optunas_evaluator(space, quantile):
    def loss(p):
        found = [v for v in p.values() if isinstance(v, int | float)]
        return [float(round(sum(found[:3]), 1))]

    history = history_of(space, loss, n=150)
    codec = Codec(space)
    study, _ = told_study(told_trials(history.complete(), history, codec), history.objectives)
    raw = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    expected = dict.fromkeys(codec.asked, 0.0)
    for name, value in raw.items():
        expected[name.removesuffix(SPECIAL)] += value / sum(raw.values())
    assert importance(history, space, quantile=quantile) == pytest.approx(expected, abs=1e-9)

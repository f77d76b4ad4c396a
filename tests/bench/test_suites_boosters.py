"""Gradient boosting in the conditional space of XGBoost."""

import math

import numpy as np
import pytest

from tunekit.bench.boosting import Booster
from tunekit.bench.suites import suite
from tunekit.samplers.base import sample

pytest.importorskip("sklearn")

X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
Y = np.array([0.0, 0.0, 0.0, 1.0])


def booster(**options):
    given = {"nrounds": 1, "eta": 1.0, "subsample": 1.0, "reg_lambda": 0.5, "reg_alpha": 0.0}
    given |= {"booster": "gbtree", "min_child_weight": 0.1, "max_depth": 1, **options}
    return Booster(**given, rng=np.random.default_rng(0))


def test_a_leaf_takes_the_second_order_step_of_xgboost():
    # At margin 0 the derivatives are 1/2 - y and 1/4; the best stump splits off the last row.
    low, high = -(3 * 0.5) / (3 * 0.25 + 0.5), 0.5 / (0.25 + 0.5)
    got = booster().margins(X, Y, X)
    assert got == pytest.approx([low, low, low, high])
    shrunk = booster(reg_alpha=0.2, eta=0.3).margins(X, Y, X)
    assert shrunk[3] == pytest.approx(0.3 * (0.5 - 0.2) / 0.75)


def test_a_heavy_leaf_is_not_split():
    got = booster(min_child_weight=60.0).margins(X, Y, X)
    assert got == pytest.approx([-(4 * 0.5 - 1) / (4 * 0.25 + 0.5)] * 4)


def test_more_rounds_fit_better_and_dropped_trees_less_closely():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 4))
    y = (x[:, 0] * x[:, 1] > 0).astype(float)

    def loss(**options):
        margin = booster(max_depth=3, eta=0.3, **options).margins(x, y, x)
        return float(np.logaddexp(0, np.where(y > 0, -margin, margin)).mean())

    few, many = loss(nrounds=3), loss(nrounds=30)
    assert many < few < math.log(2)
    kept = loss(nrounds=30, booster="dart", rate_drop=0.5, skip_drop=1.0)
    assert kept < 0.5 * few, "without a drop dart is gbtree"
    assert loss(nrounds=30, booster="dart", rate_drop=0.9) > 2 * max(kept, many)


def test_a_linear_booster_ends_near_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 3))
    y = (x @ [1.0, -2.0, 0.0] + rng.standard_normal(300) > 0).astype(float)
    margins = booster(booster="gblinear", nrounds=400, reg_lambda=1e-3).margins(x, y, x)
    model = LogisticRegression(C=1e6).fit(x, y)
    assert margins == pytest.approx(model.decision_function(x), abs=0.15)


def test_the_conditions_are_those_of_xgboost():
    space = suite("boosters")[0].space
    rng = np.random.default_rng(0)
    counts = {}
    for _ in range(60):
        point = sample(space, rng)
        counts.setdefault(point["booster"], set()).add(len(point))
    # five at the top and the switch; five of trees with their own switch; two of dropping
    assert counts == {"gblinear": {6}, "gbtree": {11, 12}, "dart": {13, 14}}


@pytest.mark.parametrize("problem", suite("boosters", 2), ids=lambda p: p.name)
def test_random_boosters_learn_something_and_repeat_exactly(problem):
    rng = np.random.default_rng(4)
    points = [sample(problem.space, rng) for _ in range(25)]
    losses = [problem.evaluate(point) for point in points]
    assert min(losses) < 0.67 < math.log(2) + 0.02 > np.median(losses)
    assert problem.evaluate(points[0]) == losses[0]

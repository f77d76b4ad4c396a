"""Synthetic CASH problem: choose one of six model families and the preprocessing."""

from __future__ import annotations

import numpy as np

from tunekit.bench.problem import Problem
from tunekit.bench.trees.draw import Recipe, draw_pairs, draw_problem, draw_terms
from tunekit.bench.trees.landscape import Landscape, best_point
from tunekit.spaces import Categorical, Float, Int, Space

RECIPE = Recipe(gap=(0.08, 0.35), weight=0.6, decay=0.75)


def instance(rng: np.random.Generator) -> Problem:
    """Return six models with 2 to 7 parameters each, including nested kernels and boosters.

    Half of the pairs of a model and a scaler, or a model and a feature selection, cost extra.
    """
    space = Space(
        scaler=Categorical(["none", "standard", "robust", "quantile"]),
        features=_features(),
        model=Categorical(_models()),
    )
    terms = draw_terms(space, rng, RECIPE)
    landscape = Landscape(terms, best_point(space, terms), 0.08, outer="saturating")
    landscape = draw_pairs(landscape, [("model", "scaler"), ("model", "features")], rng, 0.2)
    return draw_problem("models", space, landscape=landscape, rng=rng)


def _features() -> Categorical:
    return Categorical(
        {
            "all": None,
            "pca": Space(share=Float(0.3, 0.99), whiten=bool),
            "best": Space(k=Int(2, 60, log=True), score=Categorical(["f", "mutual"])),
        }
    )


def _models() -> dict[str, Space]:
    gamma = Float(1e-4, 1e1, log=True)
    kernel = Categorical(
        {
            "linear": None,
            "rbf": Space(gamma=gamma),
            "poly": Space(gamma=gamma, degree=Int(2, 5), coef0=Float(0.0, 5.0)),
        }
    )
    penalty = Categorical({"l2": None, "elastic": Space(l1_ratio=Float(0.0, 1.0))})
    booster = Categorical(
        {
            "tree": Space(depth=Int(1, 12), gamma=Float(1e-4, 10.0, log=True)),
            "dart": Space(depth=Int(1, 12), drop=Float(0.0, 0.7), skip=Float(0.0, 0.7)),
            "linear": Space(alpha=Float(1e-4, 10.0, log=True)),
        }
    )
    solver = Categorical(
        {
            "adam": Space(lr=Float(1e-4, 1e-1, log=True), beta1=Float(0.8, 0.99)),
            "sgd": Space(lr=Float(1e-4, 1.0, log=True), momentum=Float(0.0, 0.99)),
        }
    )
    criterion = Categorical(["gini", "entropy"])
    return {
        "svm": Space(C=Float(1e-3, 1e3, log=True), kernel=kernel),
        "logistic": Space(C=Float(1e-4, 1e3, log=True), penalty=penalty),
        "forest": Space(
            trees=Int(10, 500, log=True), share=Float(0.1, 1.0), leaf=Int(1, 30), rule=criterion
        ),
        "boosting": Space(
            rounds=Int(10, 1000, log=True), eta=Float(1e-3, 1.0, log=True), booster=booster
        ),
        "network": Space(
            width=Int(8, 512, log=True), dropout=Float(0.0, 0.7), solver=solver, deep=bool
        ),
        "neighbours": Space(k=Int(1, 60, log=True), p=Float(1.0, 4.0)),
    }

"""Real gradient boosting with the conditional space of XGBoost: trees, dropped trees, linear."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tunekit.bench.boosting import Booster
from tunekit.bench.cash import MAX_SEED
from tunekit.bench.classifiers import labelled
from tunekit.bench.problem import Problem
from tunekit.bench.scikit_learn import check_sklearn
from tunekit.bench.trees.draw import with_defaults
from tunekit.records import ObjectiveSpec
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Float, Int, Params, Space, When

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]

DATA = ("diabetes", "cancer", "interactions", "moons", "sparse", "hastie")

TREES = Space(
    max_depth=Int(1, 8),
    min_child_weight=Float(0.1, 60.0, log=True),
    gamma=Float(1e-4, 10.0, log=True),
    colsample=Float(0.1, 1.0),
    grow=Categorical({"depthwise": None, "lossguide": Space(max_leaves=Int(2, 64, log=True))}),
)

SPACE = Space(
    nrounds=Int(2, 60, log=True),
    eta=Float(1e-3, 1.0, log=True),
    subsample=Float(0.1, 1.0),
    reg_lambda=Float(1e-3, 1e3, log=True),
    reg_alpha=Float(1e-3, 1e2, log=True),
    booster=Categorical({"gblinear": None, ("gbtree", "dart"): TREES}),
    when=[When("booster", ["dart"], Space(rate_drop=Float(0.0, 1.0), skip_drop=Float(0.0, 1.0)))],
)


@dataclass(frozen=True, slots=True)
class Boosted:
    """Boosts on half of the rows; the same params and seed give the same loss."""

    data: str
    seed: int

    def __call__(self, params: Params) -> float:
        """Return the mean logistic loss on the other half, below 0.7 if anything was learnt."""
        (x, y), (x_valid, y_valid) = _split(self.data, self.seed)
        short: dict[str, Any] = {path.rpartition(".")[2]: value for path, value in params.items()}
        booster = Booster(**short, rng=np.random.default_rng(self.seed))
        margin = booster.margins(x, y, x_valid)
        return float(np.mean(np.logaddexp(0.0, np.where(y_valid > 0, -margin, margin))))


def suite(seed: int = 0) -> list[Problem]:
    """Return six binary problems; the seed draws rows, their split and the defaults.

    `gbtree` and `dart` share the parameters of their trees; `dart` adds two for dropping them,
    `lossguide` one, and `gblinear` has none of its own. No optimum is
    known.

    Reference: Chen, Guestrin (2016), XGBoost: a scalable tree boosting system, eqs. 4 to 7;
    Vinayak, Gilad-Bachrach (2015), DART: dropouts meet multiple additive regression trees.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    check_sklearn("boosters")
    return [
        _problem(name, np.random.default_rng([seed, 0xB005, i]), seed)
        for i, name in enumerate(DATA)
    ]


def _problem(name: str, rng: np.random.Generator, seed: int) -> Problem:
    defaults: dict[str, Any] = {p.path: p.domain.from_unit(rng.random()) for p in SPACE}
    return Problem(
        f"boosters/{name}-{seed}",
        with_defaults(SPACE, "", defaults | sample(SPACE, rng)),
        Boosted(name, seed % MAX_SEED),
        objectives=(ObjectiveSpec("log_loss"),),
        tags={"pool": "600"},
    )


@lru_cache(maxsize=16)
def _split(name: str, seed: int) -> tuple[Rows, Rows]:
    """Return the rows to train on and those to validate, with labels 0 and 1."""
    x, y = _rows(name, seed)
    order = np.random.default_rng([seed, DATA.index(name)]).permutation(len(x))
    x, y = (x[order] - x.mean(axis=0)) / x.std(axis=0), y[order].astype(np.float64)
    half = len(x) // 2
    return (x[:half], y[:half]), (x[half:], y[half:])


def _rows(name: str, seed: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    from sklearn import datasets

    if name in ("diabetes", "cancer", "interactions"):
        return labelled(name, seed)
    rng = np.random.RandomState(seed)  # scikit-learn takes no Generator
    if name == "hastie":
        x, y = datasets.make_hastie_10_2(400, random_state=rng)
        return x, y > 0
    if name == "moons":
        x, y = datasets.make_moons(400, noise=0.35, random_state=rng)
        return np.hstack([x, rng.standard_normal((len(x), 6))]), y
    x = rng.standard_normal((300, 25))
    return x, x[:, :4] @ rng.choice([-1.0, 1.0], 4) + rng.standard_normal(300) > 0

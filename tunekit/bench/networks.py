"""Real network training: small perceptrons on scikit-learn's data, eight flat parameters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tunekit.bench.cash import MAX_SEED
from tunekit.bench.problem import EXPENSIVE, Problem
from tunekit.bench.scikit_learn import check_sklearn
from tunekit.bench.trees.draw import with_defaults
from tunekit.records import ObjectiveSpec
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Float, Int, Params, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labelled: TypeAlias = tuple[NDArray[np.float64], NDArray[Any]]

DATA = ("digits", "cancer", "diabetes", "spirals", "checkers", "shells")
N_TRAIN = 400
EPOCHS = 25
"""Few, so that slow learning is a failure to learn, as under a real budget."""

SPACE = Space(
    learning_rate_init=Float(1e-6, 1e1, log=True),
    momentum=Float(0.0, 0.99),
    alpha=Float(1e-7, 1e2, log=True),
    batch_size=Int(8, 256, log=True),
    layers=Int(1, 4),
    units=Int(2, 96, log=True),
    activation=Categorical(["relu", "tanh", "logistic"]),
    learning_rate=Categorical(["constant", "invscaling", "adaptive"]),
)


@dataclass(frozen=True, slots=True)
class Trained:
    """Trains a network and validates it; the same params and seed give the same error."""

    data: str
    seed: int

    def __call__(self, params: Params) -> float:
        """Return the share of misclassified validation rows.

        Raises:
            ValueError: the weights have become infinite.
        """
        from sklearn.neural_network import MLPClassifier

        chosen: dict[str, Any] = dict(params)
        shape = [chosen.pop("units")] * chosen.pop("layers")
        network = MLPClassifier(
            shape, solver="sgd", max_iter=EPOCHS, random_state=self.seed, **chosen
        )
        (x, y), (x_valid, y_valid) = _split(self.data, self.seed)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a budget of few epochs ends before convergence
            network.fit(x, y)
            return 1.0 - float(network.score(x_valid, y_valid))


def suite(seed: int = 0) -> list[Problem]:
    """Return six problems; the seed draws rows, initial weights and the default.

    A trial trains a perceptron of one to four layers on 400 rows by stochastic gradient descent
    for 25 epochs, which takes a tenth of a second, and validates it on the others. In most of the
    space it does not learn, or its weights become infinite, which fails the trial. No optimum is
    known.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    check_sklearn("networks")
    return [
        Problem(
            f"networks/{name}-{seed}",
            with_defaults(SPACE, "", sample(SPACE, np.random.default_rng([seed, 0x4E7, i]))),
            Trained(name, seed % MAX_SEED),
            objectives=(ObjectiveSpec("error"),),
            tags=EXPENSIVE,
        )
        for i, name in enumerate(DATA)
    ]


@lru_cache(maxsize=16)
def _split(name: str, seed: int) -> tuple[Labelled, Labelled]:
    """Return the rows to train on, scaled to mean 0 and deviation 1, and those to validate."""
    rng = np.random.default_rng([seed, DATA.index(name)])
    x, y = _rows(name, rng)
    order = rng.permutation(len(x))
    n = min(N_TRAIN, len(x) // 2)
    train, valid = order[:n], order[n : n + 600]
    spread = x[train].std(axis=0)
    x = (x - x[train].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return (x[train], y[train]), (x[valid], y[valid])


def _rows(name: str, rng: np.random.Generator) -> Labelled:
    from sklearn import datasets

    if name == "digits":
        x, y = datasets.load_digits(return_X_y=True)
        return x + 3.0 * rng.standard_normal(x.shape), y
    if name == "cancer":
        x, y = datasets.load_breast_cancer(return_X_y=True)
        return x + 1.5 * x.std(axis=0) * rng.standard_normal(x.shape), y
    if name == "diabetes":
        x, y = datasets.load_diabetes(return_X_y=True)
        return x, (y > np.median(y)).astype(int)
    if name == "spirals":
        turn = rng.uniform(0.5, 2.0, 1000) * np.pi
        y = rng.integers(3, size=1000)
        angle = turn + y * 2.0 * np.pi / 3.0
        x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1)
        return x + 0.2 * rng.standard_normal(x.shape), y
    x = rng.uniform(-1.0, 1.0, (1000, 6))
    if name == "checkers":
        return x, (x[:, 0] * x[:, 1] * (x[:, 2] + 0.5) > 0).astype(int)
    radius = np.linalg.norm(x[:, :3], axis=1)
    return x, np.digitize(radius, np.quantile(radius, [0.33, 0.67]))

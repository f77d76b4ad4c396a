"""CASH on real data: one of five classifiers, some of whose choices have no parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.bench.cash import MAX_SEED, mean_error
from tunekit.bench.cash_pipeline import NEIGHBOURS, kernels, make_pipeline
from tunekit.bench.problem import EXPENSIVE, Problem
from tunekit.bench.scikit_learn import check_sklearn
from tunekit.records import ObjectiveSpec
from tunekit.spaces import Categorical, Float, Int, Params, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 3
REPEATS = 3
"""Each trial averages `FOLDS * REPEATS` fits, so that one lucky split decides nothing."""

DATA = ("diabetes", "digits", "wine", "cancer", "shells", "interactions")
CONFUSED = (3, 5, 8, 9)
"""Digits that are hard to tell apart."""


def _space() -> Space:
    models = {
        "forest": Space(
            kind=Categorical(["random", "extra"]),
            n_estimators=Int(5, 30, log=True),
            max_features=Float(0.05, 1.0, default=0.3),
            min_samples_leaf=Int(1, 20, log=True, default=1),
        ),
        "svm": Space(C=Float(1e-3, 1e3, log=True), kernel=kernels(Float(1e-5, 1e1, log=True))),
        "boosting": Space(
            n_estimators=Int(5, 25, log=True),
            learning_rate=Float(0.01, 1.0, log=True),
            max_depth=Int(1, 4),
            subsample=Float(0.3, 1.0, default=1.0),
        ),
        "neighbours": NEIGHBOURS,
        "discriminant": Space(
            kind=Categorical({"lda": None, "qda": Space(reg_param=Float(0.0, 1.0)), "bayes": None})
        ),
    }
    return Space(
        scaler=Categorical(["none", "standard", "minmax"], default="standard"),
        model=Categorical(models),
    )


SPACE = _space()


@dataclass(frozen=True, slots=True)
class RepeatedlyValidated:
    """Cross-validates a pipeline several times; the same params and seed give the same error."""

    data: str
    seed: int

    def __call__(self, params: Params) -> float:
        """Return the mean share of misclassified rows.

        Raises:
            ValueError: scikit-learn cannot fit this pipeline.
        """
        from sklearn.model_selection import RepeatedStratifiedKFold

        split = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=self.seed)
        pipeline = make_pipeline(params.nested(), is_regression=False)
        return mean_error(pipeline, *labelled(self.data, self.seed), split=split)


def suite(seed: int = 0) -> list[Problem]:
    """Return six problems; the seed draws rows, noise, labels and folds.

    The scikit-learn data sets are made harder until no classifier solves them: `diabetes` asks
    whether the disease progressed more than in the median patient; `digits` has few rows of 3, 5,
    8 and 9 with noisy pixels, on which quadratic discriminants fail; `wine` and `cancer` have
    noisy columns, and `cancer` wrong labels. In `shells` the classes are nested shells, and in
    `interactions` products of two columns decide. A linear kernel, linear discriminants and naive
    Bayes have no parameters, and each is best in some instance. No optimum is known.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    check_sklearn("classifiers")
    return [
        Problem(
            f"classifiers/{name}-{seed}",
            SPACE,
            RepeatedlyValidated(name, seed % MAX_SEED),
            objectives=(ObjectiveSpec("error"),),
            tags=EXPENSIVE,
        )
        for name in DATA
    ]


@lru_cache(maxsize=16)
def labelled(name: str, seed: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the features, float64[n, d], and the labels, [n], of one of `DATA`."""
    from sklearn import datasets

    rng = np.random.RandomState(seed)  # scikit-learn takes no Generator
    if name == "diabetes":
        x, y = datasets.load_diabetes(return_X_y=True, scaled=False)
        return _some(x, y > np.median(y), rng, n=220)
    if name == "digits":
        x, y = datasets.load_digits(return_X_y=True)
        alike = np.isin(y, CONFUSED)
        x, y = _some(x[alike], y[alike], rng, n=180)
        return x + 5.0 * rng.standard_normal(x.shape), y
    if name in ("wine", "cancer"):
        load = datasets.load_wine if name == "wine" else datasets.load_breast_cancer
        x, y = load(return_X_y=True)
        x, y = _some(x, y, rng, n=150)
        noise = (1.2 if name == "wine" else 0.4) * x.std(axis=0)
        noisy = x + noise * rng.standard_normal(x.shape)
        return noisy, _flipped(y, rng, 0.2) if name == "cancer" else y
    if name == "shells":
        x, y = datasets.make_gaussian_quantiles(
            n_samples=220, n_features=4, n_classes=3, random_state=rng
        )
        nuisance = rng.standard_normal((len(x), 6))
        return np.hstack([x, nuisance]), _flipped(y, rng, 0.05)
    x = rng.standard_normal((220, 10)) * 10.0 ** rng.uniform(-1.0, 1.0, 10)
    z = x / x.std(axis=0)
    return x, z[:, 0] * z[:, 1] + 0.7 * z[:, 2] + 0.5 * z[:, 3] * z[:, 4] > 0


def _some(
    x: NDArray[np.float64], y: NDArray[Any], rng: np.random.RandomState, *, n: int
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    rows = rng.permutation(len(x))[:n]
    return x[rows], y[rows]


def _flipped(y: NDArray[Any], rng: np.random.RandomState, share: float) -> NDArray[Any]:
    """Return labels of which about `share` are replaced by those of random rows."""
    return np.where(rng.random_sample(len(y)) < share, y[rng.permutation(len(y))], y)

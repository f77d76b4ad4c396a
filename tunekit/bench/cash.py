"""CASH problems: choose and tune a real scikit-learn pipeline on small, hard data sets."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.bench import cash_pipeline
from tunekit.bench.problem import EXPENSIVE, Problem
from tunekit.bench.scikit_learn import check_sklearn
from tunekit.records import ObjectiveSpec
from tunekit.spaces import Params

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 3
DATA = ("noisy", "madelon", "cancer", "friedman")
REGRESSION = "friedman"
MAX_SEED = 2**32
"""scikit-learn accepts seeds below this bound."""


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Cross-validates a pipeline; the same params and seed give the same error."""

    data: str
    seed: int

    def __call__(self, params: Params) -> float:
        """Return the share of misclassified rows, or 1 - R^2 for regression.

        Raises:
            ValueError: scikit-learn cannot fit this pipeline.
        """
        from sklearn.model_selection import KFold, StratifiedKFold

        is_regression = self.data == REGRESSION
        kind = KFold if is_regression else StratifiedKFold
        split = kind(FOLDS, shuffle=True, random_state=self.seed)
        pipeline = cash_pipeline.make_pipeline(params.nested(), is_regression=is_regression)
        return mean_error(pipeline, *_data(self.data, self.seed), split=split)


def mean_error(pipeline: Any, x: NDArray[np.float64], y: NDArray[Any], *, split: Any) -> float:
    """Return 1 minus the mean score over the folds of a scikit-learn splitter.

    Raises:
        ValueError: scikit-learn cannot fit this pipeline.
    """
    from sklearn.model_selection import cross_val_score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an unconverged network still has a score
        scores = cross_val_score(pipeline, x, y, cv=split, error_score="raise")
    return 1.0 - float(np.mean(scores))


def suite(seed: int = 0) -> list[Problem]:
    """Return four problems; the seed draws rows, noise, nuisance features and folds.

    `noisy` has clusters, flipped labels and nuisance features; `madelon` is close to parity in
    five of sixty features; `cancer` takes 150 rows of the Wisconsin data, adds noise, and doubles
    the columns with nuisance features; `friedman` is a regression. No optimum is known.

    Reference: Guyon (2003), Design of Experiments for the NIPS 2003 Variable Selection
    Benchmark (madelon); Friedman (1991), Multivariate Adaptive Regression Splines, eq. 61.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    check_sklearn("scikit-learn pipelines")
    return [_problem(name, seed % MAX_SEED) for name in DATA]


def _problem(name: str, seed: int) -> Problem:
    n_features = _data(name, seed)[0].shape[1]
    space = cash_pipeline.space(n_features, is_regression=name == REGRESSION)
    return Problem(
        f"cash/{name}-{seed}",
        space,
        CrossValidated(name, seed),
        objectives=(ObjectiveSpec("error"),),
        tags=EXPENSIVE,
    )


@lru_cache(maxsize=16)
def _data(name: str, seed: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the features, float64[n, d], and the targets, [n]."""
    from sklearn import datasets

    rng = np.random.RandomState(seed)  # scikit-learn takes no Generator
    if name == "noisy":
        x, y = datasets.make_classification(
            300, 25, n_informative=6, n_redundant=4, n_clusters_per_class=3, flip_y=0.05,
            class_sep=1.2, random_state=rng,
        )  # fmt: skip
    elif name == "madelon":
        x, y = datasets.make_classification(
            320, 60, n_informative=5, n_redundant=5, n_clusters_per_class=8, flip_y=0.02,
            class_sep=2.0, random_state=rng,
        )  # fmt: skip
    elif name == "cancer":
        return _few_rows_of_cancer(rng)
    else:
        x, y = datasets.make_friedman1(250, 20, noise=1.5, random_state=rng)
    # Columns in different units, as in real tables, make the scaler matter.
    return x * 10.0 ** rng.uniform(-1.5, 1.5, x.shape[1]), y


def _few_rows_of_cancer(rng: np.random.RandomState) -> tuple[NDArray[np.float64], NDArray[Any]]:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    rows = rng.permutation(len(x))[:150]
    scale = x.std(axis=0)
    noisy = x[rows] + 1.5 * scale * rng.standard_normal((len(rows), x.shape[1]))
    nuisance = scale * rng.standard_normal(noisy.shape)
    return np.hstack([noisy, nuisance]), y[rows]

"""Fits three regressions and returns their held-out predictions of the training rows.

The fitted scikit-learn models are kept as plain arrays: predicting a single row takes tens of
microseconds, where the estimators take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.svm import NuSVR

from tunekit_surrogates.curves.scale import Floats

N_TREES = 64
N_FOLDS = 5
REACH = 4.0
"""Columns are clipped at this many standard deviations."""

MIN_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class Regression:
    """A fitted regression.

    Attributes:
        predict: maps `(m, d)` rows to `(m,)` values.
        unseen: `(n,)` predictions of the training rows by fits without them.
    """

    predict: Callable[[Floats], Floats]
    unseen: Floats


def forest(x: Floats, y: Floats, *, seed: int = 0) -> Regression:
    """Return extremely randomised trees fitted to `(n, d)` rows and `(n,)` values.

    `unseen` averages, for each row, the trees grown without it.
    """
    model = ExtraTreesRegressor(
        N_TREES,
        min_samples_leaf=2,
        max_features=0.5,
        bootstrap=True,
        oob_score=True,
        random_state=seed,
    ).fit(x, y)
    return Regression(Trees.of(model).predict, np.asarray(model.oob_prediction_, np.float64))


@dataclass(frozen=True, slots=True)
class Trees:
    """The nodes of all trees in flat arrays; a leaf is its own child.

    Attributes:
        roots: `(t,)` root node of each tree.
        column, threshold, value: `(k,)` per node.
        left, right: `(k,)` children of each node; left if the column is at most the threshold.
        depth: depth of the deepest tree.
    """

    roots: Floats
    column: Floats
    threshold: Floats
    left: Floats
    right: Floats
    value: Floats
    depth: int

    @classmethod
    def of(cls, model: ExtraTreesRegressor) -> Trees:
        """Return the nodes of a fitted forest."""
        trees = [e.tree_ for e in model.estimators_]
        sizes = [t.node_count for t in trees]
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        leaf = np.concatenate([t.children_left < 0 for t in trees])
        own = np.arange(len(leaf))

        def joined(name: str) -> Floats:
            children = [getattr(t, name) + s for t, s in zip(trees, starts, strict=True)]
            return np.where(leaf, own, np.concatenate(children))

        return cls(
            starts,
            np.where(leaf, 0, np.concatenate([t.feature for t in trees])),
            np.concatenate([t.threshold for t in trees]),
            joined("children_left"),
            joined("children_right"),
            np.concatenate([t.value[:, 0, 0] for t in trees]),
            max(t.max_depth for t in trees),
        )

    def predict(self, x: Floats) -> Floats:
        """Return `(n,)` means over the trees at `(n, d)` rows."""
        rows = np.arange(len(x))[:, None]
        x = x.astype(np.float32)  # the precision in which the trees were grown
        nodes = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        for _ in range(self.depth):
            is_left = x[rows, self.column[nodes]] <= self.threshold[nodes]
            nodes = np.where(is_left, self.left[nodes], self.right[nodes])
        means: Floats = self.value[nodes].mean(axis=1)
        return means


def support_vectors(x: Floats, y: Floats, *, seed: int = 0) -> Regression:
    """Return a nu-SVR fitted to `(n, d)` rows, with a Gaussian kernel on standardised columns."""

    def fit(rows: Floats, values: Floats) -> Callable[[Floats], Floats]:
        centre, spread = rows.mean(axis=0), rows.std(axis=0) + MIN_SPREAD
        unit = float(values.std()) + MIN_SPREAD
        gamma = 0.3 / rows.shape[1]
        scaled = np.clip((rows - centre) / spread, -REACH, REACH)
        model = NuSVR(nu=0.5, C=1.0, gamma=gamma).fit(scaled, values / unit)
        vectors, weights = model.support_vectors_, model.dual_coef_[0] * unit
        offset, squares = (
            float(model.intercept_[0]) * unit,
            (model.support_vectors_**2).sum(axis=1),
        )

        def predict(new: Floats) -> Floats:
            # |z - v|^2 = |z|^2 + |v|^2 - 2 z.v for all pairs of rows and support vectors
            z = np.clip((new - centre) / spread, -REACH, REACH)
            distances = (z**2).sum(axis=1)[:, None] + squares - 2.0 * z @ vectors.T
            out: Floats = np.exp(-gamma * distances) @ weights + offset
            return out

        return predict

    return _cross_validated(fit, x, y, seed)


def ridge(x: Floats, y: Floats, *, seed: int = 0) -> Regression:
    """Return a Bayesian ridge regression fitted to `(n, d)` rows, on standardised columns."""

    def fit(rows: Floats, values: Floats) -> Callable[[Floats], Floats]:
        centre, spread = rows.mean(axis=0), rows.std(axis=0) + MIN_SPREAD
        model = BayesianRidge().fit(np.clip((rows - centre) / spread, -REACH, REACH), values)
        slopes, offset = model.coef_, float(model.intercept_)

        def predict(new: Floats) -> Floats:
            out: Floats = np.clip((new - centre) / spread, -REACH, REACH) @ slopes + offset
            return out

        return predict

    return _cross_validated(fit, x, y, seed)


def _cross_validated(
    fit: Callable[[Floats, Floats], Callable[[Floats], Floats]], x: Floats, y: Floats, seed: int
) -> Regression:
    """Return `fit` on all `(n, d)` rows, with `(n,)` predictions by fits without their fold."""
    folds = np.random.default_rng(seed).permutation(len(y)) % N_FOLDS
    unseen = np.zeros(len(y))
    for k in range(N_FOLDS):
        held = folds == k
        unseen[held] = fit(x[~held], y[~held])(x[held])
    return Regression(fit(x, y), unseen)

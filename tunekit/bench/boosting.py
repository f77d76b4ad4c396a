"""A small second-order gradient booster for two classes, in the terms of XGBoost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Booster:
    """Adds trees, or linear steps, that each minimise the second-order logistic loss.

    Attributes:
        booster: `gbtree`, `dart` (drops earlier trees while it fits the next) or `gblinear`.
        eta: learning rate.
        min_child_weight: least sum of second derivatives in a leaf.
        gamma: least gain of a split.
        colsample, subsample: share of the columns and rows of each tree.
        rate_drop: chance of each tree to be dropped; `skip_drop` that of dropping none.
        rng: for rows, columns and dropped trees.
    """

    nrounds: int
    eta: float
    subsample: float
    reg_lambda: float
    reg_alpha: float
    booster: str
    rng: np.random.Generator
    max_depth: int = 6
    min_child_weight: float = 1.0
    gamma: float = 0.0
    colsample: float = 1.0
    grow: str = "depthwise"
    max_leaves: int | None = None
    rate_drop: float = 0.0
    skip_drop: float = 0.0

    def margins(self, x: Vector, y: Vector, x_new: Vector) -> Vector:
        """Return the float64[n] log odds at `x_new`, fitted to `x` and labels 0 and 1."""
        both = np.vstack([x, x_new])
        total = np.zeros(len(both))
        terms: list[Vector] = []  # what each round adds, at the rows of `both`
        for _ in range(self.nrounds):
            dropped = self._dropped(len(terms))
            rest = total - sum((terms[k] for k in dropped), np.zeros(len(both)))
            p = 1.0 / (1.0 + np.exp(-rest[: len(x)]))
            gradient, curvature = p - y, np.maximum(p * (1.0 - p), 1e-6)
            term = self._term(x, gradient, curvature, both) * self.eta / (len(dropped) + 1)
            for k in dropped:
                terms[k] = terms[k] * len(dropped) / (len(dropped) + 1)
            terms.append(term)
            total = np.sum(terms, axis=0)
        return np.asarray(total[len(x) :])

    def _dropped(self, n: int) -> list[int]:
        if self.booster != "dart" or not n or self.rng.random() < self.skip_drop:
            return []
        return [int(k) for k in np.flatnonzero(self.rng.random(n) < self.rate_drop)]

    def _term(self, x: Vector, gradient: Vector, curvature: Vector, at: Vector) -> Vector:
        rows = np.flatnonzero(self.rng.random(len(x)) < self.subsample)
        if not len(rows):
            return np.zeros(len(at))
        x, gradient, curvature = x[rows], gradient[rows], curvature[rows]
        if self.booster == "gblinear":
            ones = np.hstack([x, np.ones((len(x), 1))])
            step = self._optimum(gradient @ ones, curvature @ ones**2) / ones.shape[1]
            return np.asarray(at @ step[:-1] + step[-1])
        tree = self._tree().fit(x, -gradient / curvature, sample_weight=curvature)
        leaves, n = tree.apply(x), tree.tree_.node_count
        sums = [np.bincount(leaves, v, minlength=n) for v in (gradient, curvature)]
        values = self._optimum(np.asarray(sums[0], float), np.asarray(sums[1], float))
        return np.asarray(values[tree.apply(at)])

    def _optimum(self, gradient: Vector, curvature: Vector) -> Vector:
        """Return the best step, eq. 5, with the penalty on its absolute value."""
        shrunk = np.sign(gradient) * np.maximum(np.abs(gradient) - self.reg_alpha, 0.0)
        return np.asarray(-shrunk / (curvature + self.reg_lambda))

    def _tree(self) -> Any:
        from sklearn.tree import DecisionTreeRegressor

        is_guided = self.grow == "lossguide"
        return DecisionTreeRegressor(
            max_depth=self.max_depth,
            max_leaf_nodes=self.max_leaves if is_guided else None,
            # A row's second derivative is at most a quarter.
            min_samples_leaf=max(1, int(np.ceil(4.0 * self.min_child_weight))),
            min_impurity_decrease=self.gamma / 100.0,
            max_features=self.colsample,
            random_state=int(self.rng.integers(2**31)),
        )

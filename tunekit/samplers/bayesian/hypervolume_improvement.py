"""Scores points by the hypervolume they are expected to add to a front of 2 to 4 objectives.

The objectives have independent processes, so the expectation is exact: a sum over boxes of
products of one-dimensional expectations, with a gradient. BoTorch's qLogNEHVI estimates the same
by Monte Carlo, but imports torch (three to five seconds) and compiles a C++ kernel on first use,
too slow for a proposal. The tests use BoTorch as the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, logsumexp

from tunekit.samplers.bayesian.acquisition import log_density, log_improvement
from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.bayesian.fantasies import Drawn, Predicted
from tunekit_surrogates.hypervolume import open_boxes

_Floats = NDArray[np.float64]


class HypervolumeImprovement:
    """Scores rows by the logarithm of the expected hypervolume improvement over draws of a front.

    Args:
        processes: one per objective, with `k` draws each, or one draw that stands for all.
        fronts: `(k, f, m)` values of the front's candidates in each draw.
        reference: `(m,)` reference point of the hypervolume.

    Reference: Daulton, Balandat and Bakshy, 2021, "Parallel Bayesian optimization of multiple
    noisy objectives with expected hypervolume improvement", eq. 4 (the mean over draws); Yang et
    al., 2019, "Efficient computation of expected hypervolume improvement using box decomposition
    algorithms", eqs. 26-28 (the expectation in a box).
    """

    def __init__(self, processes: Sequence[Drawn], fronts: _Floats, reference: _Floats) -> None:
        self.processes = processes
        self._boxes = [_Levels(*open_boxes(front, reference)) for front in fronts]

    def __call__(self, x: _Floats) -> _Floats:
        """Return `(r,)` logarithms of the expected improvement of `(r, d)` rows."""
        found = [p.predict(x) for p in self.processes]
        scores = []
        for k, boxes in enumerate(self._boxes):
            terms = [_Term(boxes, j, _draw(mean, k), sd) for j, (mean, sd) in enumerate(found)]
            scores.append(logsumexp(sum(t.log_gain for t in terms), axis=0))
        return np.asarray(logsumexp(scores, axis=0) - np.log(len(scores)))

    def climber(self, rows: _Floats) -> Climb:
        """Return a score with `(r, d)` gradients for rows that keep these branches."""
        models = [p.climber(rows) for p in self.processes]
        return lambda x: self._with_gradient([model(x) for model in models], x)

    def _with_gradient(self, found: Sequence[Predicted], x: _Floats) -> tuple[_Floats, _Floats]:
        all_terms = [
            [_Term(boxes, j, _draw(mean, k), sd) for j, (mean, sd, _) in enumerate(found)]
            for k, boxes in enumerate(self._boxes)
        ]
        logs = [np.asarray(sum(t.log_gain for t in terms)) for terms in all_terms]
        total = logsumexp([logsumexp(v, axis=0) for v in logs], axis=0)
        gradient = np.zeros_like(x)
        for j, (mean, _, back) in enumerate(found):
            slopes = [terms[j].slopes(v - total) for terms, v in zip(all_terms, logs, strict=True)]
            to_mean = np.array([s[0] for s in slopes])
            if len(mean) == 1:
                to_mean = to_mean.sum(axis=0, keepdims=True)
            gradient += back(to_mean, np.sum([s[1] for s in slopes], axis=0))
        return total - np.log(len(logs)), gradient


def _draw(mean: _Floats, k: int) -> _Floats:
    return np.asarray(mean[k] if len(mean) > 1 else mean[0])


class _Levels:
    """Corners of boxes, as `(b,)` indices into the distinct `(v,)` values of each objective."""

    def __init__(self, lower: _Floats, upper: _Floats) -> None:
        self.values: list[_Floats] = []
        self.lower: list[NDArray[np.int64]] = []
        self.upper: list[NDArray[np.int64]] = []
        for low, high in zip(lower.T, upper.T, strict=True):
            values, index = np.unique(np.concatenate([low, high]), return_inverse=True)
            self.values.append(values)
            self.lower.append(index[: len(low)])
            self.upper.append(index[len(low) :])


class _Term:
    """The `(b, r)` log gains of one objective in each box: `log(E (u - f)+ - E (l - f)+)`."""

    def __init__(self, boxes: _Levels, j: int, mean: _Floats, sd: _Floats) -> None:
        self.low, self.high, self.sd = boxes.lower[j], boxes.upper[j], sd
        values = np.maximum(boxes.values[j], -1e30)  # beyond the ends of all open boxes
        self.z = (values[:, None] - mean) / sd
        self._is_end = np.isneginf(boxes.values[j])
        log_e = log_improvement(np.maximum(self.z, -1e8)) + np.log(sd)
        log_e[self._is_end] = -np.inf
        high, low = log_e[self.high], log_e[self.low]
        rest = -np.expm1(np.minimum(low - high, 0.0))
        self.log_gain = high + np.log(np.maximum(rest, 1e-300))

    def slopes(self, log_share: _Floats) -> tuple[_Floats, _Floats]:
        """Return `(r,)` derivatives in mean and standard deviation, for `(b, r)` log shares.

        `E (u - f)+ = sd (phi(z) + z Phi(z))` with `z = (u - mean) / sd` has the derivatives
        `-Phi(z)` in the mean and `phi(z)` in the standard deviation.
        """
        log_cdf, density = log_ndtr(self.z), log_density(self.z)
        log_cdf[self._is_end] = density[self._is_end] = -np.inf
        weight = log_share - self.log_gain
        to_mean = np.exp(weight + log_cdf[self.low]) - np.exp(weight + log_cdf[self.high])
        to_sd = np.exp(weight + density[self.high]) - np.exp(weight + density[self.low])
        return to_mean.sum(axis=0), to_sd.sum(axis=0)

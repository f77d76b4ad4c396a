"""Laws of the loss over the scale: `L(N, D) = E + A / N^a + B / D^b`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import ndtri

from tunekit_surrogates.scaling.arrays import Floats, as_floats

HUBER = 1e-3
"""Residual of ln L beyond which the error grows linearly."""


@dataclass(frozen=True, slots=True)
class LossLaw:
    """A fitted `E + sum(exp(log_a[j]) / x_j ** exponent[j])`.

    Attributes:
        axes: names of the axes, such as ("n", "d").
        e: irreducible loss.
        log_a: `(j,)` logarithms of the coefficients.
        exponents: `(j,)` exponents.
        draws: `(b, 1 + 2 j)` bootstrap draws of ln E, log_a and the exponents; may be empty.
        cov: `(1 + 2 j, 1 + 2 j)` their covariance where there are no draws, or None.
        noise: relative spread of the losses around the law.
    """

    axes: tuple[str, ...]
    e: float
    log_a: Floats
    exponents: Floats
    draws: Floats
    noise: float
    cov: Floats | None = None

    def loss(self, *values: ArrayLike) -> Floats:
        """Return the loss at the values, one array per axis."""
        logs = [np.log(np.asarray(value, dtype=float)) for value in values]
        terms = [
            np.exp(a - k * x) for a, k, x in zip(self.log_a, self.exponents, logs, strict=True)
        ]
        return np.asarray(self.e + sum(terms), dtype=float)

    def quantiles(self, *values: float, levels: Sequence[float]) -> Floats:
        """Return quantiles of the loss of a new run, its noise included."""
        logs = np.log(np.array(values, dtype=float))
        z = ndtri(np.asarray(levels))
        if not len(self.draws):
            return np.asarray(self.loss(*values) * np.exp(self._log_sd(logs) * z), dtype=float)
        j = len(self.axes)
        terms = np.exp(self.draws[:, 1 : 1 + j] - self.draws[:, 1 + j :] * logs)
        drawn = np.log(np.exp(self.draws[:, 0]) + terms.sum(axis=1))
        middle = np.quantile(drawn, 0.5)
        apart = np.quantile(drawn, levels) - middle
        return np.asarray(np.exp(middle + np.sign(apart) * np.hypot(apart, self.noise * z)))

    def _log_sd(self, logs: Floats) -> float:
        """Return the standard deviation of ln L at a position, to first order."""
        if self.cov is None:
            return self.noise
        terms = np.array([np.log(self.e), *(self.log_a - self.exponents * logs)])
        share = np.exp(terms - np.logaddexp.reduce(terms))
        gradient = np.concatenate([share, -share[1:] * logs])
        return float(np.sqrt(gradient @ self.cov @ gradient + self.noise**2))

    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain lists and numbers for JSON."""
        return {
            "axes": list(self.axes),
            "e": self.e,
            "log_a": self.log_a.tolist(),
            "exponents": self.exponents.tolist(),
            "draws": self.draws.tolist(),
            "noise": self.noise,
            "cov": None if self.cov is None else self.cov.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LossLaw:
        """Return the law that `to_dict` wrote."""
        j = len(values["axes"])
        return cls(
            axes=tuple(values["axes"]),
            e=float(values["e"]),
            log_a=np.asarray(values["log_a"], dtype=float),
            exponents=np.asarray(values["exponents"], dtype=float),
            draws=np.asarray(values["draws"], dtype=float).reshape(-1, 1 + 2 * j),
            noise=float(values["noise"]),
            cov=None if values["cov"] is None else np.asarray(values["cov"], dtype=float),
        )


def fit_loss(
    n: ArrayLike,
    d: ArrayLike,
    *,
    loss: ArrayLike,
    n_bootstraps: int = 0,
    rng: np.random.Generator | None = None,
) -> LossLaw:
    """Return `E + A / N^a + B / D^b` fitted to the losses by a Huber error of ln L.

    Raises:
        ValueError: if there are fewer than five losses, or they are not above 0.
    """
    x = np.log(np.column_stack([as_floats("n", n), as_floats("d", d)]))
    y = as_floats("loss", loss)
    if len(y) < 5 or not (np.isfinite(y) & (y > 0.0)).all():
        raise ValueError(
            f"a law with five coefficients was asked of {len(y)} losses; give at least five"
            " finite losses above 0."
        )
    t = np.log(y)
    best = min((_descend(start, x, t) for start in _starts(x, t)), key=lambda r: float(r[1]))[0]
    noise = float(np.std(t - _log_law(best, x)))
    return LossLaw(
        axes=("n", "d"),
        e=float(np.exp(best[0])),
        log_a=best[1:3],
        exponents=best[3:5],
        draws=np.empty((0, 5)),
        noise=noise,
    )


def _log_law(p: Floats, x: Floats) -> Floats:
    terms = np.column_stack([np.full(len(x), p[0]), p[1:3] - p[3:5] * x])
    return np.asarray(np.logaddexp.reduce(terms, axis=1))


def _starts(x: Floats, t: Floats) -> list[Floats]:
    starts = []
    middle = x.mean(axis=0)
    for k in (0.2, 0.4, 0.7):
        for share in (0.5, 0.8):
            rest = np.log((1.0 - share) / 2.0) + t.mean()
            starts.append(np.array([np.log(share) + t.min(), *(rest + k * middle), k, k]))
    return starts


def _descend(start: Floats, x: Floats, t: Floats) -> tuple[Floats, float]:
    def error(p: Floats) -> tuple[float, Floats]:
        terms = np.column_stack([np.full(len(x), p[0]), p[1:3] - p[3:5] * x])
        fitted = np.logaddexp.reduce(terms, axis=1)
        share = np.exp(terms - fitted[:, None])
        r = np.clip(fitted - t, -HUBER, HUBER)
        value = np.sum(r * (fitted - t) - 0.5 * r * r)
        gradient = r @ np.column_stack([share, -share[:, 1:] * x])
        return float(value) * 1e3, gradient * 1e3

    found = minimize(error, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x, float(found.fun)

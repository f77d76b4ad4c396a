"""Laws of the loss over the scale: `L(N, D) = E + A / N^a + B / D^b`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.cautions import Caution


@dataclass(frozen=True, slots=True)
class LossLaw:
    """A fitted `E + sum(exp(log_a[j]) / x_j ** exponent[j])`.

    Attributes:
        axes: names of the axes in the order in which `loss` takes them, such as ("n", "d").
        e: irreducible loss.
        log_a: `(j,)` logarithms of the coefficients.
        exponents: `(j,)` exponents.
        draws: `(b, 1 + 2 j)` bootstrap draws of ln E, log_a and the exponents; may be empty.
        cov: `(1 + 2 j, 1 + 2 j)` their covariance where there are no draws, or None.
        noise: relative spread of the losses around the law.
        cautions: doubts about the law.
    """

    axes: tuple[str, ...]
    e: float
    log_a: Floats
    exponents: Floats
    draws: Floats
    noise: float
    cov: Floats | None = None
    cautions: tuple[Caution, ...] = ()

    def loss(self, *values: ArrayLike) -> Floats:
        """Return the loss at the values, one array per axis."""
        logs = [np.log(np.asarray(value, dtype=float)) for value in values]
        terms = [
            np.exp(a - k * x) for a, k, x in zip(self.log_a, self.exponents, logs, strict=True)
        ]
        return np.asarray(self.e + sum(terms), dtype=float)

    @property
    def coefficients(self) -> dict[str, float]:
        """`E`, and for each axis its coefficient `a:axis` and exponent `k:axis`."""
        named = {"E": self.e}
        for axis, log_a, exponent in zip(self.axes, self.log_a, self.exponents, strict=True):
            named[f"a:{axis}"] = float(np.exp(log_a))
            named[f"k:{axis}"] = float(exponent)
        return named

    @property
    def spreads(self) -> dict[str, float]:
        """Standard deviations of the coefficients over the bootstrap draws; {} without draws."""
        if not len(self.draws):
            return {}
        j = len(self.axes)
        spread = self.draws.std(axis=0)
        named = {"E": float(np.exp(self.draws[:, 0]).std())}
        for i, axis in enumerate(self.axes):
            named[f"a:{axis}"] = float(np.exp(self.draws[:, 1 + i]).std())
            named[f"k:{axis}"] = float(spread[1 + j + i])
        return named

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
            "cautions": [{"name": one.name, "sentence": one.sentence} for one in self.cautions],
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
            cautions=tuple(Caution(**caution) for caution in values["cautions"]),
        )

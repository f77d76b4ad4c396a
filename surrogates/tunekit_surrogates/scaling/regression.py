"""Bayesian linear regression of a logarithm on logarithms, with a scatter to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.design import Design, moments
from tunekit_surrogates.scaling.priors import Normal

SCATTERS = np.geomspace(0.02, 3.0, 60)
"""Scatters of the points around the law that are weighed, in natural logarithms."""

USUAL_SCATTER = 0.12
"""Median of the prior on the scatter: about an eighth, a third of a step of a usual grid."""

SCATTER_SPREAD = 0.7
"""Standard deviation of the logarithm of the scatter under its prior."""


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A posterior over a power law of N and D.

    Attributes:
        design: its columns and the scale at which the intercept holds.
        mean: `(p,)` posterior means of the coefficients, in natural logarithms.
        cov: `(p, p)` their posterior covariance.
        scatter: standard deviation of an observed optimum around the law, in natural logarithms.
        dof: degrees of freedom of the Student distribution of a prediction.
    """

    design: Design
    mean: Floats
    cov: Floats
    scatter: float
    dof: float

    @property
    def coefficients(self) -> dict[str, tuple[float, float]]:
        """Posterior mean and standard deviation by column; exponents are under their axis."""
        sds = np.sqrt(np.diag(self.cov)).tolist()
        pairs = zip(self.mean.tolist(), sds, strict=True)
        return dict(zip(self.design.columns, pairs, strict=True))

    def log_mean(self, n: float, d: float, label: str = "") -> float:
        """Return the posterior mean of the logarithm for one model and number of tokens."""
        return float(self.design.row(n, d, label) @ self.mean)

    def log_sd(self, n: float, d: float, label: str = "") -> float:
        """Return the scale of the logarithm of a new cell's optimum, scatter included."""
        row = self.design.row(n, d, label)
        return float(np.sqrt(row @ self.cov @ row + self.scatter**2))

    def quantiles(self, n: float, d: float, label: str = "", *, levels: Sequence[float]) -> Floats:
        """Return quantiles of a new cell's optimum."""
        t = stdtrit(self.dof, np.asarray(levels))
        log = self.log_mean(n, d, label) + self.log_sd(n, d, label) * t
        with np.errstate(over="ignore"):  # far from all runs, without a prior: up to infinity
            return np.asarray(np.exp(log), dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain lists and numbers for JSON."""
        return {
            "columns": list(self.design.columns),
            "n": self.design.n,
            "d": self.design.d,
            "mean": self.mean.tolist(),
            "cov": self.cov.tolist(),
            "scatter": self.scatter,
            "dof": self.dof,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PowerLaw:
        """Return the law that `to_dict` wrote."""
        return cls(
            design=Design(tuple(values["columns"]), float(values["n"]), float(values["d"])),
            mean=np.asarray(values["mean"], dtype=float),
            cov=np.asarray(values["cov"], dtype=float),
            scatter=float(values["scatter"]),
            dof=float(values["dof"]),
        )


def fit_power_law(
    design: Design, rows: Floats, *, y: Floats, priors: Sequence[Normal], sd: Floats
) -> PowerLaw:
    """Return the posterior of a log-linear law.

    The scatter around the law is integrated over a grid, so that few points widen the answer.
    The optimum that a prediction foresees has the usual standard error of those that were seen.

    Args:
        design: the columns.
        rows: `(k, p)` rows of the design.
        y: `(k,)` logarithms of what the law predicts.
        priors: a prior for each column.
        sd: `(k,)` standard errors of `y` known beforehand, beside the scatter.
    """
    prior_mean, prior_sd = moments(priors)
    precision = np.diag(prior_sd**-2.0)
    weights, means, covs = [], [], []
    for scatter in SCATTERS:
        w = 1.0 / (scatter**2 + sd**2)
        inverse = (rows.T * w) @ rows + precision
        cov = np.linalg.inv(inverse)
        mean = cov @ (rows.T @ (w * y) + precision @ prior_mean)
        residual = y - rows @ mean
        misfit = residual @ (w * residual) + np.sum(((mean - prior_mean) / prior_sd) ** 2)
        log_det = np.linalg.slogdet(inverse)[1] - np.log(w).sum()
        prior = (np.log(scatter / USUAL_SCATTER) / SCATTER_SPREAD) ** 2
        weights.append(-0.5 * (misfit + log_det + prior))
        means.append(mean)
        covs.append(cov)
    share = np.exp(np.array(weights) - max(weights))
    share /= share.sum()
    mean = share @ np.array(means)
    apart = np.array(means) - mean
    cov = np.einsum("g,gij->ij", share, np.array(covs)) + (apart.T * share) @ apart
    return PowerLaw(
        design=design,
        mean=mean,
        cov=cov,
        scatter=float(np.sqrt(share @ SCATTERS**2 + np.median(sd) ** 2)),
        dof=max(float(len(y)) - 1.0, 3.0),
    )

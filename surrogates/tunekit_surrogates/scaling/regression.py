"""Bayesian linear regression of a logarithm on logarithms, with a scatter to be learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from tunekit_surrogates.scaling.arrays import Floats
from tunekit_surrogates.scaling.priors import Normal

SCATTERS = np.geomspace(0.02, 3.0, 60)
"""Scatters of the points around the law that are weighed, in natural logarithms."""

USUAL_SCATTER = 0.2
"""Median of the prior on the scatter: about a fifth, half a step of a usual grid."""

SCATTER_SPREAD = 0.7
"""Standard deviation of the logarithm of the scatter under its prior."""

FLAT = 1e6
"""Standard deviation that stands for no prior."""


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """A posterior over `y = exp(intercept) * prod((x / center) ** exponent)`.

    Attributes:
        columns: names of the columns of the design; the first is the intercept of the law, the
            columns `factor:...` are the offsets of labels.
        center: `(p,)` what is subtracted from each column before the coefficients apply.
        mean: `(p,)` posterior means of the coefficients.
        cov: `(p, p)` their posterior covariance.
        scatter: standard deviation of the points around the law, in natural logarithms.
        dof: degrees of freedom of the Student distribution of a prediction.
    """

    columns: tuple[str, ...]
    center: Floats
    mean: Floats
    cov: Floats
    scatter: float
    dof: float

    @property
    def exponents(self) -> dict[str, tuple[float, float]]:
        """Posterior mean and standard deviation of each coefficient, by column."""
        sds = np.sqrt(np.diag(self.cov))
        pairs = zip(self.mean.tolist(), sds.tolist(), strict=True)
        return dict(zip(self.columns, pairs, strict=True))

    def log_mean(self, row: Floats) -> float:
        """Return the posterior mean of ln y at a row of the design."""
        return float((row - self.center) @ self.mean)

    def log_sd(self, row: Floats) -> float:
        """Return the posterior scale of a new ln y at a row of the design, with scatter."""
        z = row - self.center
        return float(np.sqrt(z @ self.cov @ z + self.scatter**2))

    def quantiles(self, row: Floats, levels: Sequence[float]) -> Floats:
        """Return quantiles of a new y at a row of the design."""
        t = stdtrit(self.dof, np.asarray(levels))
        return np.asarray(np.exp(self.log_mean(row) + self.log_sd(row) * t), dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """Return the law as plain lists and numbers for JSON."""
        return {
            "columns": list(self.columns),
            "center": self.center.tolist(),
            "mean": self.mean.tolist(),
            "cov": self.cov.tolist(),
            "scatter": self.scatter,
            "dof": self.dof,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PowerLaw:
        """Return the law that `to_dict` wrote."""
        return cls(
            columns=tuple(values["columns"]),
            center=np.asarray(values["center"], dtype=float),
            mean=np.asarray(values["mean"], dtype=float),
            cov=np.asarray(values["cov"], dtype=float),
            scatter=float(values["scatter"]),
            dof=float(values["dof"]),
        )


def fit_power_law(
    design: Floats, y: Floats, *, columns: Sequence[str], priors: Sequence[Normal], sd: Floats
) -> PowerLaw:
    """Return the posterior of a log-linear law.

    The scatter around the law is integrated over a grid, so that few points widen the answer.

    Args:
        design: `(k, p)` columns of logarithms; the first is 1.
        y: `(k,)` logarithms of what the law predicts.
        columns: names of the columns.
        priors: a prior for each column.
        sd: `(k,)` standard errors of `y` known beforehand, beside the scatter.
    """
    center = design.mean(axis=0)
    center[0] = 0.0
    center[[name.startswith("factor:") for name in columns]] = 0.0
    z = design - center
    prior_mean = np.array([prior.mean for prior in priors])
    prior_sd = np.minimum([prior.sd for prior in priors], FLAT)
    precision = np.diag(prior_sd**-2.0)
    weights, means, covs = [], [], []
    for scatter in SCATTERS:
        w = 1.0 / (scatter**2 + sd**2)
        inverse = (z.T * w) @ z + precision
        cov = np.linalg.inv(inverse)
        mean = cov @ (z.T @ (w * y) + precision @ prior_mean)
        residual = y - z @ mean
        misfit = residual @ (w * residual) + np.sum(((mean - prior_mean) / prior_sd) ** 2)
        log_det = np.linalg.slogdet(inverse)[1] + np.sum(2.0 * np.log(prior_sd))
        prior = ((np.log(scatter / USUAL_SCATTER)) / SCATTER_SPREAD) ** 2
        weights.append(-0.5 * (misfit - np.log(w).sum() + log_det + prior))
        means.append(mean)
        covs.append(cov)
    share = np.exp(np.array(weights) - max(weights))
    share /= share.sum()
    mean = share @ np.array(means)
    apart = np.array(means) - mean
    cov = np.einsum("g,gij->ij", share, np.array(covs)) + (apart.T * share) @ apart
    return PowerLaw(
        columns=tuple(columns),
        center=center,
        mean=mean,
        cov=cov,
        scatter=float(np.sqrt(share @ SCATTERS**2)),
        dof=max(float(len(y)) - 1.0, 3.0),
    )

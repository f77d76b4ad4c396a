"""A Gaussian process over a tree-structured space, with maximum a posteriori parameters.

Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", algorithm 2.1
(the fit), eq. 5.9 (its gradient), eqs. 5.10-5.12 (leave-one-out).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, lapack
from scipy.optimize import minimize

from tunekit_surrogates.block_kernel import BlockKernel, Parameters, active_blocks
from tunekit_surrogates.blocks import BlockStructure, Floats
from tunekit_surrogates.pairs import Pairs

BOUND = 3.5
"""Limits each parameter to this many prior standard deviations around the prior's mode."""

JITTERS = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)


@dataclass(frozen=True, slots=True)
class HyperparameterPriors:
    """Sets normal priors (mean, standard deviation) on the logarithms of the parameters.

    Attributes:
        length: length scale of a single column; it grows with the columns of its block.
        rough_length: `length` for a kernel without a trend, which has no long-range part.
        decay: decrease of the log share of a block with each level of depth.
        stretched: (column, length scale factor) of columns that are expected to matter less.
    """

    length: tuple[float, float] = (math.log(0.3), 0.5)
    rough_length: tuple[float, float] = (math.log(0.5), 0.8)
    weight: float = 0.7
    decay: float = math.log(0.8)
    scale: tuple[float, float] = (0.0, 0.7)
    coupling: tuple[float, float] = (0.0, 1.5)
    noise: tuple[float, float] = (math.log(1e-3), 1.5)
    stretched: tuple[tuple[int, float], ...] = ()

    def of(self, structure: BlockStructure) -> tuple[Floats, Floats]:
        """Return `(p,)` means and `(p,)` standard deviations of a structure's parameters."""
        length, length_sd = self.length if structure.trend else self.rough_length
        lengths = np.full(len(structure.sizes), length)
        for columns in structure.columns:
            longer = length + 0.5 * math.log(max(len(columns) / 3, 1))
            lengths[list(columns)] = np.maximum(lengths[list(columns)], longer)
        for column, factor in self.stretched:
            lengths[column] += math.log(factor)
        shares = np.array(structure.shares) if structure.shares else 0.0
        mean = Parameters(
            lengths,
            self.decay * np.array(structure.depths, dtype=np.float64) + shares,
            self.scale[0],
            self.coupling[0],
            self.noise[0],
        )
        sd = Parameters(
            np.full(len(lengths), length_sd),
            np.full(len(structure), self.weight),
            self.scale[1],
            self.coupling[1],
            self.noise[1],
        )
        return mean.to_array(), sd.to_array()


@dataclass(frozen=True)
class TreeGP:
    """Predicts a function from `n` noisy values of it.

    Attributes:
        parameters: of the kernel.
        x: `(n, d)` rows in `[0, 1]`, NaN where inactive.
        y: `(n,)` values, standardised by the caller; the prior mean is 0.
        noise: `(n,)` noise variance of each value.
        chol: `(n, n)` lower Cholesky factor of `K + diag(noise)`.
        alpha: `(n,)` solution of `(K + diag(noise)) alpha = y`.
    """

    structure: BlockStructure
    parameters: Parameters
    x: Floats
    y: Floats
    noise: Floats
    kernel: BlockKernel = field(repr=False)
    chol: Floats = field(repr=False)
    alpha: Floats = field(repr=False)

    @classmethod
    def given(
        cls, structure: BlockStructure, parameters: Parameters, x: Floats, y: Floats, noise: Floats
    ) -> TreeGP:
        """Return the process with these parameters, given `(n, d)` rows, `(n,)` values and noise.

        Raises:
            LinAlgError: the covariance of the data is not positive definite.
        """
        kernel = BlockKernel(structure, x)
        chol = cholesky(kernel.covariance(parameters), noise)
        alpha = lapack.dpotrs(chol, y, lower=1)[0]
        return cls(structure, parameters, x, y, noise, kernel, chol, alpha)

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Return `(m,)` means and `(m,)` variances of the noise-free function at `(m, d)` rows."""
        mean, var, _ = self._predict(self.kernel.cross(self.parameters, x), x, self.alpha)
        return mean, var

    def predict_many(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return `(k, m)` means for `k` alternative `(k, n)` data values, and `(m,)` variances."""
        cross = self.kernel.cross(self.parameters, x)
        mean, var, _ = self._predict(cross, x, lapack.dpotrs(self.chol, y.T, lower=1)[0])
        return mean.T, var

    def climber(self, x: Floats, y: Floats) -> Climber:
        """Return a predictor with gradients, fast for rows that keep the branches of `x`.

        Args:
            x: `(m, d)` rows to start from.
            y: `(k, n)` data values, as in `predict_many`.
        """
        return Climber(self, x, y)

    def _predict(self, cross: Floats, x: Floats, alpha: Floats) -> tuple[Floats, Floats, Floats]:
        """Return means, variances `(m,)`, and `v` `(n, m)`, from `(m, n)` covariances `cross`."""
        # var = k(x, x) - k* (K + N)^-1 k*^T, and with K + N = L L^T and v = L^-1 k*^T the last
        # term is v^T v
        v = lapack.dtrtrs(self.chol, cross.T, lower=1)[0]
        var = self.kernel.variance(self.parameters, x) - np.sum(v * v, axis=0)
        return cross @ alpha, np.maximum(var, 1e-12), v

    def joint(self, x: Floats) -> tuple[Floats, Floats]:
        """Return `(m,)` means and `(m, m)` covariances of the function at `(m, d)` rows."""
        cross = self.kernel.cross(self.parameters, x)
        v = lapack.dtrtrs(self.chol, cross.T, lower=1)[0]
        prior = BlockKernel(self.structure, x).covariance(self.parameters)
        return cross @ self.alpha, prior - v.T @ v

    def with_data(self, x: Floats, y: Floats, noise: float) -> TreeGP:
        """Return the process given further `(m, d)` rows and `(m,)` values; parameters stay."""
        return TreeGP.given(
            self.structure,
            self.parameters,
            np.concatenate([self.x, x]),
            np.concatenate([self.y, y]),
            np.concatenate([self.noise, np.full(len(y), noise)]),
        )

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Return `(n,)` means and variances of each value, predicted from all others.

        Eqs. 5.10-5.12: `mean_i = y_i - alpha_i / (K^-1)_ii` and `var_i = 1 / (K^-1)_ii`.
        """
        root = lapack.dtrtri(self.chol, lower=1)[0]  # K^-1 = L^-T L^-1
        inverse = np.einsum("ij,ij->j", root, root)
        return self.y - self.alpha / inverse, 1.0 / inverse

    def leave_one_out_density(self) -> float:
        """Return the sum of the log densities of each value given all others (eq. 5.10)."""
        mean, var = self.leave_one_out()
        return float(-0.5 * np.sum(np.log(2 * np.pi * var) + (self.y - mean) ** 2 / var))


class Climber:
    """Predicts rows that keep their branches, with gradients; see `TreeGP.climber`."""

    def __init__(self, gp: TreeGP, x: Floats, y: Floats) -> None:
        self.gp = gp
        self._pairs = Pairs(gp.structure, x, gp.x)
        self._alphas = lapack.dpotrs(gp.chol, y.T, lower=1)[0]

    def predict(self, x: Floats) -> tuple[Floats, Floats, Callable[[Floats, Floats], Floats]]:
        """Return `(k, m)` means, `(m,)` variances, and a function that returns `(m, d)` `dL/dx`.

        The function takes `(k, m)` `dL/dmean` and `(m,)` `dL/dvariance`.
        """
        self._pairs.moved(x)
        cross, back = self._pairs.covariance(self.gp.parameters)
        mean, var, v = self.gp._predict(cross, x, self._alphas)

        def gradient(to_mean: Floats, to_var: Floats) -> Floats:
            # dvar/dk* = -2 (K + N)^-1 k*^T = -2 L^-T v, and dmean/dk* = alpha
            inverse = lapack.dtrtrs(self.gp.chol, v, lower=1, trans=1)[0]
            return back(to_mean.T @ self._alphas.T - 2.0 * to_var[:, None] * inverse.T).in_rows()

        return mean.T, var, gradient


def fit(
    structure: BlockStructure,
    x: Floats,
    y: Floats,
    *,
    priors: HyperparameterPriors | None = None,
    starts: Sequence[Floats] = (),
    iterations: int = 40,
) -> TreeGP:
    """Return the process with the most probable parameters given the data and the priors.

    Args:
        structure: blocks of the space.
        x: `(n, d)` rows in `[0, 1]`, NaN where inactive.
        y: `(n,)` standardised values.
        priors: of the parameters.
        starts: `(p,)` parameter vectors to start from; by default the prior's mode.
        iterations: L-BFGS iterations per start.

    Raises:
        LinAlgError: no start leads to a positive definite covariance.
    """
    mean, sd = (priors or HyperparameterPriors()).of(structure)
    free = _free(structure, x)
    target = _Target(structure, x, y, (mean, sd), free)
    best: tuple[float, Floats] | None = None
    for start in starts or [mean]:
        z = np.clip((start - mean) / sd, -BOUND, BOUND)[free]
        found = minimize(
            target,
            z,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-BOUND, BOUND)] * len(z),
            options={"maxiter": iterations},
        )
        if np.isfinite(found.fun) and (best is None or found.fun < best[0]):
            best = (float(found.fun), found.x)
    if best is None:
        raise LinAlgError("no parameters make the covariance of the data positive definite")
    theta = mean.copy()
    theta[free] += sd[free] * best[1]
    p = Parameters.from_array(theta, x.shape[1])
    return TreeGP.given(structure, p, x, y, np.full(len(y), math.exp(p.noise)))


def _free(structure: BlockStructure, x: Floats) -> NDArray[np.int64]:
    """Return `(q,)` indices of the parameters that the `(n, d)` rows inform."""
    firsts = [columns[0] for columns in structure.columns]
    observed = np.flatnonzero(~np.isnan(x[:, firsts]).all(axis=0)).tolist()
    lengths = [j for b in observed for j in structure.columns[b]]
    d, n_blocks = len(structure.sizes), len(structure)
    # A single block needs no share beside the scale, and has no parent to couple with.
    weights = [d + b for b in observed] if n_blocks > 1 else []
    coupling = [d + n_blocks + 1] if n_blocks > 1 else []
    rest = [d + n_blocks, *coupling, d + n_blocks + 2]
    return np.array(sorted({*lengths, *weights, *rest}), dtype=np.int64)


class _Target:
    """Computes the negative log posterior, and its gradient, in prior-standardised parameters."""

    def __init__(
        self,
        structure: BlockStructure,
        x: Floats,
        y: Floats,
        prior: tuple[Floats, Floats],
        free: NDArray[np.int64],
    ) -> None:
        self.y, self.free = y, free
        self.mean, self.sd = prior
        self.n_columns = len(structure.sizes)
        self._pairs = Pairs(structure, x, x, upper=True)
        self._is_active = active_blocks(structure, x).any(axis=0)

    def __call__(self, z: Floats) -> tuple[float, Floats]:
        theta = self.mean.copy()
        theta[self.free] += self.sd[self.free] * z
        p = Parameters.from_array(theta, self.n_columns)
        upper, back = self._pairs.covariance(p)
        k = upper + upper.T
        prior = math.exp(p.scale) * self._is_active
        np.fill_diagonal(k, prior)
        noise = math.exp(p.noise)
        try:
            chol = cholesky(k, np.full(len(k), noise))
        except LinAlgError:
            return 1e10, np.zeros_like(z)
        alpha = lapack.dpotrs(chol, self.y, lower=1)[0]
        value = 0.5 * self.y @ alpha + np.sum(np.log(np.diag(chol))) + 0.5 * z @ z
        # eq. 5.9: d(log likelihood)/dk = (alpha alpha^T - (K + N)^-1) / 2
        # The inverse fills one triangle only, here the upper one, as the pairs do.
        inverse = lapack.dpotri(chol, lower=1)[0].T
        g = 0.5 * (np.outer(alpha, alpha) - inverse)
        slopes = back(2.0 * g)  # each pair fills two symmetric entries
        found = Parameters(
            slopes.in_lengths(),
            slopes.weights,
            slopes.scale + float(np.diag(g) @ prior),
            slopes.coupling,
            noise * float(np.trace(g)),
        )
        return float(value), z - (self.sd * found.to_array())[self.free]


def cholesky(k: Floats, noise: Floats) -> Floats:
    """Return the `(n, n)` lower Cholesky factor of `k + diag(noise)` with the least jitter.

    Raises:
        LinAlgError: the matrix is not positive definite even with the largest jitter.
    """
    for jitter in JITTERS:
        a = k.copy()
        a.flat[:: len(a) + 1] += noise + jitter
        # LAPACK takes a symmetric matrix by columns without a copy
        chol, info = lapack.dpotrf(a.T, lower=1, clean=1, overwrite_a=1)
        if info == 0 and np.all(np.isfinite(chol)):
            return np.asarray(chol)
    raise LinAlgError("the covariance is not positive definite")

"""Fits Gaussian processes to trials, and draws functions from them that are cheap to evaluate."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.sampling.pathwise.features.generators import gen_kernel_features
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.cholesky import psd_safe_cholesky
from numpy.typing import NDArray
from torch import Tensor

MAX_FITTED = 250
"""Rows that the hyperparameters are fitted to; the process itself takes all rows."""

N_FEATURES = 1024
"""Random features of a draw of the prior."""

N_STEPS = 100
"""Limit of L-BFGS for them."""


def fitted_state(x: Tensor, y: Tensor, order: Sequence[int]) -> dict[str, Any]:
    """Return the hyperparameters of a process of `(n, e)` rows and `(n,)` standardised values.

    Length scales have BoTorch's prior, whose median grows with the root of the dimension.

    Args:
        x: embedded rows.
        y: values.
        order: rows from the most to the least interesting; of those fitted to, the first half
            comes from its beginning and the other from all the rest.

    Reference: Hvarfner, Hellsten and Nardi, 2024, "Vanilla Bayesian optimization performs great
    in high dimensions", section 4 (the prior).
    """
    picked = _picked(order)
    process = _process(x[picked], y[picked])
    start = deepcopy(process.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a flat likelihood L-BFGS gives up
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(process.likelihood, process),
                optimizer_kwargs={"options": {"maxiter": N_STEPS}},
                max_attempts=1,
            )
        except RuntimeError:  # also of a failed decomposition; the start is the prior's mode
            return start
    return dict(process.state_dict())


class DecomposedProcess:
    """A Gaussian process of `(n, e)` rows and `(n,)` values, decomposed once for all draws."""

    def __init__(self, x: Tensor, y: Tensor, state: dict[str, Any]) -> None:
        model = _process(x, y)
        model.load_state_dict(state)
        model.eval()
        with torch.no_grad():
            self._kernel = model.covar_module.requires_grad_(False)
            self._mean = float(model.mean_module(x[:1]))
            self._deviation = float(model.likelihood.noise) ** 0.5
            self._x, self._y = x, y - self._mean
            covariance = self._covariance(x)
            covariance.diagonal().add_(self._deviation**2)
            self._root = psd_safe_cholesky(covariance)

    @property
    def log_lengths(self) -> NDArray[np.float64]:
        """Return the `(e,)` logarithms of the length scales."""
        return np.asarray(self._kernel.lengthscale.log().cpu().numpy().ravel())

    def drawn(self, n: int) -> Callable[[Tensor], Tensor]:
        """Return `n` functions of the posterior as one callable from `(..., e)` to `(n, ...)`.

        Each is a draw of the prior, by random Fourier features, corrected to the data. A point
        costs one row of the kernel, where a draw of the joint posterior costs a decomposition.
        BoTorch's `draw_matheron_paths` does the same with features of its own and a system of
        equations for each function, at 20 times the cost for 1,000 trials.

        Reference: Wilson, Borovitskiy, Terenin, Mostowsky and Deisenroth, 2020, "Efficiently
        sampling functions from Gaussian process posteriors", eqs. 6 and 13.
        """
        with torch.no_grad():
            features = gen_kernel_features(
                self._kernel, num_inputs=self._x.shape[1], num_outputs=N_FEATURES
            )
            weights = torch.randn(N_FEATURES, n, dtype=self._x.dtype, device=self._x.device)
            noise = self._deviation * torch.randn(len(self._y), n).to(self._x)
            left = self._y[:, None] - features(self._x) @ weights - noise
            correction = torch.cholesky_solve(left, self._root)

        def functions(x: Tensor) -> Tensor:
            flat = x.reshape(-1, x.shape[-1])
            values = features(flat) @ weights + self._covariance(flat) @ correction + self._mean
            return values.T.reshape(n, *x.shape[:-1])

        return functions

    def _covariance(self, x: Tensor) -> Tensor:
        """Return the covariances with the rows of the trials."""
        covariance: Tensor = self._kernel(x, self._x).to_dense()
        return covariance


def _process(x: Tensor, y: Tensor) -> SingleTaskGP:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data without exactly unit variance
        return SingleTaskGP(x, y[:, None], outcome_transform=None)


def _picked(order: Sequence[int]) -> list[int]:
    if len(order) <= MAX_FITTED:
        return sorted(order)
    first = list(order[: MAX_FITTED // 2])
    rest = order[MAX_FITTED // 2 :]
    spread = np.linspace(0, len(rest) - 1, MAX_FITTED - len(first)).round().astype(int)
    return sorted({*first, *(rest[i] for i in spread)})

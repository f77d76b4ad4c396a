"""Fits Gaussian processes to trials, and draws functions from them that are cheap to evaluate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.map_saas import get_map_saas_model
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


TAUS = tuple(0.1 * math.tan(0.5 * math.pi * (k + 0.5) / 4) for k in range(4))
"""Scales of the inverse squared length scales under the sparse prior, one for each process of the
mixture: quantiles of the half-Cauchy distribution with scale 0.1, so that nothing is random."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Hyperparameters of the equal processes of a mixture.

    Attributes:
        is_sparse: whether they were fitted under the SAAS prior.
        states: of the processes, one without the SAAS prior.
    """

    is_sparse: bool
    states: tuple[dict[str, Any], ...]


def fitted(x: Tensor, y: Tensor, order: Sequence[int], *, is_sparse: bool = False) -> Fit:
    """Return the hyperparameters for `(n, e)` rows and `(n,)` standardised values.

    The length scales have BoTorch's prior, whose median grows with the root of the dimension, or
    the SAAS prior, under which most of them are so long that their parameter has no effect.

    Args:
        x: embedded rows.
        y: values.
        order: rows from the most to the least interesting; of those fitted to, the first half
            comes from its beginning and the other from all the rest.
        is_sparse: whether the SAAS prior is taken. Its most probable hyperparameters depend much
            on its scale; so a mixture of processes has several.

    Reference: Hvarfner, Hellsten and Nardi, 2024, "Vanilla Bayesian optimization performs great
    in high dimensions", section 4; Eriksson and Jankowiak, 2021, "High-dimensional Bayesian
    optimization with sparse axis-aligned subspaces", eq. 5, here without the sampling of section
    4.2, which takes minutes.
    """
    picked = _picked(order)
    x, y = x[picked], y[picked]
    if not is_sparse:
        return Fit(False, (_fitted_state(_process(x, y)),))
    n = len(TAUS)  # all in one batch, which takes hardly longer than one of them
    taus = torch.tensor(TAUS).to(x)
    batch = _sparse_process(x.expand(n, *x.shape), y.expand(n, *y.shape), taus)
    state, own = _fitted_state(batch), dict(batch.named_parameters())
    parts = ({k: v[i] if k in own else v for k, v in state.items()} for i in range(n))
    return Fit(True, tuple(parts))


def _fitted_state(process: SingleTaskGP) -> dict[str, Any]:
    start = deepcopy(process.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on a flat likelihood L-BFGS gives up
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(process.likelihood, process),
                optimizer_kwargs={"options": {"maxiter": N_STEPS}},
                max_attempts=1,
            )
        except RuntimeError:  # also of a failed decomposition; the start is a plain guess
            return start
    return dict(process.state_dict())


class Process(Protocol):
    """A fitted process of an output."""

    @property
    def log_lengths(self) -> NDArray[np.float64]:
        """Return the `(e,)` logarithms of the length scales."""
        ...

    def drawn(self, n: int) -> Callable[[Tensor], Tensor]:
        """Return `n` functions of the posterior as one callable from `(..., e)` to `(n, ...)`."""
        ...


def process_of(x: Tensor, y: Tensor, fit: Fit) -> Process:
    """Return the process of `(n, e)` rows and `(n,)` values with fitted hyperparameters."""
    build = _sparse_process if fit.is_sparse else _process
    members = [DecomposedProcess(build(x, y), x, y, state) for state in fit.states]
    return members[0] if len(members) == 1 else MixedProcess(members)


class MixedProcess:
    """A mixture of equally probable processes of the same values."""

    def __init__(self, members: Sequence[DecomposedProcess]) -> None:
        self.members = members

    @property
    def log_lengths(self) -> NDArray[np.float64]:
        """Return the `(e,)` logarithms of the length scales, averaged over the processes."""
        return np.asarray(np.mean([member.log_lengths for member in self.members], axis=0))

    def drawn(self, n: int) -> Callable[[Tensor], Tensor]:
        """Return `n` functions as one callable, from each process about as many."""
        k = len(self.members)
        shares = [(n + i) // k for i in range(k)]
        parts = [member.drawn(m) for member, m in zip(self.members, shares, strict=True) if m]
        return lambda x: torch.cat([part(x) for part in parts])


class DecomposedProcess:
    """A Gaussian process of `(n, e)` rows and `(n,)` values, decomposed once for all draws."""

    def __init__(self, model: SingleTaskGP, x: Tensor, y: Tensor, state: dict[str, Any]) -> None:
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
        kernel = getattr(self._kernel, "base_kernel", self._kernel)
        return np.asarray(kernel.lengthscale.log().cpu().numpy().ravel())

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


def _sparse_process(x: Tensor, y: Tensor, tau: Tensor | float = TAUS[0]) -> SingleTaskGP:
    """Return a process under the SAAS prior, or a batch; once fitted, `tau` has no effect."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data without exactly unit variance
        return get_map_saas_model(x, y[..., None], tau=tau)


def _picked(order: Sequence[int]) -> list[int]:
    if len(order) <= MAX_FITTED:
        return sorted(order)
    first = list(order[: MAX_FITTED // 2])
    rest = order[MAX_FITTED // 2 :]
    spread = np.linspace(0, len(rest) - 1, MAX_FITTED - len(first)).round().astype(int)
    return sorted({*first, *(rest[i] for i in spread)})

"""Fits the hyperparameters of Gaussian processes to trials, under one of two priors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.map_saas import get_map_saas_model
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

MAX_FITTED = 250
"""Rows that the hyperparameters are fitted to; the process itself takes all rows."""

N_STEPS = 100
"""Limit of L-BFGS for them."""


TAUS = tuple(0.1 * math.tan(0.5 * math.pi * (k + 0.5) / 4) for k in range(4))
"""Scales of the inverse squared length scales under the sparse prior, one for each process of the
mixture: quantiles of the half-Cauchy distribution with scale 0.1, so that nothing is random."""


@dataclass(frozen=True, slots=True)
class TorchFit:
    """Hyperparameters of the equal processes of a mixture.

    Attributes:
        is_sparse: whether they were fitted under the SAAS prior.
        states: of the processes, one without the SAAS prior.
    """

    is_sparse: bool
    states: tuple[dict[str, Any], ...]


def fitted(x: Tensor, y: Tensor, order: Sequence[int], *, is_sparse: bool = False) -> TorchFit:
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
        return TorchFit(False, (_fitted_state(plain_process(x, y)),))
    n = len(TAUS)  # all in one batch, which takes hardly longer than one of them
    taus = torch.tensor(TAUS).to(x)
    batch = sparse_process(x.expand(n, *x.shape), y.expand(n, *y.shape), taus)
    state, own = _fitted_state(batch), dict(batch.named_parameters())
    parts = ({k: v[i] if k in own else v for k, v in state.items()} for i in range(n))
    return TorchFit(True, tuple(parts))


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


def plain_process(x: Tensor, y: Tensor) -> SingleTaskGP:
    """Return a process under BoTorch's prior, not fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of data without exactly unit variance
        return SingleTaskGP(x, y[:, None], outcome_transform=None)


def sparse_process(x: Tensor, y: Tensor, tau: Tensor | float = TAUS[0]) -> SingleTaskGP:
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

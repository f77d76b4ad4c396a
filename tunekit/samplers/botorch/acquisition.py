"""Scores rows by BoTorch's acquisitions, evaluated on functions drawn from the processes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.objective import GenericMCObjective
from botorch.models.model import Model
from botorch.posteriors.posterior import Posterior
from botorch.sampling.base import MCSampler
from numpy.typing import NDArray
from torch import Tensor

from tunekit.samplers.bayesian.candidates import Climb
from tunekit.samplers.botorch.embedding import UnionEmbedding


class DrawnPosterior(Posterior):
    """Values of the drawn functions: `(s, ..., q, outputs)` for `s` draws."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def rsample(self, sample_shape: torch.Size | None = None) -> Tensor:
        """Return all draws; their number does not depend on `sample_shape`."""
        return self.values

    def _extended_shape(self, sample_shape: torch.Size | None = None) -> torch.Size:
        return torch.Size([*(sample_shape or ()), *self.values.shape[1:]])

    @property
    def mean(self) -> Tensor:
        """Mean over the draws."""
        return self.values.mean(dim=0)

    @property
    def variance(self) -> Tensor:
        """Variance over the draws, which bounds the objective where no trial is feasible."""
        return self.values.var(dim=0)

    @property
    def device(self) -> torch.device:
        """Device of the values."""
        return self.values.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return self.values.dtype


class AllDraws(MCSampler):
    """Hands all draws to an acquisition."""

    def forward(self, posterior: Posterior) -> Tensor:
        """Return the draws."""
        return posterior.rsample()

    def _update_base_samples(self, posterior: Posterior, base_sampler: MCSampler) -> None:
        """Keep nothing, since the draws belong to the model."""


class DrawnModel(Model):
    """Functions of all outputs, drawn once, so that every call sees the same ones.

    Args:
        functions: one callable per output, from `(..., e)` to `(s, ...)`.
        known: `(k, e)` rows that acquisitions put before the new ones; their values are kept.
    """

    def __init__(self, functions: Sequence[Callable[[Tensor], Tensor]], known: Tensor) -> None:
        super().__init__()
        self._functions = list(functions)
        self._known = known
        self._known_values = self._at(known)

    @property
    def num_outputs(self) -> int:
        """Number of outputs."""
        return len(self._functions)

    @property
    def batch_shape(self) -> torch.Size:
        """No batches."""
        return torch.Size()

    def posterior(self, X: Tensor, *args: Any, **kwargs: Any) -> DrawnPosterior:
        """Return the values at `(..., q, e)` rows."""
        k = len(self._known)
        first = X.reshape(-1, *X.shape[-2:])[0, :k]
        if not k or X.shape[-2] <= k or not torch.equal(first, self._known):
            return DrawnPosterior(self._at(X))
        new = self._at(X[..., k:, :])
        shape = (new.shape[0], *X.shape[:-2], k, new.shape[-1])
        old = self._known_values.reshape(new.shape[0], *(1,) * (X.ndim - 2), k, -1).expand(shape)
        return DrawnPosterior(torch.cat([old, new], dim=-2))

    def _at(self, x: Tensor) -> Tensor:
        return torch.stack([function(x) for function in self._functions], dim=-1)


class AcquisitionScore:
    """Scores rows by an acquisition; more is better.

    Attributes:
        name: name of the acquisition in BoTorch.
    """

    def __init__(self, name: str, acquisition: Any, embedding: UnionEmbedding) -> None:
        self.name = name
        self._acquisition = acquisition
        self._embedding = embedding

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(m,)` scores of `(m, d)` rows."""
        with torch.no_grad():
            return self._values(self._embedding.tensor(x)).cpu().numpy()

    def climber(self, rows: NDArray[np.float64]) -> Climb:
        """Return the score with its gradient in the active numbers."""

        def climb(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            at = self._embedding.tensor(x).requires_grad_(True)
            values = self._values(at)
            (gradient,) = torch.autograd.grad(values.sum(), at)
            slopes = torch.nan_to_num(gradient, nan=0.0).cpu().numpy()
            return values.detach().cpu().numpy(), slopes

        return climb

    def _values(self, rows: Tensor) -> Tensor:
        values: Tensor = self._acquisition(self._embedding(rows)[:, None, :])
        return values


def acquisition(
    name: str,
    functions: Sequence[Callable[[Tensor], Tensor]],
    n_objectives: int,
    *,
    baseline: Tensor,
    pending: Tensor,
    reference: Tensor | None = None,
    weights: Tensor | None = None,
) -> Any:
    """Return an acquisition of BoTorch.

    Args:
        name: `qLogNEI`, `qLogNEHVI` or `qLogNParEGO`.
        functions: draws of the objectives, of which more is better, then of the constraints,
            which hold up to 0.
        n_objectives: number of objectives.
        baseline: `(k, e)` rows of the best trials.
        pending: `(p, e)` rows of running trials and of earlier points of the same batch.
        reference: `(m,)` reference point of the hypervolume.
        weights: `(m,)` weights of the objectives.
    """
    known = baseline if name != "qLogNEHVI" else torch.cat([baseline, pending])
    model = DrawnModel(functions, known)
    n_draws = len(model._known_values)
    bounds = [_output(k) for k in range(n_objectives, len(functions))]
    shared: dict[str, Any] = {
        "model": model,
        "X_baseline": baseline,
        "sampler": AllDraws(torch.Size([n_draws])),
        "constraints": bounds or None,
        "X_pending": pending if len(pending) else None,
        "prune_baseline": False,
        "cache_root": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of points that do not dominate the reference point
        if name == "qLogNEI":
            return qLogNoisyExpectedImprovement(objective=GenericMCObjective(_first), **shared)
        several = IdentityMCMultiOutputObjective(outcomes=list(range(n_objectives)))
        if name == "qLogNParEGO":
            return qLogNParEGO(objective=several, scalarization_weights=weights, **shared)
        assert reference is not None
        return qLogNoisyExpectedHypervolumeImprovement(
            ref_point=reference, objective=several, **shared
        )


def _first(values: Tensor, X: Tensor | None = None) -> Tensor:
    return values[..., 0]


def _output(k: int) -> Callable[[Tensor], Tensor]:
    return lambda values: values[..., k]

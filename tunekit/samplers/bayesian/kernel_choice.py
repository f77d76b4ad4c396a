"""Which kernel a study gets: by the shape of its space first, by evidence once there is some.

Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", section 5.4.2:
the density of each value given all others compares kernels without a penalty for their size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from tunekit.records import TrialRecord
from tunekit.samplers.bayesian.fitting import (
    chosen_rows,
    conditioned,
    fitted,
    key_of,
    parameters_evidence,
    warm_start,
)
from tunekit.samplers.bayesian.training_data import structure_of
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.block_kernel import Parameters
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import Priors, TreeGP

FIRST = 20
"""Trials before kernels are compared; fewer decide by chance."""

EVERY = 10
"""Trials from one comparison to the next, at least; from 100 on a tenth of the trials."""

MARGIN = 2.0
"""By so many nats another kernel has to be better than the one that goes with the space."""

ADDITIVE = 0.5
"""Share of a block's variance that an additive kernel gives to each parameter for itself."""

MAX_COMPARED_ROWS = 200
"""Rows that kernels are compared on."""

REFIT_FROM = 64
"""Trials from which the parameters are not fitted anew for every proposal,"""

REFIT_PARTS = 32
"""but once the trials have grown by one part in so many."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted process, with the kernel that was chosen.

    Attributes:
        kernel: its name; see `kernels_of`.
        compared_at: trials at the last comparison, 0 before the first.
        fitted_at: trials at the last fit of the parameters.
        how: how the parameters came about.
    """

    gp: TreeGP
    kernel: str
    compared_at: int
    fitted_at: int
    how: str

    def evidence(self) -> dict[str, Any]:
        """Return what the next fit starts from, as plain JSON."""
        found = parameters_evidence(self.gp, key_of(self.gp.structure, self.kernel))
        since = {"compared_at": self.compared_at, "fitted_at": self.fitted_at}
        return {"kernel": self.kernel, **since, **found}


def kernels_of(encoder: Encoder) -> dict[str, BlockStructure]:
    """Return the kernels that are worth a comparison, the one that goes with the space first.

    `trend` gives most of the variance to a wide, smooth part, as flat spaces mostly want;
    `blocks` none. `additive` lets each parameter have an effect of its
    own beside that of its block as a whole.
    """
    structure = structure_of(encoder)
    smooth, rough = structure, replace(structure, trend=0.0)
    if structure.has_branches:
        return {"blocks": rough, "trend": smooth, "additive": rough.additive(ADDITIVE)}
    return {"trend": smooth, "blocks": rough, "additive": smooth.additive(ADDITIVE)}


def fit_chosen(
    encoder: Encoder,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    trials: Sequence[TrialRecord],
    *,
    priors: Priors | None = None,
) -> Fit:
    """Return the process under the kernel that the trials speak for.

    Args:
        encoder: of the space.
        x: `(n, d)` rows, NaN where inactive.
        y: `(n,)` standardised losses.
        trials: by number; their evidence holds earlier choices and parameters.
        priors: of the parameters of each kernel, where they are not the usual ones.
    """
    kernels = kernels_of(encoder)
    kernel, compared_at, fitted_at = _last_choice(trials, kernels)
    if len(y) < FIRST or len(y) < compared_at + max(EVERY, len(y) // 10):
        if REFIT_FROM <= len(y) < fitted_at + len(y) // REFIT_PARTS:
            kept = _kept(kernels[kernel], x, y, trials, kernel)
            if kept is not None:
                return Fit(kept, kernel, compared_at, fitted_at, f"parameters of {fitted_at}")
        gp, how = _fitted(kernels[kernel], x, y, trials, kernel, priors)
        return Fit(gp, kernel, compared_at, len(y), how)
    fits = {name: _fitted(s, x, y, trials, name, priors) for name, s in kernels.items()}
    few = chosen_rows(y, MAX_COMPARED_ROWS)
    density = {name: _density(gp, x[few], y[few]) for name, (gp, _) in fits.items()}
    first = next(iter(kernels))
    best = max(density, key=lambda name: density[name])
    kernel = best if density[best] > density[first] + MARGIN else first
    gp, how = fits[kernel]
    return Fit(gp, kernel, len(y), len(y), how)


def _fitted(
    structure: BlockStructure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    trials: Sequence[TrialRecord],
    kernel: str,
    priors: Priors | None,
) -> tuple[TreeGP, str]:
    warm = warm_start(trials, structure, key_of(structure, kernel))
    return fitted(structure, x, y, warm=warm, priors=priors)


def _kept(
    structure: BlockStructure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    trials: Sequence[TrialRecord],
    kernel: str,
) -> TreeGP | None:
    """Return the process with the parameters of the last proposal, if they are still good."""
    warm = warm_start(trials, structure, key_of(structure, kernel))
    if warm is None:
        return None
    try:
        return conditioned(structure, Parameters.from_array(warm, x.shape[1]), x, y)
    except LinAlgError:
        return None


def _density(gp: TreeGP, x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the leave-one-out density of rows under a process' parameters."""
    noise = np.full(len(y), np.exp(gp.parameters.noise))
    return TreeGP.given(gp.structure, gp.parameters, x, y, noise).leave_one_out_density()


def _last_choice(
    trials: Sequence[TrialRecord], kernels: Mapping[str, BlockStructure]
) -> tuple[str, int, int]:
    """Return the kernel that was chosen last, and the trials at its comparison and its fit."""
    for trial in reversed(trials):
        found = trial.evidence
        name, at, fitted_at = (found.get(k) for k in ("kernel", "compared_at", "fitted_at"))
        if isinstance(name, str) and name in kernels and isinstance(at, int):
            return name, at, fitted_at if isinstance(fitted_at, int) else 0
    return next(iter(kernels)), 0, 0

"""Chooses a study's kernel: first two take turns, later the leave-one-out density decides.

A wide trend finds the bottom of a bowl in a few trials, and holds the search back where there is
none. A dozen trials do not tell which is the case, and a search that alternates loses to neither.
With branches neither is ahead, and the one without a trend begins.

Reference: Rasmussen and Williams, 2006, "Gaussian Processes for Machine Learning", section 5.4.2:
the density of each value given all others compares kernels without a complexity penalty.
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
    conditioned,
    extended,
    fitted_part,
    key_of,
    parameters_evidence,
    warm_start,
)
from tunekit.samplers.bayesian.training_data import structure_of
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.block_kernel import Parameters
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import HyperparameterPriors, TreeGP

TURNS = 2  # kernels that take turns in a flat space until the first comparison
FIRST = 20  # minimum number of trials to compare kernels; fewer decide by chance
EVERY = 10  # minimum number of trials between comparisons; from 100 trials on, a tenth of them
MARGIN = 2.0  # minimum gain, in nats, for another kernel to replace the space's default

ADDITIVE = 0.5
"""Share of a block's variance that an additive kernel splits over its single parameters."""

REFIT_FROM = 64  # number of trials from which proposals reuse fitted parameters

REFIT_PARTS = 32
"""Parameters are then refitted when the trials have grown by one part in `REFIT_PARTS`."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted process and its chosen kernel.

    Attributes:
        kernel: name of the kernel; see `kernels_of`.
        compared_at: number of trials at the last comparison, 0 before the first.
        fitted_at: number of trials at the last fit of the parameters.
        how: how the parameters were obtained, for the explanation of a proposal.
    """

    gp: TreeGP
    kernel: str
    compared_at: int
    fitted_at: int
    how: str

    def evidence(self) -> dict[str, Any]:
        """Return the state that the next fit starts from, as plain JSON."""
        found = parameters_evidence(self.gp, key_of(self.gp.structure, self.kernel))
        since = {"compared_at": self.compared_at, "fitted_at": self.fitted_at}
        return {"kernel": self.kernel, **since, **found}


def kernels_of(encoder: Encoder) -> dict[str, BlockStructure]:
    """Return the kernels to compare: the default, then in flat spaces its partner in turns.

    `blocks` takes nothing for granted; `trend` gives most of the variance to a wide, smooth part,
    which suits a bowl, but only climbs where there is none. `additive` adds an effect of each
    single parameter to that of its block.
    """
    structure = structure_of(encoder)
    smooth, rough = structure, replace(structure, trend=0.0)
    of_additive = rough if structure.has_branches else smooth
    return {"blocks": rough, "trend": smooth, "additive": of_additive.additive(ADDITIVE)}


def fit_chosen(
    encoder: Encoder,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    trials: Sequence[TrialRecord],
    *,
    priors: HyperparameterPriors | None = None,
) -> Fit:
    """Return the process with the kernel that the trials favour.

    Args:
        encoder: of the space.
        x: `(n, d)` rows, NaN where inactive.
        y: `(n,)` standardised losses.
        trials: trials by number; their evidence holds earlier choices and parameters.
        priors: priors of each kernel's parameters; by default the standard ones.
    """
    kernels = kernels_of(encoder)

    def last(kernel: str) -> NDArray[np.float64] | None:
        return warm_start(trials, kernels[kernel], key_of(kernels[kernel], kernel))

    kernel, compared_at, fitted_at = _last_choice(trials, kernels)
    if len(y) < FIRST or len(y) < compared_at + max(EVERY, len(y) // 10):
        if REFIT_FROM <= len(y) < fitted_at + len(y) // REFIT_PARTS:
            kept = _kept(kernels[kernel], x, y, last(kernel))
            if kept is not None:
                return Fit(kept, kernel, compared_at, fitted_at, f"parameters of {fitted_at}")
        gp, how = fitted_part(kernels[kernel], x, y, warm=last(kernel), priors=priors)
        return Fit(extended(gp, x, y), kernel, compared_at, len(y), how)
    fits = {
        name: fitted_part(structure, x, y, warm=last(name), priors=priors)
        for name, structure in kernels.items()
    }
    density = {name: gp.leave_one_out_density() for name, (gp, _) in fits.items()}
    first = next(iter(kernels))
    best = max(density, key=lambda name: density[name])
    kernel = best if density[best] > density[first] + MARGIN else first
    gp, how = fits[kernel]
    return Fit(extended(gp, x, y), kernel, len(y), len(y), how)


def _kept(
    structure: BlockStructure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    last: NDArray[np.float64] | None,
) -> TreeGP | None:
    """Return the process with the last proposal's parameters, `None` if they no longer work."""
    if last is None:
        return None
    try:
        return conditioned(structure, Parameters.from_array(last, x.shape[1]), x, y)
    except LinAlgError:
        return None


def _last_choice(
    trials: Sequence[TrialRecord], kernels: Mapping[str, BlockStructure]
) -> tuple[str, int, int]:
    """Return the kernel to use, and the numbers of trials at its comparison and its fit."""
    for trial in reversed(trials):
        found = trial.evidence
        name, at, fitted_at = (found.get(k) for k in ("kernel", "compared_at", "fitted_at"))
        if isinstance(name, str) and name in kernels and isinstance(at, int) and at > 0:
            return name, at, fitted_at if isinstance(fitted_at, int) else 0
    first, *_ = kernels
    turns = 1 if kernels[first].has_branches else TURNS
    return list(kernels)[len(trials) % turns], 0, 0

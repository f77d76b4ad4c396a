"""Fits the tree model to a study: warm starts from stored evidence, and never fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from tunekit.records import TrialRecord
from tunekit_surrogates.block_kernel import Parameters
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import Priors, TreeGP, fit

MAX_ROWS = 600
"""Rows that a process is conditioned on: the best half of so many, and others spread evenly."""

MAX_FIT_ROWS = 200
"""Rows that its parameters are fitted to."""

FEW_ROWS = 30
"""Up to here the fit starts from the prior's mode as well as from the last parameters."""

ITERATIONS = 30


def fitted(
    structure: BlockStructure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    warm: NDArray[np.float64] | None = None,
    priors: Priors | None = None,
) -> tuple[TreeGP, str]:
    """Return a process for `(n, d)` rows and their `(n,)` standardised values, and how it came.

    What fails leads to the next best: parameters fitted from both starts, the last ones as they
    are, the mode of the prior.
    """
    priors = priors or Priors()
    mode = priors.of(structure)[0]
    starts = [mode] if warm is None else [warm, mode] if len(y) <= FEW_ROWS else [warm]
    few = chosen_rows(y, MAX_FIT_ROWS)
    try:
        gp = fit(structure, x[few], y[few], priors=priors, starts=starts, iterations=ITERATIONS)
        if len(few) == len(y):
            return gp, "fitted"
        return conditioned(structure, gp.parameters, x, y), "fitted to a part"
    except LinAlgError:
        pass
    how = (
        "not fitted: the mode of the prior" if warm is None else "not fitted: the last parameters"
    )
    return conditioned(structure, Parameters.from_array(starts[0], x.shape[1]), x, y), how


def conditioned(
    structure: BlockStructure, p: Parameters, x: NDArray[np.float64], y: NDArray[np.float64]
) -> TreeGP:
    """Return the process with these parameters, conditioned on `MAX_ROWS` rows at most."""
    rows = chosen_rows(y, MAX_ROWS)
    return TreeGP.given(structure, p, x[rows], y[rows], np.full(len(rows), np.exp(p.noise)))


def chosen_rows(y: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return which rows to learn from, in order: all, or the best and some of each quality."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    order = np.argsort(y, kind="stable")
    best, others = order[: most // 2], order[most // 2 :]
    spread = others[np.linspace(0, len(others) - 1, most - most // 2).astype(np.int64)]
    return np.sort(np.concatenate([best, spread]))


def key_of(structure: BlockStructure, kernel: str) -> str:
    """Return a short name of what stored parameters belong to."""
    text = repr((kernel, structure.columns, structure.parents, structure.sizes))
    return blake2b(text.encode(), digest_size=4).hexdigest()


def parameters_evidence(gp: TreeGP, key: str) -> dict[str, Any]:
    """Return the parameters that are not at the prior's mode, as plain JSON."""
    mode = Priors().of(gp.structure)[0]
    theta = gp.parameters.to_array()
    moved = np.flatnonzero(np.abs(theta - mode) > 5e-3)
    return {
        "model": key,
        "at": moved.tolist(),
        "theta": [round(v, 3) for v in theta[moved].tolist()],
    }


def warm_start(
    trials: Sequence[TrialRecord], structure: BlockStructure, key: str
) -> NDArray[np.float64] | None:
    """Return the parameters that the last proposal with this model has stored, if there is one."""
    for trial in reversed(trials):
        found = stored_parameters(trial.evidence, structure, key)
        if found is not None:
            return found
    return None


def stored_parameters(
    evidence: Mapping[str, Any], structure: BlockStructure, key: str
) -> NDArray[np.float64] | None:
    """Return the parameters in a proposal's evidence, if they are of this model."""
    if evidence.get("model") != key:
        return None
    theta = Priors().of(structure)[0]
    at, values = evidence.get("at", []), evidence.get("theta", [])
    if len(at) != len(values) or not all(0 <= i < len(theta) for i in at):
        return None
    theta[at] = values
    return theta

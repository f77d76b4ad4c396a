"""Fits the tree model to a study, with warm starts from stored evidence and fallbacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError

from tunekit.identifiers import digest
from tunekit.records import TrialRecord
from tunekit_surrogates.block_kernel import Parameters
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.tree_gp import HyperparameterPriors, TreeGP, fit

MAX_ROWS = 600
"""Maximum rows to condition a process on: half are the best rows, half are spread evenly."""

MAX_FIT_ROWS = 200
"""Maximum rows to fit its parameters to."""

FEW_ROWS = 30
"""Up to this many rows the fit also starts from the prior's mode, not only the last parameters."""

ITERATIONS = 30


def fitted(structure: BlockStructure, x: NDArray[np.float64], y: NDArray[np.float64]) -> TreeGP:
    """Return a process for `(n, d)` rows and `(n,)` standardised values."""
    return extended(fitted_part(structure, x, y)[0], x, y)


def fitted_part(
    structure: BlockStructure,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    warm: NDArray[np.float64] | None = None,
    priors: HyperparameterPriors | None = None,
) -> tuple[TreeGP, str]:
    """Return a process given those of `(n, d)` rows that it was fitted to, and how it was.

    Falls back from fitted parameters to the last ones unchanged, then to the prior's mode.

    Args:
        structure: of the process.
        x: `(n, d)` rows.
        y: `(n,)` standardised values.
        warm: `(p,)` last parameters, to start from.
        priors: priors of the parameters; by default the standard ones.
    """
    priors = priors or HyperparameterPriors()
    mode = priors.of(structure)[0]
    starts = [mode] if warm is None else [warm, mode] if len(y) <= FEW_ROWS else [warm]
    few = chosen_rows(y, MAX_FIT_ROWS)
    part, of_part = x[few], y[few]
    try:
        gp = fit(structure, part, of_part, priors=priors, starts=starts, iterations=ITERATIONS)
        return gp, "fitted" if len(few) == len(y) else "fitted to a part"
    except LinAlgError:
        pass
    how = (
        "not fitted: the mode of the prior" if warm is None else "not fitted: the last parameters"
    )
    last = Parameters.from_array(starts[0], x.shape[1])
    return conditioned(structure, last, part, of_part), how


def extended(gp: TreeGP, x: NDArray[np.float64], y: NDArray[np.float64]) -> TreeGP:
    """Return the process of `fitted_part`, given all counting ones of `(n, d)` rows."""
    return gp if len(gp.y) == len(y) else conditioned(gp.structure, gp.parameters, x, y)


def conditioned(
    structure: BlockStructure, p: Parameters, x: NDArray[np.float64], y: NDArray[np.float64]
) -> TreeGP:
    """Return the process with these parameters, given at most `MAX_ROWS` of `(n, d)` rows."""
    rows = chosen_rows(y, MAX_ROWS)
    return TreeGP.given(structure, p, x[rows], y[rows], np.full(len(rows), np.exp(p.noise)))


def chosen_rows(y: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return `(k,)` indices of rows to learn from: all, or the best and a spread of the rest."""
    n = len(y)
    if n <= most:
        return np.arange(n)
    order = np.argsort(y, kind="stable")
    best, others = order[: most // 2], order[most // 2 :]
    spread = others[np.linspace(0, len(others) - 1, most - most // 2).astype(np.int64)]
    return np.sort(np.concatenate([best, spread]))


def key_of(structure: BlockStructure, kernel: str) -> str:
    """Return a short key of the structure and kernel that stored parameters belong to."""
    text = repr((kernel, structure.columns, structure.parents, structure.sizes))
    return digest(text.encode(), n_bytes=4).hex()


def parameters_evidence(gp: TreeGP, key: str) -> dict[str, Any]:
    """Return the parameters that differ from the prior's mode, as plain JSON."""
    mode = HyperparameterPriors().of(gp.structure)[0]
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
    """Return the `(p,)` parameters stored by this model's last proposal, `None` without one."""
    for trial in reversed(trials):
        found = stored_parameters(trial.evidence, structure, key)
        if found is not None:
            return found
    return None


def stored_parameters(
    evidence: Mapping[str, Any], structure: BlockStructure, key: str
) -> NDArray[np.float64] | None:
    """Return `(p,)` parameters in a proposal's evidence, `None` if another model wrote them."""
    if evidence.get("model") != key:
        return None
    theta = HyperparameterPriors().of(structure)[0]
    at, values = evidence.get("at", []), evidence.get("theta", [])
    if len(at) != len(values) or not all(0 <= i < len(theta) for i in at):
        return None
    theta[at] = values
    return theta

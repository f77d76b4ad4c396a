"""Lets a longer run of a point go on from the checkpoint of a shorter one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunekit.records import Branch, Proposal, TrialRecord
from tunekit.samplers.bayesian.fidelity import Fidelity


def continuing(
    proposal: Proposal,
    fidelity: Fidelity,
    row: NDArray[np.float64],
    trials: Sequence[TrialRecord],
    x: NDArray[np.float64],
) -> Proposal:
    """Return a proposal that goes on from the longest run of its point so far, if there is one.

    The fidelity has to count the steps of a trial: over two lengths or more, the last checkpoint
    of each trial is that of step `fidelity`, or `fidelity - 1` where steps are counted from 0. A
    checkpoint along another fidelity, such as a share of the data, is no shorter run of the same
    training; neither is one of a smaller size along a scale axis.

    Args:
        proposal: of a point.
        fidelity: of the space.
        row: `(d,)` the point at the fidelity that it is to run at.
        trials: those with a result.
        x: `(n, d)` their rows.
    """
    if len(fidelity.columns) != 1 or not fidelity.domains[0].fidelity:
        return proposal
    (column,), (path,) = fidelity.columns, fidelity.paths
    others = np.delete(x, column, axis=1), np.delete(row, column)
    is_same = np.isclose(*others, rtol=0.0, atol=1e-9, equal_nan=True).all(axis=1)
    shorter = np.flatnonzero(is_same & (x[:, column] < row[column] - 1e-9))
    if not len(shorter):
        return proposal
    trial = trials[shorter[np.argmax(x[shorter, column])]]
    if not trial.checkpoints or not _counts_steps(trials, path):
        return proposal
    why = f"{proposal.reason}; goes on from trial {trial.number}"
    branch = Branch(trial.number, trial.checkpoints[-1].step)
    return replace(proposal, reason=why, branch=branch)


def _counts_steps(trials: Sequence[TrialRecord], path: str) -> bool:
    """Return whether the last checkpoint of every trial is that of its fidelity."""
    lengths = {
        (t.params[path], t.checkpoints[-1].step)
        for t in trials
        if t.params is not None and t.checkpoints
    }
    return len(lengths) > 1 and all(length in (step, step + 1) for length, step in lengths)

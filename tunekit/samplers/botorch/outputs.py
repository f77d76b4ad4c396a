"""Collects what the processes learn: losses, slacks of constraints, and failures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.fidelity import stalled
from tunekit.samplers.bayesian.training_data import (
    Observed,
    TrialRows,
    observed,
    reach_of_front,
    standardised,
)
from tunekit_surrogates.non_domination import layers


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """Values of one quantity to model.

    Attributes:
        kind: `objective` (more is better), `bound` or `failure` (hold up to 0).
        x: `(n, d)` rows.
        values: `(n,)`.
        order: `(n,)` rows by interest, the best first.
        reach: none of an objective's values up to here is clipped.
    """

    kind: str
    x: NDArray[np.float64]
    values: NDArray[np.float64]
    order: NDArray[np.int64]
    reach: float = -np.inf

    def first(self, n: int) -> Output:
        """Return the output of the first `n` rows."""
        order = self.order[self.order < n]
        return Output(self.kind, self.x[:n], self.values[:n], order, self.reach)

    def scaled(self) -> NDArray[np.float64]:
        """Return the values with a standard deviation of about 1; 0 stays 0 for bounds."""
        if self.kind == "objective":
            return -standardised(self.values, self.reach)
        size = float(np.std(self.values)) or float(np.abs(self.values).max()) or 1.0
        return np.clip(self.values / size, -4.0, 4.0)


@dataclass(frozen=True, slots=True, eq=False)
class StudyOutputs:
    """All outputs of a study.

    Attributes:
        data: trials with a result.
        outputs: the objectives first.
        order: `(n,)` trials of `data` by rank: feasible first, then by loss or front.
    """

    data: Observed
    outputs: list[Output]
    order: NDArray[np.int64]

    @property
    def incumbents(self) -> NDArray[np.float64]:
        """Return `(k, d)` rows of the trials that a new point has to improve on, by rank.

        Those are at the target fidelity; until there is one, cheaper trials stand in.
        """
        x = self.data.x[self.order]
        if self.data.fidelity is None:
            return x
        whole = self.data.fidelity.is_target(x)
        return x[whole] if whole.any() else x


def learnt(view: StudyView, rows: TrialRows, *, max_rows: int) -> StudyOutputs:
    """Return what the trials of a study teach, `max_rows` of them at most."""
    data = observed(view, rows)
    if data.fidelity is not None and len(view.objectives) == 1:
        full = data.full_runs()
        if stalled(full.losses[:, 0]):  # in case cheaper runs mislead
            data = full
    data = _limited(data, max_rows)
    order = _ranked(data)
    outputs = [
        Output("objective", data.x, losses, order, reach)
        for losses, reach in zip(data.losses.T, reach_of_front(data).tolist(), strict=True)
    ]
    for bound in view.constraints:
        slack = np.array([bound.slack(t.metrics) for t in data.trials])
        worst = float(np.nanmax(np.abs(slack), initial=0.0)) or 1.0
        outputs.append(Output("bound", data.x, np.nan_to_num(slack, nan=worst), order))
    if len(data.failed):
        failed = data.failed[-max_rows:]
        x = np.concatenate([data.x, failed])
        has_failed = np.repeat([-1.0, 1.0], [len(data.x), len(failed)])
        both = np.concatenate([order, len(order) + np.arange(len(failed))])
        outputs.append(Output("failure", x, has_failed, both))
    return StudyOutputs(data, outputs, order)


def _ranked(data: Observed) -> NDArray[np.int64]:
    if not len(data.trials):
        return np.arange(0)
    several = data.losses.shape[1] > 1
    rank = layers(data.losses) if several else data.losses[:, 0]
    return np.lexsort((rank, data.violation))


def _limited(data: Observed, n: int) -> Observed:
    """Keep the best half of `n` trials, and the others evenly over time."""
    if len(data.trials) <= n:
        return data
    order = _ranked(data)
    rest = np.sort(order[n // 2 :])
    spread = rest[np.linspace(0, len(rest) - 1, n - n // 2).round().astype(int)]
    keep = np.unique(np.concatenate([order[: n // 2], spread]))
    trials = [data.trials[i] for i in keep]
    return Observed(
        trials, data.x[keep], data.losses[keep], data.violation[keep], data.failed, data.fidelity
    )

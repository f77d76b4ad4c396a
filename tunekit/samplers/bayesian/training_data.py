"""Converts the tree of a space and the trials of a study to training arrays for a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.errors import TunekitError
from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.blocks import BlockStructure

CLIP = 4.0
"""Losses are clipped at `median + CLIP * (median - best)`: how bad a bad point is tells little."""


def structure_of(encoder: Encoder) -> BlockStructure:
    """Return the blocks of a space; parameters with the same conditions form one block."""
    members: dict[tuple[object, ...], list[int]] = {}
    for j, column in enumerate(encoder.columns):
        members.setdefault(column.conditions, []).append(j)
    index = {c.path: j for j, c in enumerate(encoder.columns)}
    block_of = {j: b for b, columns in enumerate(members.values()) for j in columns}
    parents = []
    for b, columns in enumerate(members.values()):
        above = [index.get(c.parent) for c in encoder.columns[columns[0]].conditions]
        switches = [j for j in above if j is not None]  # a constant has no column
        parent = block_of[switches[-1]] if switches else -1
        parents.append(parent if parent < b else -1)
    sizes = [int(c.size) if c.kind == "categorical" else 0 for c in encoder.columns]
    return BlockStructure(tuple(map(tuple, members.values())), tuple(parents), tuple(sizes))


@dataclass(frozen=True, slots=True)
class Observed:
    """The trials with results, as arrays.

    Attributes:
        trials: trials by number.
        x: `(n, d)` encoded params, NaN where inactive.
        losses: `(n, m)` objective values, less is better; finite.
        violation: `(n,)` total violation of the metric constraints.
        fidelity: of the space, if it has one.
    """

    trials: list[TrialRecord]
    x: NDArray[np.float64]
    losses: NDArray[np.float64]
    violation: NDArray[np.float64]
    fidelity: Fidelity | None = None

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """Return `(n,)` flags of the trials that satisfy all metric constraints at the target.

        Until there is one at the target fidelity, cheaper trials stand in.
        """
        holds = self.violation == 0.0
        if self.fidelity is None:
            return np.asarray(holds)
        whole = holds & self.fidelity.is_target(self.x)
        return np.asarray(whole if whole.any() else holds)

    def full_runs(self) -> Observed:
        """Return the trials at the target fidelity only, without a fidelity of their own."""
        assert self.fidelity is not None
        keep = np.flatnonzero(self.fidelity.is_target(self.x))
        trials = [self.trials[i] for i in keep]
        return Observed(trials, self.x[keep], self.losses[keep], self.violation[keep])


class TrialRows:
    """Encodes trials and caches their rows.

    Args:
        encoder: of the space.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._known: dict[int, tuple[Params, NDArray[np.float64] | None]] = {}

    def of(self, trials: Sequence[TrialRecord]) -> list[NDArray[np.float64] | None]:
        """Return the `(d,)` row of each trial, `None` if its params do not lie in the space."""
        return [self._row(t) for t in trials]

    def _row(self, trial: TrialRecord) -> NDArray[np.float64] | None:
        params = trial.params
        if params is None:
            return None
        known = self._known.get(trial.number)
        if known is None or (known[0] is not params and known[0] != params):
            known = (params, self._encoded(params))
            self._known[trial.number] = known
        return known[1]

    def _encoded(self, params: Params) -> NDArray[np.float64] | None:
        try:
            point = self.encoder.space.validate(params)
        except TunekitError:
            return None
        return np.asarray(self.encoder.encode([point])[0])


def observed(view: StudyView, rows: TrialRows) -> Observed:
    """Return the trials that ended with a finite result and still lie in the space.

    A stopped trial counts with its last reported value.
    """
    useful = (TrialState.COMPLETE, TrialState.STOPPED)
    ended = [t for t in view.history if t.state in useful]
    losses = view.history.losses(ended)
    found = rows.of(ended)
    keep = [i for i, x in enumerate(found) if x is not None and np.isfinite(losses[i]).all()]
    trials = [ended[i] for i in keep]
    x = np.array([found[i] for i in keep], dtype=np.float64)
    return Observed(
        trials,
        x.reshape(len(keep), len(rows.encoder)),
        losses[keep],
        np.array([view.history.violation(t) for t in trials]),
        Fidelity.of(rows.encoder),
    )


def standardised(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the `(n,)` losses, clipped at the bad end, with mean 0 and standard deviation 1."""
    size = float(np.max(np.abs(losses), initial=0.0))
    y = losses / size if size > 0 else losses  # keeps squares of huge values finite
    middle, best = float(np.median(y)), float(np.min(y))
    y = np.minimum(y, middle + CLIP * (middle - best))
    spread = float(np.std(y))
    return (y - y.mean()) / spread if spread > 1e-12 else np.zeros_like(y)

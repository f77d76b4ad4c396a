"""Converts the tree of a space and the trials of a study to training arrays for a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.fidelity import Fidelity
from tunekit.samplers.bayesian.learnable import FAILED_STATES, has_result, point_in
from tunekit.spaces import Params
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.blocks import BlockStructure
from tunekit_surrogates.hypervolume import reference_point
from tunekit_surrogates.non_domination import non_dominated

CLIP = 4.0
"""Losses are clipped at `median + CLIP * (median - best)`: how bad a bad point is tells little.
Where half of the losses equal the best, none is clipped: the limit would make all equal."""


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
        failed: `(k, d)` rows of the trials that failed or diverged.
        fidelity: of the space, if it has one.
    """

    trials: list[TrialRecord]
    x: NDArray[np.float64]
    losses: NDArray[np.float64]
    violation: NDArray[np.float64]
    failed: NDArray[np.float64]
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

    @property
    def all_complete(self) -> bool:
        """Return whether no trial was stopped, and thus counts with a value on the way."""
        return all(t.state is TrialState.COMPLETE for t in self.trials)

    def full_runs(self) -> Observed:
        """Return the trials at the target fidelity only, without a fidelity of their own."""
        assert self.fidelity is not None
        keep = np.flatnonzero(self.fidelity.is_target(self.x))
        trials = [self.trials[i] for i in keep]
        return Observed(trials, self.x[keep], self.losses[keep], self.violation[keep], self.failed)


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
        self._encode([t for t in trials if t.params is not None and not self._is_known(t)])
        return [None if t.params is None else self._known[t.number][1] for t in trials]

    def _is_known(self, trial: TrialRecord) -> bool:
        known = self._known.get(trial.number)
        return known is not None and (known[0] is trial.params or known[0] == trial.params)

    def _encode(self, trials: Sequence[TrialRecord]) -> None:
        """Encode the trials in one batch: each call costs as much as hundreds of rows."""
        space = self.encoder.space
        points = {t.number: p for t in trials if (p := point_in(space, t)) is not None}
        rows = dict(zip(points, self.encoder.encode(points.values()), strict=True))
        for t in trials:
            assert t.params is not None
            self._known[t.number] = (t.params, rows.get(t.number))


def observed(view: StudyView, rows: TrialRows) -> Observed:
    """Return the trials that ended with a finite result and still lie in the space."""
    ended = [t for t in view.history if has_result(t, view.history)]
    found = [(t, x) for t, x in zip(ended, rows.of(ended), strict=True) if x is not None]
    trials = [t for t, _ in found]
    x = np.array([x for _, x in found], dtype=np.float64)
    return Observed(
        trials,
        x.reshape(len(found), len(rows.encoder)),
        view.history.losses(trials),
        np.array([view.history.violation(t) for t in trials]),
        _failed(view, rows),
        Fidelity.of(rows.encoder),
    )


def _failed(view: StudyView, rows: TrialRows) -> NDArray[np.float64]:
    """Return `(k, d)` rows of the trials that failed or diverged and still lie in the space."""
    found = rows.of([t for t in view.history if t.state in FAILED_STATES])
    kept = [x for x in found if x is not None]
    return np.array(kept, dtype=np.float64).reshape(len(kept), len(rows.encoder))


@dataclass(frozen=True, slots=True)
class Standard:
    """The scale on which losses, clipped at the bad end, have mean 0 and standard deviation 1.

    Attributes:
        size: largest absolute loss; squares of losses in its units are finite.
        limit: clips the losses, in units of `size`.
        mean, spread: of the clipped losses, in units of `size`.
    """

    size: float
    limit: float
    mean: float
    spread: float

    @classmethod
    def of(cls, losses: NDArray[np.float64], reach: float = -np.inf) -> Standard:
        """Return the scale of `(n,)` losses, at least one; none up to `reach` is clipped."""
        size = float(np.max(np.abs(losses), initial=0.0)) or 1.0
        y = losses / size
        middle, best = float(np.median(y)), float(np.min(y))
        limit = middle + CLIP * (middle - best) if middle > best else np.inf
        limit = max(limit, reach / size)
        y = np.minimum(y, limit)
        return cls(size, limit, float(y.mean()), float(np.std(y)))

    def scaled(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the `(n,)` losses on this scale."""
        if self.spread <= 1e-12:
            return np.zeros_like(losses)
        return (np.minimum(losses / self.size, self.limit) - self.mean) / self.spread

    def losses(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the losses of values on this scale."""
        return (scaled * self.spread + self.mean) * self.size


def standardised(losses: NDArray[np.float64], reach: float = -np.inf) -> NDArray[np.float64]:
    """Return the `(n,)` losses, clipped at the bad end, with mean 0 and standard deviation 1."""
    return Standard.of(losses, reach).scaled(losses)


def reach_of_front(data: Observed) -> NDArray[np.float64]:
    """Return the `(m,)` losses up to which the front needs values.

    They are `-inf` for one objective, and before there is a result.

    The ends of a front are bad in all objectives but one: where half of the trials lie at the
    ends with an objective of 0, a limit at multiples of its median would clip all other points of
    the front to one value.
    """
    losses = data.losses[data.feasible] if data.feasible.any() else data.losses
    if losses.shape[1] == 1 or not len(losses):
        return np.full(losses.shape[1], -np.inf)
    front = losses[non_dominated(losses)]
    spread = np.median(losses, axis=0) - losses.min(axis=0)
    farthest = front.max(axis=0) + CLIP * np.maximum(spread, np.ptp(front, axis=0))
    return np.asarray(np.minimum(reference_point(losses), farthest))


def front_standardised(data: Observed) -> NDArray[np.float64]:
    """Return the `(n, m)` losses, each objective standardised."""
    columns = zip(data.losses.T, reach_of_front(data), strict=True)
    return np.stack([standardised(losses, reach) for losses, reach in columns], axis=1)

"""The data of a study in the forms that the health checks need, each made once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.history import History
from tunekit.noise.replicates import is_started
from tunekit.records import StudySpec, TrialRecord, TrialState, block_of
from tunekit.spaces import Categorical, Constant, Float, Int, Params, Space
from tunekit.spaces.encode import Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Floats = NDArray[np.float64]

Steps = Mapping[int, Sequence[int]]
"""Trial number -> the steps of its reports, ascending."""

EARLY = 10
"""First results that stand for the study before it has learnt anything."""

_MEASURED = frozenset({TrialState.COMPLETE, TrialState.DIVERGED})


@dataclass(frozen=True, slots=True)
class EncodedTrials:
    """Trials with their points.

    Attributes:
        trials: by number.
        units: `(n, d)` unit coordinates, NaN where inactive.
        losses: `(n, m)` objectives, less is better; infinite for a diverged trial.
        keys: `(n,)` equal for equal points.
        is_able: `(n,)` whether a trial may be the best: complete, feasible, at full fidelity.
    """

    trials: Sequence[TrialRecord]
    units: _Floats
    losses: _Floats
    keys: NDArray[np.int64]
    is_able: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.trials)

    def where(self, mask: NDArray[np.bool_]) -> EncodedTrials:
        """Return some of the trials."""
        kept = [t for t, flag in zip(self.trials, mask.tolist(), strict=True) if flag]
        return EncodedTrials(
            kept, self.units[mask], self.losses[mask], self.keys[mask], self.is_able[mask]
        )


class Evidence:
    """A study for the checks.

    Args:
        history: its trials.
        space: its current space.
        spec: its settings.
        read_steps: gives the steps of the reports; called only if a check needs them.
        max_trials: budget; by default that of the settings.
        trials: those to look at; by default all.
    """

    def __init__(
        self,
        history: History,
        space: Space,
        spec: StudySpec,
        read_steps: Callable[[], Steps],
        max_trials: int | None = None,
        trials: Sequence[TrialRecord] | None = None,
    ) -> None:
        self.history = history
        self.space = space
        self.spec = spec
        self.max_trials = spec.max_trials if max_trials is None else max_trials
        self.encoder = Encoder(space)
        self._read_steps = read_steps
        self._trials = trials

    @cached_property
    def steps(self) -> Steps:
        """Return the steps of the reports by trial."""
        return self._read_steps()

    @cached_property
    def ended(self) -> list[TrialRecord]:
        """Return the trials that have ended, by number."""
        return self.history.finished()

    @cached_property
    def started(self) -> EncodedTrials:
        """Return all trials with a final point of the current space."""
        fits = _Fits(self.space)
        every = self.history if self._trials is None else self._trials
        found = [t for t in every if is_started(t) and fits(t.params or Params())]
        units = self.encoder.encode(t.params or Params() for t in found)
        losses = self.history.losses(found)
        losses[[t.state is TrialState.DIVERGED for t in found]] = math.inf
        able = [self._is_able(t) for t in found]
        return EncodedTrials(found, units, losses, _keys(units), np.array(able, dtype=bool))

    @cached_property
    def measured(self) -> EncodedTrials:
        """Return the trials that ran to their end, with a result or diverged."""
        mask = [t.state in _MEASURED and self.history.is_at_target(t) for t in self.started.trials]
        return self.started.where(np.array(mask, dtype=bool))

    @cached_property
    def able(self) -> EncodedTrials:
        """Return the trials that may be the best."""
        return self.started.where(self.started.is_able)

    def _is_able(self, t: TrialRecord) -> bool:
        if t.state is not TrialState.COMPLETE or not self.history.is_at_target(t):
            return False
        return self.history.violation(t) == 0.0 and all(
            math.isfinite(t.metrics[o.metric]) for o in self.history.objectives
        )


class _Fits:
    """Tells whether a point of any version lies in the current space."""

    def __init__(self, space: Space) -> None:
        self._choices: dict[str, frozenset[Any]] = {}
        self._ranges: dict[str, tuple[float, float, tuple[float, ...]]] = {}
        for p in space:
            domain = p.domain
            if isinstance(domain, Categorical):
                self._choices[p.path] = frozenset(domain.choices)
            elif isinstance(domain, Float | Int):
                self._ranges[p.path] = (domain.lo, domain.hi, domain.special)
            elif isinstance(domain, Constant):
                self._choices[p.path] = frozenset([domain.value])

    def __call__(self, params: Params) -> bool:
        for path, value in params.items():
            if (bounds := self._ranges.get(path)) is not None:
                lo, hi, special = bounds
                if not (
                    isinstance(value, int | float) and (lo <= value <= hi or value in special)
                ):
                    return False
            elif value not in self._choices.get(path, ()):
                return False
        return True


def _keys(units: _Floats) -> NDArray[np.int64]:
    if not len(units):
        return np.zeros(0, dtype=np.int64)
    rows = np.ascontiguousarray(np.where(np.isnan(units), -1.0, units))
    if rows.shape[1] == 0:
        return np.zeros(len(rows), dtype=np.int64)
    view = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return np.unique(view, return_inverse=True)[1].astype(np.int64)


def blocks_of(points: EncodedTrials) -> NDArray[np.int64]:
    """Return the `(n,)` blocks on which the trials were measured."""
    return np.array([block_of(t.evidence) for t in points.trials], dtype=np.int64)

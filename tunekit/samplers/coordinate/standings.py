"""What the trials of a study say of each point, and whether one point is better than another."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

from tunekit.history import History
from tunekit.noise.replicates import (
    UNMEASURED,
    Noise,
    ReplicatedPoint,
    by_point,
    key_of,
    ranking,
)
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.spaces import Scalar

Verdict: TypeAlias = Literal[
    "better", "worse", "tie", "failed", "in doubt", "running", "not run", "no result"
]
"""How a change compares: a tie is not better, nor worse, by more than tolerance and noise."""

ATTEMPTS = 2
"""How often a point whose trials are lost or cancelled is run."""

WARM_DOF = 4
"""Degrees of freedom from which on the scatter of repeats is believed; fewer are often lucky."""


class PointResults:
    """The points of a study with their results, less is better.

    Args:
        history: of the study.
        rules: what makes a point better.
        n_changes: number of changes that are compared with one point. A change is called better
            at `alpha` divided by it, or one of many would often be better by chance.

    Attributes:
        known: all points with their trials.
        found: the points with a result that may win, the best first.
        noise: how far results of one point scatter.
    """

    def __init__(self, history: History, rules: CoordinateRules, *, n_changes: int = 1) -> None:
        self.rules = rules
        self._n_changes = max(1, n_changes)
        self._by_key = by_point(history)
        self.known = list(self._by_key.values())
        self.noise = Noise(self.known)
        self.found = ranking([c for c in self.known if c.losses and not c.is_out], self.noise)

    def get(self, params: Mapping[str, Scalar]) -> ReplicatedPoint | None:
        """Return a point with its trials, `None` if it has none."""
        return self._by_key.get(key_of(params))

    def loss(self, found: ReplicatedPoint) -> float:
        """Return the mean loss of a point, `inf` if it cannot win."""
        return math.inf if found.is_out else self.noise.mean(found)

    @property
    def is_noise_known(self) -> bool:
        """Return whether repeats say how far results scatter."""
        return self.noise.dof >= WARM_DOF

    def state(self, params: Mapping[str, Scalar]) -> Verdict | None:
        """Return why a point has no result, `None` if it has one."""
        found = self.get(params)
        if found is None:
            return "not run"
        if found.is_out:
            return "failed"
        if found.losses:
            return None
        if found.blocks:
            return "running"
        gone = sum(t.state in UNMEASURED for t in found.trials)
        return "not run" if gone < ATTEMPTS else "no result"

    def free_block(self, params: Mapping[str, Scalar]) -> int | None:
        """Return the next block to measure a point on, `None` if it runs or has had all."""
        found = self.get(params)
        blocks = set() if found is None else found.blocks
        if found is not None and self._is_running(found):
            return None
        block = next(b for b in range(len(blocks) + 1) if b not in blocks)
        return block if block < self.rules.n_blocks else None

    def is_running(self, params: Mapping[str, Scalar]) -> bool:
        """Return whether a trial of the point has not ended."""
        found = self.get(params)
        return found is not None and self._is_running(found)

    @staticmethod
    def _is_running(found: ReplicatedPoint) -> bool:
        return any(not t.state.is_finished for t in found.trials)

    def difference(self, a: ReplicatedPoint, b: ReplicatedPoint) -> tuple[float, float]:
        """Return by how much `a` loses more than `b`, and the half-width of its interval."""
        return self.noise.mean(a) - self.noise.mean(b), self._half(a, b, self.rules.alpha)

    def is_clearly_better(self, a: ReplicatedPoint, b: ReplicatedPoint) -> bool:
        """Return whether `a` is better than `b`, with all comparisons taken into account."""
        half = self._half(a, b, self.rules.alpha / self._n_changes)
        return self.difference(a, b)[0] < -self.rules.tolerance - half

    def _half(self, a: ReplicatedPoint, b: ReplicatedPoint, alpha: float) -> float:
        if self.rules.n_blocks == 1:
            return 0.0
        if not self.is_noise_known:
            return math.inf
        from scipy.special import stdtrit

        error = self.noise.sd * math.sqrt(1.0 / len(a.losses) + 1.0 / len(b.losses))
        return float(stdtrit(self.noise.dof, 1.0 - alpha)) * error

    def compare(self, a: ReplicatedPoint, b: ReplicatedPoint | None) -> Verdict:
        """Return how `a`, which has a result, compares with `b`."""
        if a.is_out:
            return "failed"
        if b is None or b.is_out or not b.losses:
            return "in doubt"
        apart, half = self.difference(a, b)
        tolerance = self.rules.tolerance
        if self.is_clearly_better(a, b):
            return "better"
        if apart > tolerance + half:
            return "worse"
        if self.rules.n_blocks > 1 and apart - half < -tolerance:
            full = all(len(c.losses) >= self.rules.n_blocks for c in (a, b))
            return "tie" if full else "in doubt"
        return "tie"

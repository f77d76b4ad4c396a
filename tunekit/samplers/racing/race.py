"""Runs the race: eliminates configurations, and chooses which to measure on which block."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from tunekit.noise.paired_tests import LEAST, Test, holm, p_worse, spent
from tunekit.noise.replicates import Noise, ReplicatedPoint

WARM_DOF = 2
"""Minimum degrees of freedom to rely on the noise estimate."""


@dataclass(frozen=True, slots=True)
class RaceRules:
    """Rules of a race.

    Attributes:
        n_blocks: number of blocks; `None` if unlimited (seeds).
        alpha: probability that a configuration as good as the leader is ever eliminated.
        test: "t" or "wilcoxon".
        min_blocks: minimum number of common blocks to eliminate a configuration.
        width: half-width of an interval, in standard errors.
    """

    n_blocks: int | None = None
    alpha: float = 0.05
    test: Test = "t"
    min_blocks: int = LEAST["t"]
    width: float = 1.0


@dataclass(slots=True)
class Race:
    """The state of a race after all trials, plus the blocks planned in the current call.

    Attributes:
        entrants: configurations with a result that may still win, by mean loss.
        planned: number of a configuration -> blocks planned for it in this call.
    """

    rules: RaceRules
    noise: Noise
    entrants: list[ReplicatedPoint]
    fits: Callable[[ReplicatedPoint], bool]
    planned: dict[int, set[int]] = field(default_factory=dict)
    means: dict[int, float] = field(init=False)

    def __post_init__(self) -> None:
        self.means = {c.number: self.noise.mean(c) for c in self.entrants}
        self.entrants.sort(key=lambda c: (self.means[c.number], c.number))
        out = eliminated(self.entrants, self.means, self.rules)
        self.entrants = [c for c in self.entrants if c.number not in out]

    def next(self, *, is_decided_too: bool = False) -> tuple[ReplicatedPoint, int, str] | None:
        """Return a configuration, the block to measure it on and why; `None` without doubt.

        The leader and its strongest rival are measured until their intervals separate, the one
        with fewer blocks first; then the next rival, and so on. If nothing is in doubt,
        `is_decided_too` picks the entrant with the fewest blocks, unless there is no noise.

        Reference: Kalyanakrishnan et al., 2012, "PAC subset selection in stochastic
        multi-armed bandits" (LUCB).
        """
        asked = self.doubtful()
        if not asked and is_decided_too and not self.is_exact:
            asked = sorted(self.entrants, key=self._n)
        for found in asked:
            block = self.free_block(found)
            if block is not None and self.fits(found):
                return found, block, self._why(found)
        return None

    @property
    def is_exact(self) -> bool:
        """Return whether repeats have shown that the objective has no noise."""
        return self.noise.dof >= WARM_DOF and self.noise.sd == 0.0

    def free_block(self, found: ReplicatedPoint) -> int | None:
        """Return the first unmeasured block of a configuration, `None` if none is left."""
        have = found.blocks | self.planned.get(found.number, set())
        block = next(b for b in range(len(have) + 1) if b not in have)
        return None if block == self.rules.n_blocks else block

    def plan(self, found: ReplicatedPoint, block: int) -> None:
        """Record that a block is planned for a configuration in this call."""
        self.planned.setdefault(found.number, set()).add(block)

    def doubtful(self) -> list[ReplicatedPoint]:
        """Return the configurations whose uncertainty matters, the most urgent first."""
        if len(self.entrants) < 2:
            return []
        lead, *others = self.entrants
        if self.noise.dof < WARM_DOF:
            return sorted(self.entrants[:2], key=self._n)
        others.sort(key=self._optimistic)
        rivals = [c for c in others if self._optimistic(c) < self._pessimistic(lead)]
        if not rivals:
            return []
        return [*sorted((lead, rivals[0]), key=self._n), *rivals[1:]]

    def _n(self, found: ReplicatedPoint) -> int:
        return len(found.blocks | self.planned.get(found.number, set()))

    def _error(self, found: ReplicatedPoint) -> float:
        # Running and planned trials count, so that parallel workers spread over the rivals.
        return self.rules.width * self.noise.sd / math.sqrt(self._n(found))

    def _optimistic(self, found: ReplicatedPoint) -> float:
        return self.means[found.number] - self._error(found)

    def _pessimistic(self, found: ReplicatedPoint) -> float:
        return self.means[found.number] + self._error(found)

    def _why(self, found: ReplicatedPoint) -> str:
        if found is self.entrants[0]:
            return f"it leads, on {len(found.losses)} block(s)"
        return f"it may beat trial {self.entrants[0].number}, on {len(found.losses)} block(s)"


def eliminated(
    entrants: list[ReplicatedPoint], means: dict[int, float], rules: RaceRules
) -> dict[int, float]:
    """Return the significantly worse configurations: number -> corrected p-value.

    The leader is the best configuration with enough blocks. Each other one is tested against it
    on their common blocks. Holm's method corrects the p-values for the number of configurations,
    and alpha is spent over repeated looks at the growing data.
    """
    leader = next((c for c in entrants if len(c.losses) >= rules.min_blocks), None)
    if leader is None:
        return {}
    tested: list[tuple[int, float, int]] = []
    for c in entrants:
        common = sorted(leader.losses.keys() & c.losses.keys())
        if c is leader or len(common) < rules.min_blocks:
            continue
        theirs, ours = [c.losses[b] for b in common], [leader.losses[b] for b in common]
        p = p_worse(theirs, ours, test=rules.test)
        tested.append((c.number, p, len(common) - rules.min_blocks + 1))
    corrected = holm([p for _, p, _ in tested])
    return {
        number: p
        for (number, _, look), p in zip(tested, corrected.tolist(), strict=True)
        if p <= spent(rules.alpha, look)
    }

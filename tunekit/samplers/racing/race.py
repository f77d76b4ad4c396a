"""The race: who is still in it, and which configuration is measured on which block next."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from tunekit.noise.paired_tests import LEAST, Test, holm, p_worse, spent
from tunekit.noise.replicates import Configuration, Noise

WARM_DOF = 2
"""Degrees of freedom from which the estimate of the noise leads the race."""


@dataclass(frozen=True, slots=True)
class RaceRules:
    """How a race is run.

    Attributes:
        n_blocks: how many blocks there are; `None` for as many as one likes (seeds).
        alpha: the probability that a configuration as good as the leader is ever eliminated.
        test: "t" or "wilcoxon".
        min_blocks: common blocks from which the test eliminates.
        width: half the width of an interval in standard errors.
    """

    n_blocks: int | None = None
    alpha: float = 0.05
    test: Test = "t"
    min_blocks: int = LEAST["t"]
    width: float = 1.0


@dataclass(slots=True)
class Race:
    """What the trials so far say, and what is planned on top of them in the same call.

    Attributes:
        entrants: configurations with a result that may win, by mean loss.
        planned: number of a configuration -> blocks that were given to it in this call.
    """

    rules: RaceRules
    noise: Noise
    entrants: list[Configuration]
    fits: Callable[[Configuration], bool]
    planned: dict[int, set[int]] = field(default_factory=dict)
    means: dict[int, float] = field(init=False)

    def __post_init__(self) -> None:
        self.means = {c.number: self.noise.mean(c) for c in self.entrants}
        self.entrants.sort(key=lambda c: (self.means[c.number], c.number))
        out = eliminated(self.entrants, self.means, self.rules)
        self.entrants = [c for c in self.entrants if c.number not in out]

    def next(self, *, is_decided_too: bool = False) -> tuple[Configuration, int, str] | None:
        """Return whom to measure on which block and why, or `None` if nothing is in doubt.

        The leader and the one that may most probably beat it are measured until their
        intervals part (the next block goes to the one with fewer), then the second most
        promising one, and so on. `is_decided_too`: if nothing is in doubt, whoever has a block
        left.

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
        """Return whether repeats have shown that there is no noise at all."""
        return self.noise.dof >= WARM_DOF and self.noise.sd == 0.0

    def free_block(self, found: Configuration) -> int | None:
        """Return the first block that a configuration is not measured on, if there is one."""
        have = found.blocks | self.planned.get(found.number, set())
        block = next(b for b in range(len(have) + 1) if b not in have)
        return None if block == self.rules.n_blocks else block

    def plan(self, found: Configuration, block: int) -> None:
        """Note that a block is given to a configuration in this call."""
        self.planned.setdefault(found.number, set()).add(block)

    def doubtful(self) -> list[Configuration]:
        """Return those whose value matters and is not sure, the most urgent first."""
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

    def _n(self, found: Configuration) -> int:
        return len(found.blocks | self.planned.get(found.number, set()))

    def _error(self, found: Configuration) -> float:
        # Running and planned trials count: parallel workers spread over the rivals.
        return self.rules.width * self.noise.sd / math.sqrt(self._n(found))

    def _optimistic(self, found: Configuration) -> float:
        return self.means[found.number] - self._error(found)

    def _pessimistic(self, found: Configuration) -> float:
        return self.means[found.number] + self._error(found)

    def _why(self, found: Configuration) -> str:
        if found is self.entrants[0]:
            return f"it leads, on {len(found.losses)} block(s)"
        return f"it may beat trial {self.entrants[0].number}, on {len(found.losses)} block(s)"


def eliminated(
    entrants: list[Configuration], means: dict[int, float], rules: RaceRules
) -> dict[int, float]:
    """Return those that are worse than the leader beyond doubt: number -> corrected p-value.

    The leader is the best of those that were measured on enough blocks. Each configuration is
    tested on the blocks that both have; p-values are corrected by Holm's method for the number
    of configurations, and alpha is spent over the looks at growing data.
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

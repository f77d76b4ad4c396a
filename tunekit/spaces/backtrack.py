"""Decides parameters one by one and backtracks at dead ends.

Each decision narrows the following parameters to the values that the constraints leave. The
effort is bounded: after too much backtracking, a restart in another order is better.

Reference: Sabin and Freuder, 1994, "Contradicting conventional wisdom in constraint satisfaction"
(maintaining consistency during the search).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tunekit.spaces.domains import Scalar
from tunekit.spaces.narrow import NONE, allowed_value
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.possible import Decisions
from tunekit.spaces.tree import Space

MAX_RETURNS = 40
"""Maximum number of values that one search may take back."""

COST_OF_NONE = 10
"""Cost of a search for a value that fails, counted in values taken back, because it is long."""


class Search:
    """One search for the values of all parameters.

    Args:
        made: the decisions to start from, settled.
        order: the parameters to decide, each after its parents.
        rng: for the values.
        wanted: values to take or approximate.
        blame: counts how often each constraint left no value.

    Attributes:
        n_steps: number of decisions made, including those taken back.
    """

    def __init__(
        self,
        made: Decisions,
        order: Sequence[Parameter],
        rng: np.random.Generator,
        *,
        wanted: Mapping[str, Scalar],
        blame: Counter[str],
    ) -> None:
        self._made, self._order, self._rng = made, order, rng
        self._wanted, self._blame = wanted, blame
        self._levels: list[tuple[int, Decisions, Scalar]] = []
        self._n_left = MAX_RETURNS
        self.n_steps = 0

    def run(self) -> dict[str, Scalar] | None:
        """Return the chosen values, `None` if the bounded search finds none."""
        i = 0
        while i < len(self._order):
            p = self._order[i]
            if not self._made.is_active(p.path):
                i += 1
                continue
            value = allowed_value(self._made, p, self._rng, self._wanted.get(p.path, NONE))
            if value is NONE:
                self._blame.update(c.text for c in self._made.outline.touching[p.path])
                self._n_left -= COST_OF_NONE
                found = self._returned()
            else:
                found = self._decided(i, value)
            if found is None:
                return None
            i = found
        return self._made.chosen

    def _decided(self, i: int, value: Scalar) -> int | None:
        """Decide a parameter and return the position to continue at."""
        self.n_steps += 1
        before, path = self._made, self._order[i].path
        if not before.outline.touching[path]:
            before.decide(path, value)
            return i + 1
        self._made = before.copy()
        self._made.decide(path, value)
        self._levels.append((i, before, value))
        broken = self._made.settle([path])
        if broken is None:
            return i + 1
        self._blame.update(c.text for c in before.outline.touching[path])
        return self._returned()

    def _returned(self) -> int | None:
        """Take back the last decision, and all before it that leave no other value."""
        while self._levels and self._n_left > 0:
            self._n_left -= 1
            i, self._made, value = self._levels.pop()
            broken = self._made.exclude(self._order[i].path, value)
            if broken is None:
                return i
            self._blame[broken.text] += 1
        return None


def conflict(space: Space, fixed: Mapping[str, Scalar]) -> list[str]:
    """Return a minimal set of constraints whose bounds exclude each other.

    Empty if the bounds do not prove that no point exists.
    """
    if Decisions(space, fixed).settle() is None:
        return []
    n = len(space.compiled_constraints)
    needed = list(range(n))
    size = max(1, n // 2)
    while True:  # leave out halves, quarters, ..., finally single ones
        at = 0
        while at < len(needed):
            fewer = needed[:at] + needed[at + size :]
            if Decisions(space, fixed).settle(among=fewer) is not None:
                needed = fewer
            else:
                at += size
        if size == 1:
            return [space.compiled_constraints[i].text for i in needed]
        size //= 2

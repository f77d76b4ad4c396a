"""Mutation and crossover along the tree; every child is a walk and therefore valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from tunekit.samplers.base import keeping
from tunekit.samplers.evolutionary.axes import NumberAxis, Structure, is_special
from tunekit.spaces import Categorical, Float, Int, Parameter, Params, Scalar, walk
from tunekit.spaces.constant import Constant

P_BEST_BRANCH = 0.6
"""Probability that a newly opened branch copies its best trial instead of random values."""

P_BLOCK = 0.5
"""Probability that crossover passes on whole blocks of siblings instead of single values."""

P_BLEND = 0.3  # probability that common numbers are placed on the line through both parents
P_SPECIAL = 0.2  # probability that a mutated number jumps to a special value


@dataclass(frozen=True, slots=True)
class Breeding:
    """Makes the child of one trial.

    Attributes:
        best_in: returns the best point in the branch that a (switch, value) opens.
        fixed: values that the child must keep.
    """

    structure: Structure
    best_in: Callable[[tuple[str, Scalar]], Params | None]
    rng: np.random.Generator
    fixed: Params | None = None

    def cross(self, mother: Params, father: Params) -> Params:
        """Return a child that takes every subtree from one of two parents.

        Below a switch on which the parents agree (and below the root), each subtree comes from
        either parent. Otherwise everything below comes from the parent of the switch's value.
        """
        crossing = _Crossing(self, mother, father)
        return walk(self.structure.space, keeping(self.fixed, crossing.pick))

    def mutate(self, parent: Params, scale: float) -> Params:
        """Return the point with one decision changed, sometimes more.

        A number moves by a normal step with standard deviation `scale` (as a share of its
        range), a choice takes another value, and newly opened branches are filled.
        """
        active = [p for p in self.structure.space if p.path in parent and has_choice(p)]
        if not active:
            return self.repair(parent, {})
        n = 1 if self.rng.random() < 0.5 else 1 + int(self.rng.geometric(0.5))
        chosen = self.rng.choice(len(active), size=min(n, len(active)), replace=False)
        changed = {active[i].path: self._other(active[i], parent, scale) for i in chosen}
        return self.repair(parent, changed)

    def step(
        self,
        parent: Params,
        best: Params,
        *,
        pair: tuple[Params, Params],
        weight: float,
        rate: float,
    ) -> Params:
        """Return the point moved by differential evolution within its structure.

        Args:
            parent: the point that moves.
            best: one of the best points, to move towards.
            pair: two points whose difference is added.
            weight: factor of the differences.
            rate: share of the numbers that move.

        Reference:
            J. Zhang, A. Sanderson, JADE: Adaptive Differential Evolution with Optional
            External Archive, 2009: current-to-pbest/1 (eq. 6), binomial crossover (eq. 4).
        """
        axes = self.structure.numbers(parent)
        moves = self.rng.random(len(axes)) < rate
        if axes:
            moves[self.rng.integers(len(axes))] = True
        jitter = self.rng.uniform(-0.5, 0.5, len(axes))
        changed: dict[str, Scalar] = {}
        for i, axis in enumerate(axes):
            if moves[i]:
                x = axis.coordinate(parent[axis.path])
                pull = _difference(axis, best, parent) + _difference(axis, *pair)
                # Random rounding lets steps below the width of a cell take effect.
                changed[axis.path] = axis.value(reflect(x + weight * pull + jitter[i] * axis.step))
        return self.repair(parent, changed)

    def repair(self, parent: Params, changed: Mapping[str, Scalar]) -> Params:
        """Return the point with the changed values, and the parent's values otherwise."""
        filling = _Filling(self)

        def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
            if p.path in changed:
                return changed[p.path]
            return parent[p.path] if p.path in parent else filling.pick(p, chosen)

        return walk(self.structure.space, keeping(self.fixed, pick))

    def _other(self, p: Parameter, parent: Params, scale: float) -> Scalar:
        """Return another value of a parameter, near the old one if it is a number."""
        domain, old, rng = p.domain, parent[p.path], self.rng
        axis = self.structure.axes.get(p.path)
        if isinstance(domain, Float | Int) and domain.special:
            if is_special(domain, old) or axis is None or rng.random() < P_SPECIAL:
                return domain.from_unit(rng.random())
        if axis is not None:
            return nudged(axis, old, scale * rng.standard_normal())
        if isinstance(domain, Int):  # a count that opens blocks: mostly one more or less
            near = int(old) + int(rng.choice([-1, 1]))  # type: ignore[arg-type]
            lo, step, n = domain.grid()
            if rng.random() < 0.7 and near in range(lo, lo + n * step, step):
                return near
        if isinstance(domain, Categorical):
            i = int(rng.integers(len(domain.choices) - 1))
            return domain.choices[i + (i >= domain.index(old))]
        return domain.from_unit(rng.random())


@dataclass(slots=True)
class _Filling:
    """Fills branches that no parent has with the values of the best trial there, or at random."""

    of: Breeding
    _copies: dict[str, bool] = field(default_factory=dict)

    def pick(self, p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        rng = self.of.rng
        if p.parent is not None:
            if p.parent not in self._copies:
                self._copies[p.parent] = bool(rng.random() < P_BEST_BRANCH)
            best = self.of.best_in((p.parent, chosen[p.parent]))
            if best is not None and self._copies[p.parent] and p.path in best:
                return best[p.path]
        return p.domain.from_unit(rng.random())


class _Crossing:
    """Picks the values of one child, and tracks which parent each subtree comes from."""

    def __init__(self, of: Breeding, mother: Params, father: Params) -> None:
        self._of, self._rng = of, of.rng
        self._parents = (mother, father)
        self._donor: dict[str, int] = {}
        self._block_donor: dict[object, int] = {}
        self._by_block = bool(of.rng.random() < P_BLOCK)
        # Reaches beyond the parents, so that the spread of the population does not only shrink.
        self._blend = of.rng.uniform(-0.25, 1.25) if of.rng.random() < P_BLEND else None
        self._filling = _Filling(of)

    def pick(self, p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
        mother, father = self._parents
        in_both = p.path in mother and p.path in father
        if in_both and self._blend is not None:
            value = self._blended(p)
            if value is not None:
                return value
        donor = self._donor_of(p, chosen)
        self._donor[p.path] = donor
        for parent in (self._parents[donor], self._parents[1 - donor]):
            if p.path in parent:
                return parent[p.path]
        return self._filling.pick(p, chosen)

    def _donor_of(self, p: Parameter, chosen: Mapping[str, Scalar]) -> int:
        above = p.parent
        if above is not None:
            is_agreed = all(above in q and q[above] == chosen[above] for q in self._parents)
            if not is_agreed and above in self._donor:
                return self._donor[above]
        if not self._by_block:
            return int(self._rng.integers(2))
        key = p.conditions if not self._of.structure.is_switch(p.path) else p.path
        if key not in self._block_donor:
            self._block_donor[key] = int(self._rng.integers(2))
        return self._block_donor[key]

    def _blended(self, p: Parameter) -> Scalar | None:
        axis = self._of.structure.axes.get(p.path)
        mother, father = (q[p.path] for q in self._parents)
        if axis is None or is_special(axis.domain, mother) or is_special(axis.domain, father):
            return None
        assert self._blend is not None
        a, b = axis.coordinate(mother), axis.coordinate(father)
        return axis.value(reflect(a + self._blend * (b - a)))


def has_choice(p: Parameter) -> bool:
    """Return whether a parameter has more than one value."""
    return not isinstance(p.domain, Constant) and p.domain.size > 1


def nudged(axis: NumberAxis, value: Scalar, step: float) -> Scalar:
    """Return the value a step away, on a discrete range at least the next one."""
    x = axis.coordinate(value)
    if axis.step and abs(step) < axis.step:
        step = axis.step if step >= 0 else -axis.step
        if not 0.0 <= x + step <= 1.0:
            step = -step
    return axis.value(reflect(x + step))


def reflect(x: float) -> float:
    """Return the coordinate reflected at the bounds of `[0, 1]`."""
    x = abs(x) % 2.0
    return 2.0 - x if x > 1.0 else x


def _difference(axis: NumberAxis, there: Params, here: Params) -> float:
    """Return the difference of two points along an axis, 0 if one of them lacks it."""
    if axis.path not in there or axis.path not in here:
        return 0.0
    a, b = there[axis.path], here[axis.path]
    if is_special(axis.domain, a) or is_special(axis.domain, b):
        return 0.0
    return axis.coordinate(a) - axis.coordinate(b)

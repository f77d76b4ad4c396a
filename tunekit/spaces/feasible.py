"""Finds points that satisfy the constraints of a space, even if hardly any random point does.

A walk makes the decisions one after the other, in a random order below the switches, and takes
only values with which every constraint may still hold (bounds propagation). A chain of redrawn
decisions then forgets the order: its points are distributed as those of a rejection sampler.

Reference: Dechter, 2003, "Constraint Processing", section 5.2 (look-ahead); Geman and Geman,
1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from tunekit.errors import InvalidSpace
from tunekit.spaces.backtrack import Search, conflict
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Scalar
from tunekit.spaces.outline import outline
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.possible import Decisions
from tunekit.spaces.tree import Space
from tunekit.spaces.walk import walk

WALKS = 12
"""Number of walks that may fail before a known point is used."""

SWEEPS = 8
"""Number of times a chain redraws each decision before its point counts as drawn."""

N_DECISIONS = 400
"""Number of redrawn decisions that suffices for a large space, even with fewer sweeps."""

MAX_NAMED = 4
"""Maximum number of constraints that an error quotes."""

REDRAWS = 4
"""Number of draws per decision, of which the first allowed one counts."""


class Feasible:
    """Finds points of a space that keep fixed values and satisfy its constraints.

    Args:
        space: space with constraints that are hard to satisfy.
        rng: for all draws.
        fixed: values to keep.
    """

    def __init__(
        self, space: Space, rng: np.random.Generator, fixed: Mapping[str, Scalar] | None = None
    ) -> None:
        self.space = space
        self.fixed = {k: v for k, v in (fixed or {}).items() if k in space.by_path}
        self._rng = rng
        self._outline = outline(space)
        self._blame: Counter[str] = Counter()
        free = (p for p in space if not isinstance(p.domain, Constant) and p.domain.size > 1)
        self._free = [p for p in free if p.path not in self.fixed]

    def draw(self, known: Iterable[Mapping[str, Scalar]] = ()) -> Params:
        """Return a random feasible point, with about equal probability for each.

        Args:
            known: points that satisfy them, if any is known; looked at where no walk leads to
                the end, after the default.

        Raises:
            InvalidSpace: neither a walk nor a known point satisfies them; it names the
                constraint that is in the way.
        """
        return next(self.draws(known))

    def draws(self, known: Iterable[Mapping[str, Scalar]] = ()) -> Iterator[Params]:
        """Yield endless random points, each one sweep of the chain after the last.

        Raises:
            InvalidSpace: as `draw`.
        """
        point = dict(self._start(known))  # by path alone, and quicker
        n_sweeps = max(1, min(SWEEPS, N_DECISIONS // max(1, len(self._free))))
        for _ in range(n_sweeps):
            point = self._swept(point)
        while True:
            yield self._ordered(point)
            point = self._swept(point)

    def near(self, wanted: Mapping[str, Scalar]) -> Params | None:
        """Return a point that keeps as many of the wanted values as the constraints allow.

        Every other value is the nearest allowed one. `None` if a few walks find no point.
        """
        for _ in range(WALKS // 4):
            point = self._walked(wanted)
            if point is not None:
                return point
        return None

    def _start(self, known: Iterable[Mapping[str, Scalar]]) -> Params:
        for _ in range(WALKS):
            point = self._walked()
            if point is not None:
                return point
        for near in (self.space.default(), *known):
            if all(near.get(k) == v for k, v in self.fixed.items()):
                if near.keys() <= self.space.by_path.keys() and not self.space.violated(near):
                    return Params(near)
            point = self._walked(near)
            if point is not None:
                return point
        raise none_found(self.space, self.fixed, self._blame)

    def _walked(self, wanted: Mapping[str, Scalar] | None = None) -> Params | None:
        """Return the point at the end of a walk, `None` if it gets stuck."""
        made = self._settled
        if made is None:
            return None
        keys = self._rng.random(len(self._free))
        order = [p for p, _ in sorted(zip(self._free, keys, strict=True), key=self._rank)]
        found = Search(made.copy(), order, self._rng, wanted=wanted or {}, blame=self._blame).run()
        if found is None:
            return None
        point = self._ordered(found)
        broken = self.space.violated(point)
        self._note(broken)
        return None if broken else point

    @cached_property
    def _settled(self) -> Decisions | None:
        """What the constraints leave of all parameters, `None` if they exclude each other."""
        made = Decisions(self.space, self.fixed)
        return made if made.settle() is None else None

    def _rank(self, entry: tuple[Parameter, float]) -> tuple[int, float]:
        return self._outline.ranks[entry[0].path], entry[1]

    def _ordered(self, values: Mapping[str, Scalar]) -> Params:
        def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
            return values[p.path] if p.path in values else p.domain.default_value()

        return walk(self.space, pick)

    def _swept(self, point: dict[str, Scalar]) -> dict[str, Scalar]:
        """Change the point in place by redrawing each decision, given all others; return it."""
        has_moved = False
        order = self._rng.permutation(len(self._free)).tolist()
        places = self._rng.random((len(order), REDRAWS)).tolist()
        for i, units in zip(order, places, strict=True):
            p = self._free[i]
            if p.path not in point:
                continue
            if self._outline.opened_by[p.path]:
                point, is_new = self._reopened(point, p)
                has_moved |= is_new
            else:
                has_moved |= self._redraw(point, p, units)
        return point if has_moved or not self._free else self._pair_redrawn(point)

    def _redraw(self, point: dict[str, Scalar], p: Parameter, units: Sequence[float]) -> bool:
        """Move a decision that opens nothing to the first allowed value, in place.

        Returns whether it changed.
        """
        old, constraints = point[p.path], self._outline.touching[p.path]
        for u in units:
            value = point[p.path] = p.domain.from_unit(u)
            if all(c.holds(point) for c in constraints):
                return value != old
        point[p.path] = old
        return False

    def _reopened(self, point: dict[str, Scalar], p: Parameter) -> tuple[dict[str, Scalar], bool]:
        """Return the point with a switch redrawn, and whether that was possible.

        Newly opened parameters are drawn, parameters that stay open are kept. A single draw keeps
        the chain reversible, because the previous state affects the success of a second one.
        """
        new = dict(point)
        new[p.path] = p.domain.from_unit(self._rng.random())
        for child in self._outline.opened_by[p.path]:
            if not child.is_active(new):
                if child.path in self.fixed and child.path in point:
                    return point, False
                new.pop(child.path, None)
            elif child.path not in new:
                domain = child.domain
                is_free = child.path not in self.fixed
                drawn = domain.from_unit(self._rng.random())
                new[child.path] = drawn if is_free else self.fixed[child.path]
        if all(c.holds(new) for c in self._outline.touching[p.path]):
            return new, new[p.path] != point[p.path]
        return point, False

    def _pair_redrawn(self, point: dict[str, Scalar]) -> dict[str, Scalar]:
        """Return the point with two decisions redrawn together, as equations require."""
        active = [p for p in self._free if p.path in point and self._outline.touching[p.path]]
        if len(active) < 2:
            return point
        chosen = self._rng.choice(len(active), size=min(3, len(active)), replace=False)
        redrawn = {active[i].path for i in chosen.tolist()}
        for path in list(redrawn):
            redrawn |= {p.path for p in self._outline.opened_by[path]}
        kept = {k: v for k, v in point.items() if k not in redrawn or k in self.fixed}
        return Feasible(self.space, self._rng, kept)._walked() or point

    def _note(self, texts: Iterable[str]) -> None:
        self._blame.update(texts)


def none_found(space: Space, fixed: Mapping[str, Scalar], blame: Counter[str]) -> InvalidSpace:
    """Return the error that names the obstructing constraint.

    Args:
        space: space without a known feasible point.
        fixed: values that every point had to keep.
        blame: number of times each constraint ended the search.
    """
    given = f" with {dict(fixed)}" if fixed else ""
    if texts := conflict(space, fixed):
        what = f'the constraint "{texts[0][:200]}"'
        if len(texts) > 1:
            shown = [f'"{text[:200]}"' for text in texts[:MAX_NAMED]]
            what = f"the constraints {_listed(shown, len(texts))} together"
        return InvalidSpace(
            f"no point{given} can satisfy {what}; relax {'it' if len(texts) == 1 else 'one'} or "
            "widen the parameters."
        )
    worst = [f'"{text[:200]}"' for text, _ in blame.most_common(2)]
    return InvalidSpace(
        f"no point{given} was found that satisfies all constraints; {' and '.join(worst)} "
        f"{'is' if len(worst) == 1 else 'are'} in the way. Relax one, or provide a feasible "
        "point by the defaults or an enqueued trial, to start the search from."
    )


def _listed(shown: list[str], n: int) -> str:
    more = [f"{n - len(shown)} more"] if n > len(shown) else []
    *first, last = shown + more
    return f"{', '.join(first)} and {last}"

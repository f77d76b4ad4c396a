"""Finds points that satisfy the constraints of a space, even if hardly any random point does.

A walk makes the decisions one after the other, in a random order below the switches, and takes
only values with which all constraints together may still hold (bounds propagation). A chain of
redrawn decisions then forgets the order.

Reference: Dechter, 2003, "Constraint Processing", section 5.2 (look-ahead).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from tunekit.errors import InvalidSpace
from tunekit.spaces.backtrack import Search, conflict
from tunekit.spaces.chain import Chain
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import Scalar
from tunekit.spaces.outline import outline
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.possible import Decisions
from tunekit.spaces.tree import Space
from tunekit.spaces.walk import walk

QUICK_WALKS = 4
"""Number of walks that may fail before a known point is used."""

WALKS = 12
"""Number of walks that may fail without a known point."""

SWEEPS = 4
"""Number of times a chain redraws each decision before its point counts as drawn."""

N_DECISIONS = 400
"""Number of redrawn decisions that suffices for a large space, even with fewer sweeps."""

MAX_NAMED = 4
"""Maximum number of constraints that an error quotes."""

MAX_CHAINS = 512
"""Maximum number of points drawn in parallel."""

N_STARTS = 24
"""Number of walks to start from if the points of a chain hardly move."""

MAX_STEPS = 400
"""Number of decisions after which no further walk starts."""

PART = 4
"""Number of decisions to remake together."""

N_REWALKED = 6
"""Number of times to move a point of such a chain by remaking some of its decisions."""


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
        self._n_steps = 0
        free = (p for p in space if not isinstance(p.domain, Constant) and p.domain.size > 1)
        self._free = [p for p in free if p.path not in self.fixed]
        self._bound = [p for p in self._free if self._outline.touching[p.path]]

    def draw(self, known: Iterable[Mapping[str, Scalar]] = ()) -> Params:
        """Return a random feasible point, with about equal probability for each.

        Args:
            known: feasible points, if any; tried together with the default if a few walks fail.

        Raises:
            InvalidSpace: neither a walk nor a known point satisfies the constraints; the error
                names the obstructing constraint.
        """
        return next(self.draws(known))

    def draws(self, known: Iterable[Mapping[str, Scalar]] = (), *, n: int = 1) -> Iterator[Params]:
        """Yield random points endlessly, `n` at a time from parallel chains.

        Raises:
            InvalidSpace: as `draw`.
        """
        start = self._start(known)
        n_sweeps = max(1, min(SWEEPS, N_DECISIONS // max(1, len(self._free))))
        n = min(n, MAX_CHAINS)
        chain = self._chain([start], n)
        chain.sweep(n_sweeps)
        if self._stays(chain, n):
            chain = self._chain(self._several(start, min(n, N_STARTS)), n)
            chain.sweep(n_sweeps)
        while True:
            yield from chain.points()
            chain.sweep()

    def _stays(self, chain: Chain, n: int) -> bool:
        """Return whether chains stay near their start, so that whole points must be drawn."""
        stuck, made = chain.stuck(), self._settled
        if n == 1:
            return len(stuck) == len(self._bound)
        return any(made is None or not made.range(path).is_point for path in stuck)

    def _several(self, start: Params, n: int) -> list[Params]:
        """Return `n` points (fewer if walks are long) for chains that stay near their start."""
        starts = [self._rewalked(start)]
        self._n_steps = 0
        while len(starts) < n and self._n_steps < MAX_STEPS:
            point = self._walked()
            if point is not None:
                starts.append(self._rewalked(point))
        return starts

    def _rewalked(self, point: Params) -> Params:
        """Return a point after remaking a few decisions at a time."""
        for _ in range(min(N_REWALKED, len(self._free) // 2)):
            chosen = self._rng.permutation(len(self._free))[:PART].tolist()
            free = {self._free[i].path for i in chosen}
            free |= {p.path for path in free for p in self._outline.opened_by[path]}
            kept = {k: v for k, v in point.items() if k not in free or k in self.fixed}
            part = Feasible(self.space, self._rng, kept)
            point = part._walked() or point
            self._n_steps += part._n_steps
        return point

    def _chain(self, starts: Sequence[Params], n: int) -> Chain:
        return Chain(self.space, starts, n, fixed=self.fixed, rng=self._rng)

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
        """Return a feasible point, found by a walk or taken from the known ones."""
        if (point := self._first_walked(QUICK_WALKS)) is not None:
            return point
        near = [self.space.default(), *known]
        inside = [p for p in near if self._is_inside(p)]
        if inside:  # a random one, so that points do not all come from the same start
            return Params(inside[int(self._rng.integers(len(inside)))])
        if (point := self._first_walked(WALKS - QUICK_WALKS)) is not None:
            return point
        for wanted in near[:WALKS]:
            if (point := self._walked(wanted)) is not None:
                return point
        raise none_found(self.space, self.fixed, self._blame)

    def _first_walked(self, n: int) -> Params | None:
        walked = (self._walked() for _ in range(n))
        return next((point for point in walked if point is not None), None)

    def _is_inside(self, point: Mapping[str, Scalar]) -> bool:
        is_kept = all(point.get(path) == v for path, v in self.fixed.items())
        is_point = is_kept and point.keys() <= self.space.by_path.keys()
        return is_point and not self.space.violated(point)

    def _walked(self, wanted: Mapping[str, Scalar] | None = None) -> Params | None:
        """Return the point at the end of a walk, `None` if it gets stuck."""
        made = self._settled
        if made is None:
            return None
        keys = self._rng.random(len(self._free))
        order = [p for p, _ in sorted(zip(self._free, keys, strict=True), key=self._rank)]
        search = Search(made.copy(), order, self._rng, wanted=wanted or {}, blame=self._blame)
        found = search.run()
        self._n_steps += search.n_steps
        if found is None:
            return None
        point = self._ordered(found)
        broken = self.space.violated(point)
        self._note(broken)
        return None if broken else point

    @cached_property
    def _settled(self) -> Decisions | None:
        """The values that the constraints leave, `None` if they exclude each other."""
        made = Decisions(self.space, self.fixed)
        return made if made.settle() is None else None

    def _rank(self, entry: tuple[Parameter, float]) -> tuple[int, float]:
        return self._outline.ranks[entry[0].path], entry[1]

    def _ordered(self, values: Mapping[str, Scalar]) -> Params:
        def pick(p: Parameter, chosen: Mapping[str, Scalar]) -> Scalar:
            return values[p.path] if p.path in values else p.domain.default_value()

        return walk(self.space, pick)

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

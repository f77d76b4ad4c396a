"""`grid`: every active combination of a tree once, computed from its rank without a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tunekit.checks import is_whole
from tunekit.errors import InvalidArgument, SpaceExhausted
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, filled
from tunekit.spaces import (
    Categorical,
    Float,
    Int,
    Parameter,
    Params,
    Scalar,
    Space,
    walk,
)
from tunekit.spaces.domains import SPECIAL_SHARE

ROUNDS = 6

MAX_MISSES = 500
"""Consecutive invalid combinations after which a look-ahead walk takes over."""


class GridSampler:
    """Proposes every combination of values once.

    Only active combinations count: a parameter on a branch multiplies the points of that branch
    alone. Combinations that violate a constraint are skipped. Enqueued trials of the user do not
    use up combinations.

    Args:
        n_points: values per continuous parameter, evenly spaced on its (log) scale, both
            bounds included; integers, steps and choices take all their values.
        shuffle: visit the points in a random order keyed by the study's seed, so that an
            interrupted grid still covers the whole space.

    Raises:
        InvalidArgument: `n_points` is not a whole number of 1 or more.
    """

    name = "grid"
    may_end = True

    def __init__(self, *, n_points: int = 5, shuffle: bool = True) -> None:
        if not is_whole(n_points) or n_points < 1:
            raise InvalidArgument(
                f"grid: n_points={n_points!r}, expected a whole number of 1 or more."
            )
        self.n_points = n_points
        self.shuffle = shuffle
        self._valid = _Valid()

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number: the next combination of the grid.

        Raises:
            SpaceExhausted: one of the numbers lies beyond the last combination.
            InvalidSpace: no combination satisfies the constraints of the space.
        """
        grid = Grid(view.space, self.n_points)
        return [self._propose(view, grid, k, place_without_users(view, k)) for k in numbers]

    def _propose(self, view: StudyView, grid: Grid, number: int, index: int) -> Proposal:
        if view.fixed.get(number):
            return Proposal(filled(view, number), self.name, "the user's values, with defaults")
        rank = self._rank(view, grid, index)
        point = grid.point(rank)
        return Proposal(point, self.name, f"grid point {rank + 1} of {grid.size}", {"rank": rank})

    def _rank(self, view: StudyView, grid: Grid, index: int) -> int:
        """Return the rank of the `index`-th combination that satisfies the constraints."""

        def place(i: int) -> int:
            return shuffled(i, grid.size, view.seed) if self.shuffle else i

        if not view.space.compiled_constraints:
            if index >= grid.size:
                raise _exhausted(grid.size, grid.size)
            return place(index)
        key = (view.space, view.seed)
        if self._valid.key != key:
            self._valid = _Valid(key)
        return self._valid.find(index, grid, place, shuffle=self.shuffle)


def place_without_users(view: StudyView, number: int) -> int:
    """Return a trial's place among those without values of the user."""
    known = (view.history.get(j) for j in view.fixed if j < number)
    n_new = sum(t is None or t.sampler != "user" for t in known)  # not yet told of as the user's
    return number - view.history.n_of_user(before=number) - n_new


class _Valid:
    """The valid combinations of one grid, in order, as far as scanned."""

    def __init__(self, key: tuple[Space, int] | None = None) -> None:
        self.key = key
        self.ranks: list[int] = []
        self.scanned = self.misses = 0
        self._walked: Iterator[int] | None = None

    def find(self, index: int, grid: Grid, place: Callable[[int], int], *, shuffle: bool) -> int:
        while len(self.ranks) <= index and self.misses <= MAX_MISSES:
            if self.scanned >= grid.size:
                raise _exhausted(len(self.ranks), grid.size)
            rank = place(self.scanned)
            self.scanned += 1
            if grid.space.violated(grid.point(rank)):
                self.misses += 1
            else:
                self.ranks.append(rank)
                self.misses = 0
        while len(self.ranks) <= index:
            if self._walked is None:
                from tunekit.samplers.grid_walk import feasible_ranks  # loads NumPy

                assert self.key is not None
                seed = self.key[1] if shuffle else None
                self._walked = feasible_ranks(grid, seed=seed, known=self.ranks)
            rank = next(self._walked, -1)
            if rank < 0:
                raise _exhausted(len(self.ranks), grid.size)
            self.ranks.append(rank)
        return self.ranks[index]


@dataclass(frozen=True, slots=True)
class _Axis:
    """The values of one parameter, with the number of combinations below each.

    Attributes:
        runs: (first place, number of places, combinations per place); neighbours that open the
            same children form one run, so that a range of 1e9 integers is a single run.
    """

    value: Callable[[int], Scalar]
    runs: tuple[tuple[int, int, int], ...]
    children: tuple[Parameter, ...]
    total: int

    @property
    def n(self) -> int:
        """Return the number of places."""
        start, count, _ = self.runs[-1]
        return start + count

    def before(self, place: int) -> int:
        """Return the number of combinations before those of a place."""
        return sum(each * min(count, max(0, place - start)) for start, count, each in self.runs)

    def find(self, rank: int) -> tuple[int, int]:
        """Return the place that a rank falls in, and its rank among that place's combinations."""
        runs = iter(self.runs)
        start, count, each = next(runs)
        while rank >= count * each:
            rank -= count * each
            start, count, each = next(runs)
        step, below = divmod(rank, each)
        return start + step, below


class Grid:
    """All active combinations of a space, numbered from 0.

    Activity depends only on a parameter's nearest switch, which itself is active only if all
    switches above it hold. So the combinations of a subtree are a sum over the switch's values of
    products over the children each value opens, and mixed-radix digits convert a rank to a point.
    """

    def __init__(self, space: Space, n_points: int) -> None:
        self.space = space
        self._children: dict[str | None, list[Parameter]] = {}
        for p in space.parameters:
            self._children.setdefault(p.parent, []).append(p)
        self._axes: dict[str, _Axis] = {}
        for p in reversed(space.parameters):  # children before their parents
            self._axes[p.path] = self._axis(p, n_points)
        self.size = self._product(self._children.get(None, []))

    def point(self, rank: int) -> Params:
        """Return the combination of a rank from 0 to `size` - 1."""
        values: dict[str, Scalar] = {}
        self._read(rank, self._children.get(None, []), values)
        return walk(self.space, lambda p, _: values[p.path])

    def axis(self, path: str) -> _Axis:
        """Return the values of a parameter."""
        return self._axes[path]

    def rank(self, places: Mapping[str, int]) -> int:
        """Return the rank of the combination given by places (path -> place)."""
        return self._rank(self._children.get(None, []), places)

    def _rank(self, parameters: Sequence[Parameter], places: Mapping[str, int]) -> int:
        rank, radix = 0, 1
        for p in parameters:
            axis = self._axes[p.path]
            place = places[p.path]
            below = self._rank(_opened(axis.children, axis.value(place)), places)
            rank += radix * (axis.before(place) + below)
            radix *= axis.total
        return rank

    def _product(self, parameters: Sequence[Parameter]) -> int:
        total = 1
        for p in parameters:
            total *= self._axes[p.path].total
        return total

    def _axis(self, p: Parameter, n_points: int) -> _Axis:
        n, value = _values(p, n_points)
        children = tuple(self._children.get(p.path, ()))
        runs = []
        start = 0
        for i in [*_switching(p, n, value, children), n]:
            if i > start:
                runs.append((start, i - start, 1))
            if i < n:
                runs.append((i, 1, self._product(_opened(children, value(i)))))
            start = i + 1
        return _Axis(value, tuple(runs), children, sum(count * each for _, count, each in runs))

    def _read(self, rank: int, parameters: Sequence[Parameter], values: dict[str, Scalar]) -> None:
        for p in parameters:
            axis = self._axes[p.path]
            rank, rest = divmod(rank, axis.total)
            place, rest = axis.find(rest)
            values[p.path] = axis.value(place)
            self._read(rest, _opened(axis.children, values[p.path]), values)


def _switching(
    p: Parameter, n: int, value: Callable[[int], Scalar], children: Sequence[Parameter]
) -> list[int]:
    """Return the places of the values that open a child, in order."""
    wanted = {v for c in children for v in c.conditions[-1].values}
    if not isinstance(p.domain, Int):
        return [i for i in range(n) if value(i) in wanted] if wanted else []
    # Special values outside the range come first, then the range in steps; it may be huge.
    lo, step = int(p.domain.lo), int(p.domain.step or 1)
    n_extra = n - ((int(p.domain.hi) - lo) // step + 1)
    places = {n_extra + (int(v) - lo) // step for v in wanted if isinstance(v, int)}
    places |= set(range(n_extra))
    return sorted(i for i in places if 0 <= i < n and value(i) in wanted)


def _opened(children: Sequence[Parameter], value: Scalar) -> list[Parameter]:
    return [c for c in children if value in c.conditions[-1].values]


def _values(p: Parameter, n_points: int) -> tuple[int, Callable[[int], Scalar]]:
    """Return the number of values of a parameter, and a function from place to value."""
    domain = p.domain
    if isinstance(domain, Float | Int) and domain.has_target:  # left at its target
        return 1, lambda _: domain.default_value()
    if isinstance(domain, Categorical):
        return len(domain.choices), domain.choices.__getitem__
    if not isinstance(domain, Float | Int):
        return 1, lambda _: domain.default_value()
    if domain.size == math.inf:
        share = SPECIAL_SHARE if domain.special else 0.0
        places = [i / (n_points - 1) for i in range(n_points)] if n_points > 1 else [0.5]
        inner = [domain.from_unit(share + (1.0 - share) * u) for u in places]
        every = list(dict.fromkeys([*domain.special, *inner]))
        return len(every), every.__getitem__
    step = domain.step or 1
    n = n_steps(domain)

    def ranged(i: int) -> Scalar:
        value: Scalar = domain.validate(min(domain.lo + i * step, domain.hi), p.path)
        return value

    extra = [v for v in domain.special if not _on_range(v, domain, n, ranged)]
    return n + len(extra), lambda i: extra[i] if i < len(extra) else ranged(i - len(extra))


def n_steps(domain: Float | Int) -> int:
    """Return the number of values of a discrete domain's range, without special values."""
    step = domain.step or 1
    if isinstance(domain, Int):
        return int((domain.hi - domain.lo) // step) + 1
    # Use Float's tolerance, which steps like 0.1 need.
    return int((domain.hi - domain.lo) / step * (1 + 1e-12) + 1e-9) + 1


def _on_range(value: float, domain: Float | Int, n: int, ranged: Callable[[int], Scalar]) -> bool:
    near = round((value - domain.lo) / (domain.step or 1))
    return 0 <= near < n and ranged(near) == value


def shuffled(index: int, size: int, seed: int) -> int:
    """Return the image of `index` under a keyed permutation of `range(size)`, in constant memory.

    A Feistel network permutes the next power of four; images outside the range are permuted
    again until they fall inside (cycle walking).

    Reference: Black and Rogaway, 2002, "Ciphers with arbitrary finite domains", section 5.
    """
    from hashlib import shake_256  # loads OpenSSL

    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    n_bytes = (half + 7) // 8
    while True:
        left, right = index >> half, index & mask
        for turn in range(ROUNDS):
            digest = shake_256(f"{seed}:{turn}:{right}".encode()).digest(n_bytes)
            left, right = right, left ^ (int.from_bytes(digest, "big") & mask)
        index = (left << half) | right
        if index < size:
            return index


def _exhausted(n_valid: int, size: int) -> SpaceExhausted:
    passed = f" ({size - n_valid} more violate a constraint)" if n_valid < size else ""
    return SpaceExhausted(
        f"the grid has {n_valid} points{passed} and all have been proposed; the study is "
        "complete, or raise n_points for a finer grid."
    )

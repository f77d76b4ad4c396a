"""Finds the combinations of a grid that satisfy tight constraints by a look-ahead walk."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tunekit.errors import InvalidSpace
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Parameter, Space
from tunekit.spaces.feasible import none_found
from tunekit.spaces.outline import outline
from tunekit.spaces.possible import Decisions
from tunekit.spaces.ranges import MAX_VALUES, of_values

if TYPE_CHECKING:
    from tunekit.samplers.grid import Grid

MAX_LISTED = 2000
"""Maximum number of combinations to list completely, then sort or shuffle."""

MAX_LISTING = 10_000
"""Maximum number of values to examine for that list."""

MAX_LOOKS = 50_000
"""Maximum number of values to examine in a walk before giving up."""

_STREAM = (1 << 63) + 1  # never a trial's number


def feasible_ranks(grid: Grid, *, seed: int | None, known: Iterable[int]) -> Iterator[int]:
    """Yield the rank of every combination that satisfies the constraints, once.

    Args:
        grid: a grid in which hardly any combination satisfies them.
        seed: keys the order; `None` for the order of the walk.
        known: ranks to leave out.

    Raises:
        InvalidSpace: the walk found no combination.
    """
    if Decisions(grid.space).settle() is not None:
        raise none_found(grid.space, {}, Counter())
    seen = set(known)
    listed: list[int] = []
    is_all = True
    try:
        for rank in _leaves(grid, None, n_in_all=MAX_LISTING):
            listed.append(rank)
            if len(listed) > MAX_LISTED:
                is_all = False
                break
    except InvalidSpace:
        is_all = False
    if is_all:
        order = sorted(listed)
        if seed is not None:
            order = [order[i] for i in stream(seed, _STREAM).permutation(len(order))]
        yield from (rank for rank in order if rank not in seen)
        return
    draws = _leaves(grid, None) if seed is None else _drawn(grid, seed)
    for rank in draws:
        if rank not in seen:
            seen.add(rank)
            yield rank


def _drawn(grid: Grid, seed: int) -> Iterator[int]:
    """Yield the first leaves of endlessly many walks, each in its own random order."""
    rng = stream(seed, _STREAM)
    while True:
        yield next(_leaves(grid, rng))


def _leaves(
    grid: Grid, rng: np.random.Generator | None, *, n_in_all: float = math.inf
) -> Iterator[int]:
    """Yield the ranks at the leaves of a depth-first walk, in random order with `rng`."""
    space = grid.space
    order = _order(space, rng)
    made = Decisions(space)
    n_looks, blame = 0, Counter[str]()
    places: dict[str, int] = {}
    open_: list[Iterator[int]] = [_places(grid, order, 0, made, rng)]
    while open_:
        depth = len(open_) - 1
        path = order[depth].path
        made.reopen(path)
        places.pop(path, None)
        place = next(open_[-1], None)
        n_looks, n_in_all = n_looks + 1, n_in_all - 1
        if n_looks > MAX_LOOKS or n_in_all < 0:
            raise none_found(space, {}, blame)
        if place is None:
            open_.pop()
            continue
        if place >= 0:
            value = grid.axis(path).value(place)
            if not made.allows(path, of_values((value,))):
                blame.update(c.text for c in made.outline.touching[path])
                continue
            made.decide(path, value)
            places[path] = place
        if len(open_) < len(order):
            open_.append(_places(grid, order, depth + 1, made, rng))
        elif not space.violated(grid.point(rank := grid.rank(places))):
            n_looks = 0
            yield rank


def _places(
    grid: Grid,
    order: Sequence[Parameter],
    depth: int,
    made: Decisions,
    rng: np.random.Generator | None,
) -> Iterator[int]:
    """Return the places to try in turn, only -1 for an inactive parameter."""
    path = order[depth].path
    if not made.is_active(path):
        return iter((-1,))
    n = grid.axis(path).n
    if rng is None:
        return iter(range(n))
    if n <= MAX_VALUES:
        return iter(rng.permutation(n).tolist())
    first = int(rng.integers(n))
    return ((first + i) % n for i in range(n))


def _order(space: Space, rng: np.random.Generator | None) -> list[Parameter]:
    if rng is None:
        return list(space.parameters)
    ranks, keys = outline(space).ranks, rng.random(len(space))
    pairs = sorted(
        zip(space.parameters, keys, strict=True), key=lambda e: (ranks[e[0].path], e[1])
    )
    return [p for p, _ in pairs]

"""Avoids duplicate points, because a repeated trial without noise is wasted."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice

import numpy as np

from tunekit.errors import InvalidSpace
from tunekit.history import History
from tunekit.noise.replicates import UNMEASURED, Key, key_of
from tunekit.records import TrialRecord
from tunekit.samplers.base import StudyView, held, known_points, samples
from tunekit.samplers.grid import Grid
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params

DRAWS = 16
"""Random points to try before enumerating combinations."""

SCANNED = 4096
"""Maximum number of combinations of a discrete space to enumerate in search of a free one."""

_OTHER_STREAM = 0x6475706C6963  # keeps these draws independent of those of the samplers


def taken(trials: Iterable[TrialRecord]) -> set[Key]:
    """Return the keys of all points that have been measured or will be.

    Lost and cancelled trials have measured nothing, so their points are free.
    """
    return {key_of(t.params) for t in trials if t.params is not None and t.state not in UNMEASURED}


class Taken:
    """Caches the taken points of a study between suggestions."""

    def __init__(self) -> None:
        self._known: tuple[History, int] | None = None
        self._keys: set[Key] = set()

    def __call__(self, view: StudyView) -> set[Key]:
        """Return the keys of all taken points; callers must not modify the set."""
        now = (view.history, view.history.revision)
        if self._known is None or self._known[0] is not now[0] or self._known[1] != now[1]:
            self._keys = taken(view.history)
            self._known = now
        return self._keys


def distinct(
    view: StudyView, number: int, *, wishes: Iterable[Params], not_these: Collection[Key]
) -> Params | None:
    """Return the first wish that is not taken, else another free point.

    After the wishes come random points, then an enumeration of a discrete space from a random
    start. Values the user fixed for the number are kept.

    Args:
        view: the study; its space, seed and fixed values are used.
        number: number of the trial, which keys the random draws.
        wishes: valid points, best first; consumed only as far as needed.
        not_these: keys of the points to avoid: `taken(view.history)` and those proposed in the
            same call.

    Returns:
        The point, or `None` if the space has no free one left (or thousands of combinations
        contained none).
    """
    rng = stream(view.seed ^ _OTHER_STREAM, number)
    for point in chain(wishes, _draws(view, number, rng)):
        if key_of(point) not in not_these:
            return point
    return _counted(view, number, int(rng.integers(2**62)), not_these)


def _draws(view: StudyView, number: int, rng: np.random.Generator) -> Iterator[Params]:
    fixed = held(view, number)
    try:
        draws = samples(view.space, rng, fixed, known=known_points(view), n=DRAWS)
        yield from islice(draws, DRAWS)
    except InvalidSpace:  # hardly any point satisfies the constraints: enumeration may find one
        return


def _counted(
    view: StudyView, number: int, start: int, not_these: Collection[Key]
) -> Params | None:
    """Return the first free combination of a discrete space, counting from `start`."""
    if any(p.domain.size == math.inf for p in view.space):
        return None
    grid = Grid(view.space, 1)
    fixed = held(view, number) or Params()
    for i in range(min(grid.size, SCANNED)):
        point = grid.point((start + i) % grid.size)
        is_kept = all(path in point and point[path] == v for path, v in fixed.items())
        if is_kept and key_of(point) not in not_these and not view.space.violated(point):
            return point
    return None

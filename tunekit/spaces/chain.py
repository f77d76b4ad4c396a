"""Draws feasible points from feasible points with many Markov chains in parallel.

A sweep redraws each decision of all points given the others, or a pair of decisions if the
constraints (an equation) let no single one move. The chains forget their start, and their points
are distributed like those of a rejection sampler.

Reference: Geman and Geman, 1984, "Stochastic relaxation, Gibbs distributions, and the Bayesian
restoration of images".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.spaces.constant import Constant
from tunekit.spaces.constraints import Constraint
from tunekit.spaces.domains import Scalar
from tunekit.spaces.outline import outline
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.point_columns import PointColumns
from tunekit.spaces.tree import Categorical, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

REDRAWS = 4
"""Number of draws for a number; the first allowed one is taken."""

MAX_TRIED = 64
"""Maximum number of values of a decision to try exhaustively."""

N_PAIRS = 2
"""Number of pair moves per decision, since most are rejected."""

FEW_MOVES = 0.15
"""Minimum share of points in which a decision must move; below it, pair moves are added."""


class Chain:
    """Chains of points that satisfy the constraints of a space.

    Args:
        space: with constraints.
        starts: feasible points; the chains start from them in turn.
        n: number of chains.
        fixed: values that all points keep.
        rng: for all draws.
    """

    def __init__(
        self,
        space: Space,
        starts: Sequence[Mapping[str, Scalar]],
        n: int,
        *,
        fixed: Mapping[str, Scalar],
        rng: np.random.Generator,
    ) -> None:
        self._outline = outline(space)
        self._rng = rng
        encoder = self._outline.encoder
        known = encoder.encode(starts)[np.arange(n) % len(starts)]
        rows = np.where(np.isnan(known), rng.random(known.shape), known)
        for j, column in enumerate(encoder.columns):
            if column.path in fixed:
                rows[:, j] = space.by_path[column.path].domain.to_unit(fixed[column.path])
        self._points = PointColumns(encoder, rows)
        kept = {path for path in fixed if all(path in start for start in starts)}
        free = (p for p in space if not isinstance(p.domain, Constant) and p.domain.size > 1)
        self._free = [p for p in free if p.path not in fixed]
        self._moved = dict.fromkeys((p.path for p in self._free), 0.0)
        self._still = dict.fromkeys(self._moved, 0.0)
        self._kept_below = {
            p.path: [q.path for q in self._outline.opened_by[p.path] if q.path in kept]
            for p in self._free
        }
        self._bound = [p for p in self._free if self._outline.touching[p.path]]

    def sweep(self, times: int = 1) -> None:
        """Redraw every decision of all points, and in pairs those that hardly move."""
        for i in np.concatenate([self._rng.permutation(len(self._free)) for _ in range(times)]):
            p = self._free[i]
            share = self._redraw(p)
            self._moved[p.path] += share
            self._still[p.path] += FEW_MOVES - share  # above 0 if it has moved too rarely so far
            if self._still[p.path] > 0 and self._outline.near[p.path]:
                self._moved[p.path] += sum(self._redraw_pair(p) for _ in range(N_PAIRS))

    def stuck(self) -> set[str]:
        """Return the constrained decisions that are active, but never moved in any sweep."""
        return {p.path for p in self._bound if not self._moved[p.path] and self._n_active(p) > 0}

    def points(self) -> list[Params]:
        """Return the points of all chains."""
        return self._points.points()

    def _redraw(self, p: Parameter) -> float:
        """Move a decision of all points to an allowed value; return the share that moved.

        A switch draws values for the children that it activates. Drawing these twice would
        favour children that are easy to satisfy; a single draw keeps the chain reversible.
        """
        shape = (REDRAWS, len(self._points))
        if not self._outline.touching[p.path]:
            self._points.put(p, self._rng.random(shape[1]), self._outline.opened_by[p.path])
            return 1.0
        if self._outline.opened_by[p.path]:
            places = self._rng.random((1, shape[1]))
        elif isinstance(p.domain, Categorical) and p.domain.size <= MAX_TRIED:
            places = self._all_places(p)
        else:
            places = self._rng.random(shape)
        before = self._points.column(p.path).values
        found, chosen = self._chosen(p, places, self._outline.touching[p.path])
        new = np.where(found, chosen, self._points.places(p.path))
        self._points.put(p, new, self._outline.opened_by[p.path])
        return self._share_moved(p, before)

    def _redraw_pair(self, p: Parameter) -> float:
        """Move a decision, and with it another one such that all constraints hold.

        Half of the time a third one moves as well: of 8 + 2 + 2 = 12 no two leave the 8.
        """
        near = self._outline.near[p.path]
        others = [q for q in self._bound if q.path in near and not self._outline.opened_by[q.path]]
        if not others or self._outline.opened_by[p.path]:
            return 0.0
        n_more = 1 + int(self._rng.random() < 0.5)
        q, *third = (others[i] for i in self._rng.permutation(len(others))[:n_more])
        n, values = len(self._points), self._points.column(p.path).values
        before = [(r, self._points.places(r.path)) for r in (p, *third)]
        for r, _ in before:
            self._points.put(r, self._rng.random(n), ())
        few = q.domain.size <= MAX_TRIED
        places = self._all_places(q) if few else self._rng.random((MAX_TRIED, n))
        named = [r.path for r in (p, q, *third)]
        found, chosen = self._chosen(q, places, self._outline.touching_any(*named))
        self._points.put(q, np.where(found, chosen, self._points.places(q.path)), ())
        for r, old in before:
            self._points.put(r, np.where(found, self._points.places(r.path), old), ())
        return self._share_moved(p, values)

    def _share_moved(self, p: Parameter, before: NDArray[Any]) -> float:
        """Return the share moved among the points in which a decision counts."""
        column = self._points.column(p.path)
        moved = column.values != before
        if column.lacks is not None:
            moved &= ~column.lacks
        return float(np.sum(moved)) / max(1, self._n_active(p))

    def _n_active(self, p: Parameter) -> int:
        lacks = self._points.column(p.path).lacks
        return len(self._points) - (0 if lacks is None else int(lacks.sum()))

    def _chosen(
        self, p: Parameter, places: NDArray[np.float64], constraints: Sequence[Constraint]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return whether a place is allowed for each point, and a random one of those."""
        allowed = self._points.allowed_with(
            p,
            places,
            self._outline.opened_by[p.path],
            constraints=constraints,
            kept=self._kept_below[p.path],
        )
        best = np.argmax(allowed * self._rng.random(allowed.shape), axis=0)
        chosen = np.take_along_axis(places, best[None], axis=0)[0]
        return np.asarray(allowed.any(axis=0)), chosen

    def _all_places(self, p: Parameter) -> NDArray[np.float64]:
        """Return `(k, n)` the places of all values, the same for each point."""
        k = int(p.domain.size)
        return np.repeat(((np.arange(k) + 0.5) / k)[:, None], len(self._points), axis=1)

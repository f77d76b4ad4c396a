"""Many points of a space as columns, of which single ones change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.spaces.columns import MAX_EXACT, Linear, TermValues, Unsure, holding, of_literal
from tunekit.spaces.constant import Constant
from tunekit.spaces.constraints import Constraint
from tunekit.spaces.encode import Encoder
from tunekit.spaces.linear import linear_of, numbers_of
from tunekit.spaces.parameters import Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.terms import Term
from tunekit.spaces.tree import Categorical

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PointColumns:
    """Points as `(n, d)` full rows of the unit cube: an inactive column has a place as well.

    So a switch opens its children with the places they have, and keeps them when it closes.

    Args:
        encoder: of the space.
        rows: `(n, d)` places of all columns, active or not.

    Attributes:
        rows: the places.
        doubt: the points that the columns cannot judge, of the check that is under way.
    """

    def __init__(self, encoder: Encoder, rows: NDArray[np.float64]) -> None:
        self.encoder = encoder
        self.rows = rows.copy()
        self.doubt = np.zeros(len(rows), dtype=bool)
        self._place = {c.path: j for j, c in enumerate(encoder.columns)}
        self._linear: dict[int, Linear | None] = {}
        self._known = numbers_of(encoder.space)
        self._numbers = np.zeros((len(self._known), len(rows)))
        self._tried: dict[int, NDArray[np.float64]] = {}  # row of a number -> (k, n) values
        self._columns: dict[str, TermValues] = {}
        for p in encoder.space:
            self._set(p.path, TermValues(self._start(p), self._lacks(p)))

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, path: str) -> TermValues:
        """Return the values of a parameter, and where it has none."""
        return self._columns[path]

    def places(self, path: str) -> NDArray[np.float64]:
        """Return a copy of the `(n,)` places of a parameter."""
        return self.rows[:, self._place[path]].copy()

    def put(self, p: Parameter, places: NDArray[np.float64], opened: Iterable[Parameter]) -> None:
        """Set the `(n,)` places of a parameter.

        Args:
            p: no constant.
            places: in `[0, 1]`.
            opened: the parameters whose activity depends on it, in traversal order.
        """
        self.rows[:, self._place[p.path]] = places
        self._set(p.path, TermValues(self._values(p, places), self._columns[p.path].lacks))
        for child in opened:
            self._set(child.path, TermValues(self._columns[child.path].values, self._lacks(child)))

    def allowed(self, constraints: Sequence[Constraint]) -> NDArray[np.bool_]:
        """Return `(n,)` whether each point satisfies all constraints."""
        return self._checked(constraints, lambda at: self.rows[at[0] : at[0] + 1])

    def allowed_with(
        self,
        p: Parameter,
        places: NDArray[np.float64],
        opened: Sequence[Parameter],
        *,
        constraints: Sequence[Constraint],
        kept: Iterable[str] = (),
    ) -> NDArray[np.bool_]:
        """Return `(k, n)` whether each point would satisfy the constraints with other places.

        Args:
            p: no constant.
            places: `(k, n)` of this parameter.
            opened: as in `put`.
            constraints: those to satisfy.
            kept: paths among the opened ones that have to stay active.
        """
        before = {q.path: self._columns[q.path] for q in (p, *opened)}
        self._columns[p.path] = TermValues(self._values(p, places), before[p.path].lacks)
        for child in opened:
            self._columns[child.path] = TermValues(before[child.path].values, self._lacks(child))
        for path in before:
            if path in self._known:
                self._tried[self._known[path].row] = _numbers(self._columns[path])
        j = self._place[p.path]

        def row(at: tuple[int, ...]) -> NDArray[np.float64]:
            changed = self.rows[at[1] : at[1] + 1].copy()
            changed[0, j] = places[at]
            return changed

        allowed = self._checked(constraints, row, shape=places.shape)
        for path in kept:
            lacks = self._columns[path].lacks
            if lacks is not None:
                allowed &= ~lacks
        self._tried.clear()
        self._columns.update(before)
        return allowed

    def linear(self, term: Term) -> Linear | None:
        """Return a term as a weighted sum of parameters, `None` if it is not linear."""
        key = id(term)
        if key not in self._linear:
            self._linear[key] = linear_of(term, self._known)
        return self._linear[key]

    def weighted(self, linear: Linear) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return the weighted sums, and the sums of the sizes where they are not exact."""
        numbers = self._numbers[linear.rows]
        changed = [i for i, r in enumerate(linear.rows.tolist()) if r in self._tried]
        numbers[changed] = 0.0
        total = linear.start + linear.weights @ numbers
        size = None
        if not linear.is_whole:
            size = abs(linear.start) + np.abs(linear.weights) @ np.abs(numbers)
        for i in changed:
            part = linear.weights[i] * self._tried[int(linear.rows[i])]
            total = total + part
            size = None if size is None else size + np.abs(part)
        return total, size

    def points(self) -> list[Params]:
        """Return the points of all rows."""
        return self.encoder.decode(self.rows)

    def _checked(
        self,
        constraints: Sequence[Constraint],
        row: Callable[[tuple[int, ...]], NDArray[np.float64]],
        *,
        shape: tuple[int, ...] = (),
    ) -> NDArray[np.bool_]:
        self.doubt = np.zeros(shape or len(self), dtype=bool)
        allowed = np.ones(self.doubt.shape, dtype=bool)
        for constraint in constraints:
            try:
                allowed &= holding(constraint.term, self)
            except Unsure:
                self.doubt |= allowed
        for at in zip(*np.nonzero(self.doubt), strict=True):
            point = dict(self.encoder.decode(row(at))[0])
            allowed[at] = all(c.holds(point) for c in constraints)
        return allowed

    def _set(self, path: str, column: TermValues) -> None:
        self._columns[path] = column
        if path in self._known:
            self._numbers[self._known[path].row] = _numbers(column)

    def _start(self, p: Parameter) -> NDArray[Any]:
        if isinstance(p.domain, Constant):
            return of_literal(p.domain.value)
        return self._values(p, self.rows[:, self._place[p.path]])

    def _values(self, p: Parameter, places: NDArray[np.float64]) -> NDArray[Any]:
        if isinstance(p.domain, Categorical):
            choices = _choices(p.domain)
            return choices[np.minimum((places * len(choices)).astype(np.int64), len(choices) - 1)]
        values: list[Any] = self.encoder.values(self._place[p.path], places.ravel())
        is_exact = p.path in self._known
        found = np.array(values, dtype=np.float64 if is_exact else object)
        return found.reshape(places.shape)

    def _lacks(self, p: Parameter) -> NDArray[np.bool_] | None:
        """Return where a parameter is inactive, `None` if nowhere."""
        lacks: Any = None
        for c in p.conditions:
            parent = self._columns[c.parent]
            closed = ~_among(parent.values, c.values)
            if parent.lacks is not None:
                closed = closed | parent.lacks
            lacks = closed if lacks is None else lacks | closed
        return lacks if lacks is not None and lacks.any() else None


@lru_cache(maxsize=1024)
def _choices(domain: Categorical) -> NDArray[Any]:
    kinds = {type(c) for c in domain.choices}
    if kinds == {bool}:
        return np.array(domain.choices)
    if kinds <= {int, float} and all(abs(c) <= MAX_EXACT for c in domain.choices):  # type: ignore[arg-type]
        return np.array(domain.choices, dtype=np.float64)
    return np.array(domain.choices, dtype=object)


def _numbers(column: TermValues) -> Any:
    return column.values if column.lacks is None else np.where(column.lacks, 0.0, column.values)


def _among(values: NDArray[Any], opening: Iterable[Any]) -> NDArray[np.bool_]:
    found = np.zeros(values.shape, dtype=bool)
    for value in opening:
        found |= np.asarray(np.equal(values, value), dtype=bool)
    return found

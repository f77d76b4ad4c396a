"""Brings rows of the unit cube into canonical, valid form, many points at once.

A sampler with thousands of candidates works on rows of an array. It fills *all* columns, and
`Canonical` determines the active ones, column by column, and snaps each value to its grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import SPECIAL_SHARE, Domain, Float, Int
from tunekit.spaces.encode import Encoder
from tunekit.spaces.tree import Categorical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tunekit.spaces.parameters import Condition


@dataclass(frozen=True, slots=True)
class Activation:
    """Activates a column for certain cells of another one.

    Attributes:
        column: column of the parent.
        cells: for each of the parent's values, in order, whether it opens; `None` where the
            parent is an int with special values or on a log scale, which `values` serves.
        values: of an int that open.
    """

    column: int
    cells: NDArray[np.bool_] | None
    values: NDArray[np.float64]


class Canonical:
    """Converts full rows to rows of valid points, NaN where a parameter is inactive.

    Args:
        encoder: of the space.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        space = encoder.space
        self.domains = [space.by_path[c.path].domain for c in encoder.columns]
        self.gates: list[tuple[Activation, ...] | None] = [
            self._gates(c.conditions) for c in encoder.columns
        ]

    def __call__(self, full: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `(n, d)` canonical rows of `(n, d)` full ones, without checking constraints.

        NaN in an active column becomes the default.
        """
        x = full.copy()
        for j, (gates, domain) in enumerate(zip(self.gates, self.domains, strict=True)):
            if gates is None:
                x[:, j] = np.nan
                continue
            column = x[:, j]
            missing = np.isnan(column)
            if missing.any():
                column[missing] = domain.to_unit(domain.default_value())
            column[:] = snapped(domain, np.clip(column, 0.0, 1.0))
            for gate in gates:
                column[~self._is_open(gate, x)] = np.nan
        return x

    def _gates(self, conditions: tuple[Condition, ...]) -> tuple[Activation, ...] | None:
        """Return the gates of a column; `None` if a constant keeps it inactive."""
        gates = []
        for c in conditions:
            parent = self.encoder.space.by_path[c.parent].domain
            if isinstance(parent, Constant):
                if parent.value not in c.values:
                    return None
                continue
            gates.append(self._gate(self.encoder.index(c.parent), parent, c))
        return tuple(gates)

    def _gate(self, column: int, parent: Domain, condition: Condition) -> Activation:
        if isinstance(parent, Categorical):
            opens = np.array([v in condition.values for v in parent.choices])
            return Activation(column, opens, np.empty(0))
        return Activation(column, None, np.array(list(condition.values), dtype=np.float64))

    def _is_open(self, gate: Activation, x: NDArray[np.float64]) -> NDArray[np.bool_]:
        u = x[:, gate.column]
        known = ~np.isnan(u)
        u = np.where(known, u, 0.0)
        if gate.cells is not None:
            n = len(gate.cells)
            return np.asarray(known & gate.cells[np.minimum((u * n).astype(np.int64), n - 1)])
        domain = self.domains[gate.column]
        assert isinstance(domain, Int)
        return np.asarray(known & np.isin(int_values(domain, u), gate.values))


def snapped(domain: Domain, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coordinates `u` in `[0, 1]`, snapped to the domain's values."""
    if isinstance(domain, Categorical):
        return _cells(u, len(domain.choices))
    if not isinstance(domain, Float | Int):
        return u
    inner = u
    if domain.special:
        inner = np.clip((u - SPECIAL_SHARE) / (1.0 - SPECIAL_SHARE), 0.0, 1.0)
    if isinstance(domain, Int):
        out = _int_places(domain, inner)
    elif domain.lo == domain.hi:
        out = np.full_like(inner, 0.5)
    elif domain.step is not None:
        out = _cells(inner, domain.n_cells())
    else:
        out = inner
    if not domain.special:
        return out
    special = SPECIAL_SHARE * _cells(u / SPECIAL_SHARE, len(domain.special))
    return np.where(u < SPECIAL_SHARE, special, SPECIAL_SHARE + (1.0 - SPECIAL_SHARE) * out)


def int_values(domain: Int, u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of an int at coordinates `u`."""
    inner = u
    if domain.special:
        inner = np.clip((u - SPECIAL_SHARE) / (1.0 - SPECIAL_SHARE), 0.0, 1.0)
    out = _int_values(domain, inner)
    if not domain.special:
        return out
    n = len(domain.special)
    at = np.clip((u / SPECIAL_SHARE * n).astype(np.int64), 0, n - 1)
    return np.where(u < SPECIAL_SHARE, np.array(domain.special, dtype=np.float64)[at], out)


def _int_values(domain: Int, inner: NDArray[np.float64]) -> NDArray[np.float64]:
    lo, step, n = domain.grid()
    if not domain.log:
        return lo + step * np.minimum(np.floor(inner * n), n - 1)
    ratio = math.log((domain.hi + 0.5) / (domain.lo - 0.5))
    return np.clip(np.rint((domain.lo - 0.5) * np.exp(inner * ratio)), domain.lo, domain.hi)


def _int_places(domain: Int, inner: NDArray[np.float64]) -> NDArray[np.float64]:
    if not domain.log:
        return _cells(inner, domain.grid()[2])
    ratio = math.log((domain.hi + 0.5) / (domain.lo - 0.5))
    return np.asarray(np.log(_int_values(domain, inner) / (domain.lo - 0.5)) / ratio)


def _cells(u: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return the middles of the cells, of `n`, that contain the coordinates."""
    return (np.minimum(np.floor(u * n), n - 1) + 0.5) / n

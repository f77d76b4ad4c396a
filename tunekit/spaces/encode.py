"""Encodes points as `(n, d)` rows in [0, 1], NaN where a parameter is inactive."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard

import numpy as np

from tunekit.errors import InvalidArgument
from tunekit.spaces.constant import Constant
from tunekit.spaces.domains import SPECIAL_SHARE, Domain, Float, Int, Scalar, log_ratio
from tunekit.spaces.parameters import Condition, Parameter
from tunekit.spaces.point import Params
from tunekit.spaces.scalars import MAX_ABS
from tunekit.spaces.tree import Categorical, Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind: TypeAlias = Literal["float", "int", "ordered", "categorical"]


@dataclass(frozen=True, slots=True)
class Column:
    """Describes one column of the array.

    Attributes:
        size: number of values; `inf` for a continuous range.
        conditions: all must hold for it to be active.
    """

    path: str
    kind: Kind
    size: float
    conditions: tuple[Condition, ...]


class Encoder:
    """Maps points to rows and back, exactly: `decode(encode(points)) == points`.

    Attributes:
        columns: one for each parameter except constants, in traversal order.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._codecs = [_Codec(p) for p in space if not isinstance(p.domain, Constant)]
        self.columns = tuple(c.column for c in self._codecs)
        self._index = {c.column.path: i for i, c in enumerate(self._codecs)}

    def __len__(self) -> int:
        return len(self.columns)

    def index(self, path: str) -> int:
        """Return the position of a parameter's column.

        Raises:
            UnknownParameter: no such parameter.
            InvalidArgument: it is a constant, which has no column.
        """
        path = self.space.resolve(path)
        if path not in self._index:
            raise InvalidArgument(
                f'"{path}" is a constant and has no column; name another parameter.'
            )
        return self._index[path]

    def values(self, column: int, units: NDArray[np.float64]) -> list[Scalar]:
        """Return the values of one column at its coordinates; NaN becomes the default."""
        return self._codecs[column].from_units(units)

    def encode(self, points: Iterable[Mapping[str, Scalar]]) -> NDArray[np.float64]:
        """Return `(n, d)` unit coordinates of valid points, NaN where inactive."""
        rows = [dict(point) for point in points]  # by path alone, and quicker
        out = np.full((len(rows), len(self._codecs)), np.nan)
        for j, codec in enumerate(self._codecs):
            path = codec.column.path
            out[:, j] = codec.to_units([row.get(path, _ABSENT) for row in rows])
        return out

    def decode(self, array: NDArray[np.float64]) -> list[Params]:
        """Return the points of `(n, d)` rows, which may come from an optimiser.

        Rows need not mark inactive columns: NaN in an active column becomes the default, inactive
        columns are ignored, and coordinates outside `[0, 1]` are clipped.

        Raises:
            InvalidArgument: the array has another shape.
        """
        x = np.asarray(array, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self._codecs):
            raise InvalidArgument(
                f"decode: got an array of shape {x.shape}, expected (n, {len(self._codecs)})."
            )
        points: list[dict[str, Scalar]] = [{} for _ in range(len(x))]
        columns = iter(range(len(self._codecs)))
        for p in self.space:
            active = _active(p.conditions, points)
            if isinstance(p.domain, Constant):
                values: list[Scalar] = [p.domain.value] * len(active)
            else:
                j = next(columns)
                values = self._codecs[j].from_units(x[active, j])
            for i, value in zip(active, values, strict=True):
                points[i][p.path] = value
        return [Params(point, self.space) for point in points]


_ABSENT: Any = object()  # None is a value


def _active(conditions: tuple[Condition, ...], points: list[dict[str, Scalar]]) -> list[int]:
    """Return the rows in which all conditions hold."""
    active = list(range(len(points)))
    for c in conditions:
        active = [i for i in active if points[i].get(c.parent, _ABSENT) in c.values]
    return active


class _Codec:
    """Converts values of one parameter to unit coordinates and back, vectorised."""

    def __init__(self, parameter: Parameter) -> None:
        domain = parameter.domain
        self.domain = domain
        self.column = Column(parameter.path, _kind(domain), domain.size, parameter.conditions)
        self._units: dict[Any, float] = {_ABSENT: math.nan}
        if isinstance(domain, Categorical):
            self._units |= {c: domain.to_unit(c) for c in domain.choices}

    def to_units(self, values: list[Any]) -> list[float] | NDArray[np.float64]:
        domain = self.domain
        if isinstance(domain, Categorical):
            return [self._units[v] for v in values]
        if isinstance(domain, Float) or _fits_float(domain):
            return _places(domain, np.array([math.nan if v is _ABSENT else v for v in values]))
        return [math.nan if v is _ABSENT else domain.to_unit(v) for v in values]

    def from_units(self, units: NDArray[np.float64]) -> list[Scalar]:
        missing = np.isnan(units)
        u = np.clip(np.where(missing, 0.0, units), 0.0, 1.0)
        values = self._values(u)
        for i in np.flatnonzero(missing).tolist():
            values[i] = self.domain.default_value()
        return values

    def _values(self, u: NDArray[np.float64]) -> list[Any]:
        domain = self.domain
        if isinstance(domain, Float | Int) and domain.special:
            return [domain.from_unit(x) for x in u.tolist()]
        if isinstance(domain, Categorical):
            n = len(domain.choices)
            return [domain.choices[k] for k in np.minimum((u * n).astype(int), n - 1).tolist()]
        if isinstance(domain, Float) and domain.step is None and not domain.log:
            x, digits = (domain.lo + u * (domain.hi - domain.lo)).tolist(), domain.digits
            rounded = np.clip([round(v, digits) for v in x], domain.lo, domain.hi)
            return list(_at_bounds(domain, u, rounded).tolist())
        if _fits_float(domain) and not domain.log:
            lo, step, n = domain.grid()
            return list((lo + step * np.minimum((u * n).astype(int), n - 1)).tolist())
        return [domain.from_unit(x) for x in u.tolist()]


def _at_bounds(
    domain: Float, u: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the values with the bounds themselves at 0 and 1, as `Float.from_unit` does."""
    values = np.where(u <= 0.0, domain.from_unit(0.0), values)
    return np.where(u >= 1.0, domain.from_unit(1.0), values)


def _fits_float(domain: Domain) -> TypeGuard[Int]:
    """Return whether it is an Int whose values are exact in an array of floats."""
    return isinstance(domain, Int) and max(abs(domain.lo), abs(domain.hi)) < 2**53


def _places(domain: Float | Int, v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `to_unit` of a whole column."""
    out = _range_places(domain, v)
    if domain.special:
        out = SPECIAL_SHARE + out * (1.0 - SPECIAL_SHARE)
        for value in domain.special:
            out[v == value] = domain.to_unit(value)
    return out


def _range_places(domain: Float | Int, v: NDArray[np.float64]) -> NDArray[np.float64]:
    if isinstance(domain, Int):
        lo, step, n = domain.grid()
        if domain.log:
            with np.errstate(divide="ignore", invalid="ignore"):  # special values, replaced later
                return np.log(v / (lo - 0.5)) / math.log((domain.hi + 0.5) / (lo - 0.5))
        return ((v - lo) / step + 0.5) / n
    if domain.lo == domain.hi:
        return np.where(np.isnan(v), np.nan, 0.5)
    if domain.step is not None:
        return (np.rint((v - domain.lo) / domain.step) + 0.5) / domain.n_cells()
    if not domain.log:
        return np.clip((v - domain.lo) / (domain.hi - domain.lo), 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if domain.hi / domain.lo < MAX_ABS:
            above = np.log(v / domain.lo)  # a difference of logs would cancel on a narrow range
        else:
            above = np.log(v) - math.log(domain.lo)
        inner = np.clip(above / log_ratio(domain.hi, domain.lo), 0.0, 1.0)
    # The bounds may have more digits than the resolution: they need their exact places.
    inner[v == domain.lo] = 0.0
    inner[v == domain.hi] = 1.0
    return inner


def _kind(domain: Domain) -> Kind:
    if isinstance(domain, Categorical):
        return "ordered" if domain.ordered else "categorical"
    return "int" if isinstance(domain, Int) else "float"
